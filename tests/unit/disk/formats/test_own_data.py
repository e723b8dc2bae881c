"""Files as people have them, each read as it is meant or told: small deviations in forms that are known."""

import json

import numpy as np
import pytest
from scipy.io import savemat

from cellscaper.disk.export import read
from cellscaper.disk.formats import table_columns
from cellscaper.disk.formats.annotations import format_of, read_annotated
from cellscaper.disk.formats.facts import Given
from cellscaper.disk.formats.geojson_cells import WITHIN, read_features
from cellscaper.disk.formats.label_mask import FAR_LARGER, centroids
from cellscaper.disk.formats.labelme import read_labelme
from cellscaper.disk.formats.matlab import read_arrays
from cellscaper.disk.formats.text_table import find_separator, split_lines
from cellscaper.disk.formats.xml_cells import read_xml
from cellscaper.errors import CellscaperError

PLACES = [(20.0 * (k % 6) + 15, 18.0 * (k // 6) + 12) for k in range(30)]  # x, y
GIVEN = Given((200, 200), 0.5)


def square(x, y, r=5.0):
    return [[x - r, y - r], [x + r, y - r], [x + r, y + r], [x - r, y + r], [x - r, y - r]]


def text_of(header, rows):
    return "\n".join([header, *rows]) + "\n"


# -- LabelMe -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["points", "point"])
def test_each_place_of_a_shape_of_points_is_a_cell(kind):
    shapes = [{"label": name, "shape_type": kind, "points": [list(place) for place in PLACES[k::2]]}
              for k, name in enumerate("ab")]  # fmt: skip
    shapes.append({"label": "c", "shape_type": "circle", "points": [[150, 150], [154, 150]]})
    read_ = read_labelme({"shapes": [*shapes, {"label": "d", "shape_type": kind, "points": []}]})
    assert read_.names == ["a"] * 15 + ["b"] * 15 + ["c"] and read_.left == {"shapes without a point": 1}
    assert sorted(read_.points) == sorted([(y, x) for x, y in PLACES] + [(150.0, 150.0)])


# -- tables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ('"x", "y", "class"', '{}, {}, "big cell"'),
        ('"X" , "Y" , "Cell Type"', '"{}" , "{}", "big cell" '),
        (' "X";\t"Y"; "Class"', ' "{}" ; "{}" ; "big cell"'),
        ('"x"\t"y" \t "class"', '{}\t{} \t "big cell"'),
    ],
)
def test_blanks_around_quotes_are_none_of_the_name(head, row):
    lines = split_lines(text_of(head.replace(";\t", ";"), [row.format(3 * k, k) for k in range(9)]), "a.csv")
    assert [field.lower() for field in lines.rows[0][1][:2]] == ["x", "y"]
    assert {row[2] for _, row in lines.rows[1:]} == {"big cell"} and lines.rows[2][1][:2] == ["3", "1"]


def test_quotes_inside_of_fields_stay():
    lines = split_lines('x,y,class\n1,2,"a ""b"" , c"\n3, 4, "d, e"\n', "a.csv")
    assert [row[2] for _, row in lines.rows] == ["class", 'a "b" , c', "d, e"]


@pytest.mark.parametrize("line", ['1,2,"a', '1,2,"a"b'])
def test_quotes_that_do_not_end_are_told(line):
    with pytest.raises(CellscaperError, match=r"a\.csv:2: .* is not a line of a comma-separated table"):
        split_lines(f"x,y,class\n{line}\n", "a.csv")


def test_a_bar_may_separate_columns(tmp_path):
    rows = [f"{x}|{y}|{'ab'[k % 2]}" for k, (x, y) in enumerate(PLACES)]
    (tmp_path / "a.txt").write_text(text_of("x|y|class", rows))
    found = read(tmp_path / "a.txt", GIVEN)
    assert found.classes == ("a", "b") and len(found.points) == 30
    assert find_separator(["x,y,class", "1.5,2.5,a|b", "3.5,4.5,c|d"]) == "comma"
    assert find_separator(["x y a|b", "1.5 2.5 a|b"]) == "blank"


def test_columns_may_have_numbers_as_names(tmp_path):
    assert table_columns.is_header(["x", "y", "class", "488", "561"])
    assert not table_columns.is_header(["12", "34", "x"]) and not table_columns.is_header(["1.5", "2", "a", "b"])
    (tmp_path / "a.csv").write_text(
        text_of("x,y,class,488,561", [f"{x},{y},a,{k},3" for k, (x, y) in enumerate(PLACES)])
    )
    assert len(read(tmp_path / "a.csv", GIVEN).points) == 30


@pytest.mark.parametrize(
    "name", ["annotator", "Reader ID", "quality", "patient", "sex", "batch", "tissue", "Region", "annotated_by", "note"]
)
def test_a_column_of_few_words_whose_name_says_something_else_is_no_class(name):
    rows = [[str(x), str(y), "pq"[k % 2]] for k, (x, y) in enumerate(PLACES)]
    found = table_columns.find(["x", "y", name], rows)
    assert "class" not in found.names
    assert any("no column is taken for the class" in why and f"class={name}" in why for why in found.why)


def test_a_column_of_few_words_of_another_name_is_said():
    rows = [[str(x), str(y), "pq"[k % 2], "uv"[k % 3 == 0]] for k, (x, y) in enumerate(PLACES)]
    found = table_columns.find(["x", "y", "what", "annotator"], rows)
    assert found.names["class"] == "what" and "--columns y=y,x=x reads no class" in found.why[0]
    known = table_columns.find(["x", "y", "Cell type", "annotator"], rows)
    assert known.names["class"] == "Cell type" and not known.why


def test_the_advice_for_flags_keeps_the_boxes():
    header = ["XMin", "XMax", "YMin", "YMax", "tumor", "stroma"]
    rows = [[f"{x - 4}", f"{x + 4}", f"{y - 4}", f"{y + 4}", str(k % 2), str(1 - k % 2)]
            for k, (x, y) in enumerate(PLACES)]  # fmt: skip
    question = table_columns.find(header, rows).question
    assert "--columns y=YMin,x=XMin,y_end=YMax,x_end=XMax to read no class" in question


@pytest.mark.parametrize(("name", "header"), [("t", "t,x,y"), ("frame", "frame,x,y"), ("Z", "Z,x,y")])
def test_frames_in_one_layout_are_told(tmp_path, name, header):
    rows = [f"{k},{x},{y}" for k, (x, y) in enumerate(PLACES)]
    (tmp_path / "a.csv").write_text(text_of(header, rows))
    said = []
    assert len(read(tmp_path / "a.csv", GIVEN, say=said.append)) == 1
    assert any(f"column {name!r} has 30 values" in line and "'image'" in line for line in said)
    (tmp_path / "b.csv").write_text(text_of(header, [row.replace(row.split(",")[0], "0", 1) for row in rows]))
    said.clear()
    read(tmp_path / "b.csv", GIVEN, say=said.append)
    assert not any("values" in line for line in said)


# -- XML ---------------------------------------------------------------------------------------------------


def layers(text, names=("lymphocyte", "stromal")):
    """ImageScope's XML, ``text(k)`` of cell k; the layers take turns."""
    inner = ""
    for number, name in enumerate(names):
        regions = "".join(
            f'<Region Type="0" Text="{text(k)}"><Vertices>'
            + "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in square(*place))
            + "</Vertices></Region>"
            for k, place in enumerate(PLACES)
            if k % len(names) == number
        )
        inner += f'<Annotation Name="{name}"><Regions>{regions}</Regions></Annotation>'
    return f"<Annotations>{inner}</Annotations>"


@pytest.mark.parametrize("text", ["cell {}", "{}", "#{}", "seen by {} of us"])
def test_texts_that_number_objects_are_no_classes(text):
    read_ = read_xml(layers(lambda k: text.format(k)))
    assert set(read_.names) == {"lymphocyte", "stromal"} and "number the objects" in read_.notes[0]
    bare = read_xml(layers(lambda k: text.format(k), ("",)))
    assert set(bare.done().names) == {"unclassified"}


def test_a_text_that_names_few_classes_stays():
    read_ = read_xml(layers(lambda k: ["tumor", ""][k % 2], ("Layer 1",)))
    assert set(read_.names) == {"tumor", "Layer 1"} and not read_.notes
    assert read_xml(layers(lambda k: "cell 3" if k == 4 else "", ("a",))).names == ["a"] * 30  # a file of few texts


def test_annotations_of_halo(tmp_path):
    vertices = "".join(f'<V X="{x}" Y="{y}"/>' for x, y in square(20, 20))
    corners = '<V X="10" Y="20"/><V X="16" Y="30"/>'
    regions = [("Polygon", vertices), ("Ellipse", corners), ("Rectangle", corners), ("Pin", '<V X="7" Y="9"/>')]
    inner = "".join(f'<Region Type="{kind}" NegativeROA="0"><Vertices>{v}</Vertices></Region>' for kind, v in regions)
    text = f'<Annotations><Annotation LineColor="1" Name="tumor"><Regions>{inner}</Regions></Annotation></Annotations>'
    (tmp_path / "a.annotations").write_text(text)
    assert format_of(tmp_path / "a.annotations") == "xml"
    found = read_annotated(tmp_path / "a.annotations", "xml")
    assert found.points.tolist() == [[20, 20], [25, 13], [25, 13], [9, 7]] and found.names == ["tumor"] * 4


# -- label masks -------------------------------------------------------------------------------------------


def mask(background=0):
    values = np.full((120, 150), background)
    for k, (x, y) in enumerate(PLACES, 2):
        values[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5] = k
    return values


@pytest.mark.parametrize("background", [1, 200])
def test_a_background_with_a_number_is_no_cell(tmp_path, background):
    found = centroids(mask(background), tmp_path / "a.png").done()
    assert found.left == {FAR_LARGER: 1} and found.first == {FAR_LARGER: f"number {background}"}
    wanted = centroids(mask(), tmp_path / "a.png").done()
    np.testing.assert_array_equal(found.points, wanted.points)
    assert len(wanted.points) == 30 and not wanted.left


def test_a_region_in_a_mask_is_no_cell_and_specks_make_none(tmp_path):
    region = mask()
    region[105:118, 2:148] = 99
    region[2:4, 2:140][region[2:4, 2:140] == 0] = 99
    found = centroids(region, tmp_path / "a.png").done()
    assert len(found.points) == 30 and found.left == {FAR_LARGER: 1}
    specks = mask()
    specks[112, 3:140:3] = np.arange(100, 146)  # more specks than cells
    assert len(centroids(specks, tmp_path / "a.png").points) == 76
    assert not len(centroids(np.ones((40, 50), int), tmp_path / "a.png").points)  # an image without a cell


# -- GeoJSON and JSON --------------------------------------------------------------------------------------


def qupath(kind, x, y, name=None, r=5.0):
    properties = {"objectType": kind} | ({"classification": {"name": name}} if name else {})
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [square(x, y, r)]},
            "properties": properties}  # fmt: skip


def test_detections_inside_cells_are_no_cells():
    cells = [qupath("cell", x, y, "a") for x, y in PLACES]
    nuclei = [qupath("detection", x + 2.5, y - 2, "a", 2) for x, y in PLACES]
    alone = [qupath("detection", 170, 30 * k + 10, "b") for k in range(3)]
    found = read_features([*cells, *nuclei, *alone]).done()
    assert len(found.names) == 33 and found.left == {WITHIN: 30}
    assert sorted(set(found.names)) == ["a", "b"] and found.entries[-1] == 62


def test_detections_beside_cells_stay_and_those_with_the_classes_too():
    cells = [qupath("cell", x, y, "a") for x, y in PLACES]
    beside = [qupath("detection", x + 9, y + 9, "b", 2) for x, y in PLACES]
    assert len(read_features([*cells, *beside]).names) == 60
    bare = [qupath("cell", x, y) for x, y in PLACES]
    nuclei = [qupath("detection", x, y, "a", 2) for x, y in PLACES]
    assert read_features([*bare, *nuclei]).names.count("a") == 30


@pytest.mark.parametrize("ending", [".geojson", ".json"])
def test_json_by_lines_is_named(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    path.write_text("\n".join(json.dumps(qupath("cell", x, y, "a")) for x, y in PLACES))
    with pytest.raises(CellscaperError, match="holds JSON by lines: save GeoJSON as one FeatureCollection"):
        read_annotated(path, format_of(path))
    path.write_text("{} x")
    with pytest.raises(CellscaperError, match="Extra data"):
        read_annotated(path, "geojson")


@pytest.mark.parametrize("ending", [".geojson", ".json"])
def test_a_list_of_places_is_no_known_form(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    path.write_text(json.dumps([{"x": x, "y": y, "class": "a"} for x, y in PLACES]))
    with pytest.raises(CellscaperError, match="a list of objects with x, y, class.*these are read: text tables"):
        read_annotated(path, format_of(path))


def test_an_empty_object_is_an_image_without_nuclei_in_a_folder_alone(tmp_path):
    (tmp_path / "a.json").write_text("{ }\n")
    assert format_of(tmp_path / "a.json") == "hovernet"
    assert not read_annotated(tmp_path / "a.json", "hovernet").names
    with pytest.raises(CellscaperError, match="an object with no member"):
        read(tmp_path / "a.json", GIVEN)
    for text in ('{"type": "FeatureCollection", "features": []}', '{"mag": 20, "nuc": {}}'):
        (tmp_path / "a.json").write_text(text)
        said = []
        assert not len(read(tmp_path / "a.json", GIVEN, say=said.append).points) and "no cell was read" in said[-1]


# -- MATLAB ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM", b"".ljust(128)])
def test_matlab_7_3_is_named(tmp_path, header):
    """MATLAB's header of 512 bytes ends as that of version 5; h5py writes none."""
    (tmp_path / "a.mat").write_bytes(header.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(CellscaperError, match="version 7.3, which is not read; save it with -v7$"):
        read_arrays(tmp_path / "a.mat", ["x"])
    savemat(tmp_path / "b.mat", {"x": np.arange(3.0)})
    assert read_arrays(tmp_path / "b.mat", ["x"])
