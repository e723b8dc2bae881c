"""What is said of other programs' cells: no place, lines, spellings, doubles, a corner, headers, codings, one-hot."""

import json
import math

import h5py
import numpy as np
import pytest

from cellscaper.datasets.naming import named_classes
from cellscaper.disk import export
from cellscaper.disk.formats.annotations import read_annotated
from cellscaper.disk.formats.class_names import told
from cellscaper.disk.formats.counted import counted
from cellscaper.disk.formats.facts import Given
from cellscaper.disk.formats.table_cells import TableForm, read_table
from cellscaper.disk.formats.table_form import find_form
from cellscaper.disk.formats.text_table import split_lines
from cellscaper.errors import CellscaperError

GIVEN = Given((100, 200), 0.5)


def read(path, text, given=GIVEN):
    """The layouts of a file with this text, and what is said."""
    said: list[str] = []
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return export.read(path, given, say=said.append), said


def feature(kind, coordinates, name="a", **more):
    properties = {"classification": {"name": name}, **more} if name else more
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("193,2,a\n29,3,b\n", "--columns y,x,class or --columns x,y,class"),
        ("193.0 2.0 1\n29.0 3.0 1\n", "'193.0 2.0 1'"),
        ("193;2\n29;3\n", "--columns y,x or --columns x,y"),
        ("a,193,2\nb,29,3\n", "--columns class,y,x or --columns class,x,y"),
        ("193,2,a\n150,3,b\n", "--columns y,x,class"),  # only one order fits 100 × 200 px: no image says so
    ],
)
def test_no_header_and_no_image_is_a_question(tmp_path, text, orders):
    with pytest.raises(CellscaperError, match="there is no header, and nothing tells which numbers are y and x") as one:
        read(tmp_path / "a.csv", text)
    assert orders in str(one.value)


def test_the_answer_is_taken(tmp_path):
    layouts, _ = read(tmp_path / "a.csv", "193,2,a\n29,3,b\n", Given((100, 200), 0.5, columns=["x", "y", "class"]))
    assert layouts.points.tolist() == [[2, 193], [3, 29]]


def test_cells_without_a_place_are_left_out_with_their_number(tmp_path):
    listed = [feature("Point", [1, 2]), feature("Point", [math.nan, 2]), feature("Point", [None, 3]),
              feature("MultiPoint", [[5, 5], [math.nan, 6]]),
              feature("Polygon", [[[0, 0], [4, 0], [4, math.nan]]])]  # fmt: skip
    layouts, said = read(tmp_path / "a.geojson", json.dumps(listed))
    assert layouts.points.tolist() == [[2, 1], [5, 5]]
    assert "3 features without a place are left out, first feature 1" in said
    assert "1 point without a place is left out, first in feature 3" in said
    nuclei = {"nuc": {"1": {"centroid": [1, 2], "type": 1}, "2": {"centroid": [math.nan, 2], "type": 1}}}
    layouts, said = read(tmp_path / "a.json", json.dumps(nuclei))
    assert len(layouts.points) == 1 and "1 cell without a place is left out, first entry 1" in said


def test_observations_without_a_place_are_left_out(tmp_path):
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file["obsm/spatial"] = np.array([[3.0, 4.0], [np.nan, 1.0], [5.0, 6.0]])
        file["obs/class"] = np.array(["a", "b", "a"], object)
    said: list[str] = []
    assert export.read(tmp_path / "a.h5ad", GIVEN, say=said.append).points.tolist() == [[4, 3], [6, 5]]
    assert "1 cell without a place is left out" in said
    found = read_annotated(tmp_path / "a.h5ad", "h5ad")
    assert (found.entries.tolist(), found.left) == ([0, 2], {"cells without a place": 1})


@pytest.mark.parametrize("kind", ["LineString", "MultiLineString"])
def test_measured_lines_among_cells_are_left_out(tmp_path, kind):
    line = [[0, 0], [9, 9]] if kind == "LineString" else [[[0, 0], [9, 9]], [[1, 1], [2, 9]]]
    cells = [feature("Point", [k, 2 * k]) for k in range(5)]
    layouts, said = read(
        tmp_path / "a.geojson", json.dumps([*cells, feature(kind, line, None, objectType="annotation")])
    )
    assert len(layouts.points) == 5 and "1 line with open ends (no cells) is left out, first feature 5" in said
    with pytest.raises(CellscaperError, match="all 1 features are lines with open ends, expected points or outlines"):
        read(tmp_path / "a.geojson", json.dumps([feature(kind, line)]))


def test_spellings_doubles_and_nothing_are_said(tmp_path):
    layouts, said = read(tmp_path / "a.csv", "y,x,class\n1,2,Tumor\n3,4,tumor\n1,2,Tumor\n9,9,T-cell\n8,1,T cells\n")
    assert layouts.classes == ("T cells", "T-cell", "Tumor")
    assert said == [
        "classes that differ in capital letters alone are one: 'tumor' as 'Tumor' (--classes keeps them apart)",
        "classes T cells, T-cell are alike: one class? --classes can give them one name",
        "1 cell lies within 1 px (at 20×) of another of the same class: doubles?",
    ]
    for name, text in (("a.csv", "y,x,class\n"), ("b.geojson", '{"type": "FeatureCollection", "features": []}')):
        layouts, said = read(tmp_path / name, text)
        assert not len(layouts.points) and said == ["no cell was read from this file: the result has none"]


def test_a_corner_is_said_of_every_format(tmp_path):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file["obsm/spatial"] = rng.uniform(1, 49, (60, 2))
        file["obs/class"] = np.array(["a"] * 60, object)
    said: list[str] = []
    export.read(tmp_path / "a.h5ad", Given((100, 100), 0.5), say=said.append)
    assert any("all 60 cells lie in the upper left 49% of the sides" in one for one in said)


def test_options_that_do_not_fit_the_table_are_named(tmp_path):
    with pytest.raises(CellscaperError, match=r"the table has 3 columns \('193,2,a'\), .* named for 2 \(x,y"):
        read_table("193,2,a\n29,3,b\n", TableForm(["x", "y"]), "a.csv")
    with pytest.raises(CellscaperError, match=r"a.csv:2: 2 columns in '29,3', expected 3; correct the line"):
        read_table("193,2,a\n29,3\n1,2,b\n", TableForm(["x", "y", "class"]), "a.csv")
    columns = {"y": "y", "x": "x", "class": "class"}
    with pytest.raises(
        CellscaperError, match="it has Row, Col, Type, and --columns or the other files say y 'y', x 'x'"
    ):
        read_table("Row,Col,Type\n1,2,a\n", TableForm(columns), "a.csv")
    with pytest.raises(CellscaperError, match="this file has no header, its first line is 1, 2, a; expected one with"):
        read_table("1,2,a\n3,4,b\n", TableForm(columns), "a.csv")


def test_text_in_another_coding_says_how_to_convert_it(tmp_path):
    with pytest.raises(
        CellscaperError, match=r"a.csv:2 is not UTF-8 .* '1,2,Drüse', .*iconv -f CP1252 -t UTF-8 .*a.csv"
    ):
        read(tmp_path / "a.csv", "y,x,class\n1,2,Drüse\n".encode("cp1252"))


def form_of(text, tmp_path):
    return find_form({tmp_path / "a.csv": split_lines(text, "a.csv")}, {})


def test_names_are_taken_before_their_numbers(tmp_path):
    rows = [f"{k},{k},{k % 3 + 1},{'abc'[k % 3]}" for k in range(12)]
    found = form_of("x,y,class,class_name\n" + "\n".join(rows), tmp_path)
    assert found.form.columns["class"] == "class_name"
    assert found.why == ("the class is column 'class_name', whose names go with the numbers of 'class' one to one",)
    rows[0] = "0,0,2,a"  # they differ
    assert form_of("x,y,class,class_name\n" + "\n".join(rows), tmp_path).form.columns["class"] == "class"


def test_a_column_for_each_class_is_named_as_not_read(tmp_path):
    rows = [f"{k},{2 * k},{int(k % 3 == 0)},{int(k % 3 == 1)},{int(k % 3 == 2)}" for k in range(12)]
    found = form_of("x,y,lymphocyte,tumour,stroma\n" + "\n".join(rows), tmp_path)
    assert found.question and "'lymphocyte', 'tumour', 'stroma' are 1 in one of them" in found.question
    rows[0] = "0,0,1,1,0"
    assert form_of("x,y,lymphocyte,tumour,stroma\n" + "\n".join(rows), tmp_path).question is None


def test_german_headers_are_read_and_images_are_offered_last(tmp_path):
    rows = [f"s{k // 6};{k};{2 * k};{'ab'[k % 2]}" for k in range(24)]
    found = form_of("Bild;X-Koordinate;Y-Koordinate;Klasse\n" + "\n".join(rows), tmp_path)
    assert found.form.columns["class"] == "Klasse"
    found = form_of("Praeparat;x;y;Art\n" + "\n".join(rows), tmp_path)
    assert "if it is 'Art' or 'Praeparat'" in found.why[-1]


def test_names_in_classes_hold_for_all_their_spellings():
    written = {"LYMPHOCYTE": 3, "lymphocyte": 9, "Tumor": 2, "stroma": 1, "Nerve": 1}
    assert told({"Lymphocyte": "L", "tumor": "T", "Tumor": "X", "TUMOR": "Y"}, ["lymphocyte", "tumOR"]) == {
        "Lymphocyte": "L", "lymphocyte": "L", "tumor": "T", "Tumor": "X", "TUMOR": "Y",
    }  # fmt: skip
    with pytest.raises(
        CellscaperError, match=r"classes 'Nerve' \(1 cell\), 'stroma' \(1 cell\) .*add Nerve=NAME,stroma=NAME"
    ):
        named_classes(written, {"lymphocyte": "L", "tumor": "T"})
    mapping, said = named_classes(written, {"lymphocyte": "L", "tumor": "T", "stroma": "S", "nerve": None})
    assert mapping["LYMPHOCYTE"] == mapping["lymphocyte"] == "L" and mapping["Nerve"] is None
    assert "'LYMPHOCYTE' ('L'), 'Tumor' ('T'), 'Nerve' (left out)" in said[0].replace("(L)", "('L')").replace(
        "(T)", "('T')"
    )


def test_numbers_and_things():
    assert [counted(1, one) for one in ("cells", "TMA cores", "lines of a kind")] == [
        "1 cell",
        "1 TMA core",
        "1 line of a kind",
    ]
    assert counted(2, "cells") == "2 cells"
