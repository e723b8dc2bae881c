"""Unknown content is read by its meaning, or named in a line: classes, objects, geometry, tables."""

import json

import numpy as np
import pytest

from cellscaper.datasets.survey_start import starts
from cellscaper.disk.formats.class_names import alike, spelled_as


@pytest.mark.parametrize("key", ["cell_type", "className", "phenotype", "CellClass", "prediction"])
def test_a_class_in_any_property_that_names_few_classes(world, tmp_path, feature, key):
    folder = world.geojson(tmp_path / "d", lambda j, y, x, c: feature(x, y, **{"id": j, key: c, "prob": 0.5}))
    result = world.check(folder)
    assert world.right(result) and result.complains(repr(key))


def test_an_object_number_in_a_property_is_no_class(world, tmp_path, feature):
    folder = world.geojson(tmp_path / "d", lambda j, y, x, c: feature(x, y, label=j + 1, name=f"cell {j}", type=c))
    assert world.right(world.check(folder))
    for file in folder.glob("*.geojson"):
        file.write_text(file.read_text().replace('"type": "tumor"', '"x": 1').replace('"type": "lymphocyte"', '"x": 1'))
    result = world.check(folder)
    assert result.cells == world.total() and result.settings["classes"] == ["unclassified"]
    assert result.complains("no cell has a class")


@pytest.mark.parametrize(
    "make",
    [
        lambda c: json.dumps({"name": c, "colorRGB": -1}),
        lambda c: c + "  ",
        lambda c: {"names": [c]},
        lambda c: [c],
        lambda c: {"Name": c, "Probability": 0.3},
    ],
)
def test_a_classification_in_any_form(world, tmp_path, feature, make):
    assert world.right(
        world.check(world.geojson(tmp_path / "d", lambda j, y, x, c: feature(x, y, classification=make(c))))
    )


@pytest.mark.parametrize("whole", ["properties", "geometry", "feature"])
def test_objects_written_as_text_are_read(world, tmp_path, feature, whole):
    def make(j, y, x, c):
        found = feature(x, y, classification={"name": c})
        return json.dumps(found) if whole == "feature" else {**found, whole: json.dumps(found[whole])}

    assert world.right(world.check(world.geojson(tmp_path / "d", make)))


@pytest.mark.parametrize(
    ("kind", "word"),
    [("tile", "tiles"), ("tmaCore", "TMA cores"), ("TMA core", "TMA cores"), ("annotation", "annotations around cells"),
     ("root", "root objects")],
)  # fmt: skip
def test_other_objects_of_qupath_are_counted(world, tmp_path, feature, kind, word):
    other = feature(60, 60, 40, objectType=kind, classification={"name": "tumor"})
    make = lambda j, y, x, c: feature(x, y, objectType="cell", classification={"name": c})  # noqa: E731
    result = world.check(world.geojson(tmp_path / "d", make, extra=[other]))
    assert world.right(result) and result.complains("6", word, "left out")


def test_regions_without_a_kind_are_known_by_the_cells_inside(world, tmp_path, feature):
    other = [
        feature(60, 60, 45, classification={"name": "tumor"}),
        feature(120, 120, 30, classification={"name": "stroma"}),
    ]
    make = lambda j, y, x, c: feature(x, y, classification={"name": c})  # noqa: E731
    result = world.check(world.geojson(tmp_path / "d", make, extra=other))
    assert world.right(result) and result.complains("12 regions around cells are left out")


def test_points_of_annotations_are_cells(world, tmp_path):
    def make(j, y, x, c):
        properties = {"objectType": "annotation", "classification": {"name": c}}
        return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [x, y]}, "properties": properties}

    assert world.right(world.check(world.geojson(tmp_path / "d", make)))


def test_points_of_one_annotation_a_class_are_cells(world, tmp_path):
    folder = world.geojson(tmp_path / "d", lambda *_: None)
    for i in range(world.n):
        found = [
            {"type": "Feature", "properties": {"objectType": "annotation", "classification": {"name": name}},
             "geometry": {"type": "MultiPoint", "coordinates": [[x, y] for y, x, c in world.cells(i) if c == name]}}
            for name in ("tumor", "lymphocyte")
        ]  # fmt: skip
        (folder / f"s_{i:02d}.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": found}))
    assert world.right(world.check(folder))


def test_a_cell_cut_in_two_by_a_border_of_tiles_is_one(world, tmp_path):
    def make(j, y, x, c):
        def ring(a, b):
            return [[[x + a, y - 5], [x + b, y - 5], [x + b, y + 5], [x + a, y + 5], [x + a, y - 5]]]

        parts = {"type": "MultiPolygon", "coordinates": [ring(-6, -0.4), ring(0.4, 5)]}
        return {"type": "Feature", "geometry": parts, "properties": {"classification": {"name": c}}}

    result = world.check(world.geojson(tmp_path / "d", make))
    assert result.counts == world.counts()


def test_parts_that_lie_far_apart_are_cells(world, tmp_path):
    folder = world.geojson(tmp_path / "d", lambda *_: None)
    for i in range(world.n):
        cells = world.cells(i)
        found = [
            {"type": "Feature", "properties": {"classification": {"name": name}},
             "geometry": {"type": "GeometryCollection", "geometries": [
                 {"type": "Polygon", "coordinates": [[[x - 3, y - 3], [x + 3, y - 3], [x + 3, y + 3], [x - 3, y + 3]]]}
                 for y, x, c in cells if c == name]}}
            for name in ("tumor", "lymphocyte")
        ]  # fmt: skip
        (folder / f"s_{i:02d}.geojson").write_text(json.dumps(found))
    result = world.check(folder)
    assert world.right(result) and result.complains("each part is a cell")


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (0, 1, 3, 2), (0, 2, 3, 1)])
def test_an_outline_that_crosses_itself_stays_inside_itself(world, tmp_path, order):
    def make(j, y, x, c):
        corners = [[x - 5, y - 5], [x + 5, y - 5], [x + 5, y + 5], [x - 5, y + 5]]
        ring = [corners[k] for k in order]
        geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        return {"type": "Feature", "geometry": geometry, "properties": {"classification": {"name": c}}}

    result = world.check(world.geojson(tmp_path / "d", make))
    gap = np.abs(result.records[0].points[:, None] - world.points(0)).max(axis=-1)
    assert result.counts == world.counts() and gap.min(axis=0).max() < 3.5


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"geometry": {"type": "Point", "coordinates": ["a", 1]}}, ["feature 7", "x is 'a'"]),
        ({"geometry": {"type": "Curve", "coordinates": [1]}}, ["feature 7", "Curve", "points or outlines"]),
        ({"geometry": "POINT (1 2)"}, ["feature 7", "POINT (1 2)", "expected an object"]),
        ({"properties": [1]}, ["feature 7", "properties are [1]"]),
        ({"properties": {"classification": {"id": 4}}}, ["feature 7", "expected its name"]),
    ],
)
def test_what_cannot_be_read_names_the_feature_and_what_was_found(world, tmp_path, feature, bad, words):
    def make(j, y, x, c):
        return {**feature(x, y, classification={"name": c}), **(bad if j == 7 else {})}

    fault = world.check(world.geojson(tmp_path / "d", make)).fault
    assert all(word in fault for word in words), fault
    assert not any(word in fault for word in ("NoneType", "has no attribute", "indices"))


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("tumor", " tumor "), ("é", "e\u0301"), ("a b", "a  b")])
def test_spellings_that_are_surely_one_are_one(world, tmp_path, one, other):
    folder = world.plain(tmp_path / "d")
    for i in range(world.n):
        rows = [
            f"{y},{x},{(one if j % 2 else other) if c == 'tumor' else 'o'}"
            for j, (y, x, c) in enumerate(world.cells(i))
        ]
        (folder / f"s_{i:02d}.csv").write_text("y,x,class\n" + "\n".join(rows), encoding="utf-8")
    result = world.check(folder)
    assert sorted(result.counts.values()) == sorted(world.counts().values())


def test_capitals_alone_are_one_class_and_said_unless_the_user_parts_them(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    file = folder / "s_00.csv"
    file.write_text(file.read_text().replace("tumor", "TUMOR"))
    result = world.check(folder)
    assert world.right(result) and result.complains("'TUMOR' as 'tumor'")
    result = world.check(folder, "--classes", "TUMOR=a,tumor=b,lymphocyte=c")
    assert set(result.counts) == {"a", "b", "c"}


@pytest.mark.parametrize("name", ['"a,b"', "a=b", "a b"])
def test_classes_can_name_everything_that_a_file_holds(world, tmp_path, name):
    folder = world.plain(tmp_path / "d")
    for file in folder.glob("*.csv"):
        file.write_text(file.read_text().replace("tumor", name))
    result = world.check(folder, "--classes", f"{name}=tumor,lymphocyte=lymphocyte")
    assert world.right(result)


@pytest.mark.parametrize("word", ["", "NaN", "null", "N/A", "<NA>"])
def test_cells_without_a_class_are_counted_and_can_be_kept(world, tmp_path, word):
    folder = world.plain(tmp_path / "d")
    for i in range(world.n):
        cells = [(y, x, c if j % 5 else word) for j, (y, x, c) in enumerate(world.cells(i))]
        world.table(folder / f"s_{i:02d}.csv", i, cells=cells)
    result = world.check(folder)
    assert result.counts == world.counts(lambda j: j % 5)
    lost = world.total() - result.cells
    assert result.complains(f"{lost} cells without a class are left out")
    kept = world.check(folder, "--classes", "tumor=tumor,lymphocyte=lymphocyte,unclassified=other")
    assert kept.counts["other"] == lost


@pytest.mark.parametrize("words", [["Unclassified", "unknown", "?"], ["UNKNOWN", "not classified", "n/a"]])
def test_words_for_no_class_are_left_out_and_told_or_kept_under_a_name(world, tmp_path, words):
    world.save(tmp_path / "d")
    for i in range(world.n):
        cells = [(y, x, words[j] if j < 3 else c) for j, (y, x, c) in enumerate(world.cells(i))]
        world.table(tmp_path / f"d/s_{i:02d}.csv", i, cells=cells)
    result = world.check(tmp_path / "d")
    assert result.counts == world.counts(lambda j: j > 2)
    assert result.complains("18 cells without a class", repr(words[0]), "left out")
    kept = world.check(tmp_path / "d", "--classes", "tumor=tumor,lymphocyte=lymphocyte,unclassified=other")
    assert kept.counts == {**world.counts(lambda j: j > 2), "other": 18}
    parted = world.check(tmp_path / "d", "--classes", f"tumor=tumor,lymphocyte=lymphocyte,{words[1]}=second")
    assert parted.counts == {**world.counts(lambda j: j > 2), "second": 6}


@pytest.mark.parametrize("word", ["unknown", "Unclassified"])
def test_cells_that_all_have_a_word_for_no_class_are_one_class(world, tmp_path, word):
    result = world.check(world.plain(tmp_path / "d", row=f"{{y}},{{x}},{word}"))
    assert result.counts == {"unclassified": world.total()} and result.complains("no cell has a class")


def test_an_image_that_loses_all_its_cells_is_named(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    world.table(folder / "s_03.csv", 3, row="{y},{x},nan")
    result = world.check(folder)
    assert result.complains(
        "1 image has no cell of a class and counts as empty, first s_03.png, whose 90 cells are without"
    )
    assert not world.check(world.plain(tmp_path / "e")).complains("counts as empty")


@pytest.mark.parametrize(
    ("usual", "other"), [(("a", "b"), ("1", "2")), (("1", "2"), ("0", "1")), (("t", "l"), ("T c", "l c"))]
)
def test_a_file_whose_classes_differ_from_all_others_is_named(world, tmp_path, usual, other):
    world.save(tmp_path / "d")
    for i in range(world.n):
        names = dict(zip(("tumor", "lymphocyte"), other if i == 2 else usual, strict=True))
        world.table(tmp_path / f"d/s_{i:02d}.csv", i, cells=[(y, x, names[c]) for y, x, c in world.cells(i)])
    assert world.check(tmp_path / "d").complains("s_02.csv has the classes", "the other 5 images")


def test_a_rare_class_of_one_file_is_no_odd_file(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    cells = [(y, x, "mitosis" if j < 20 else c) for j, (y, x, c) in enumerate(world.cells(2))]
    world.table(folder / "s_02.csv", 2, cells=cells)
    assert not world.check(folder).complains("has the classes")


def test_classes_that_qupath_ignores_are_told_with_the_option_that_leaves_them_out(world, tmp_path):
    world.save(tmp_path / "d")
    for i in range(world.n):
        cells = [(y, x, "Ignore*" if j < 5 else c) for j, (y, x, c) in enumerate(world.cells(i))]
        world.table(tmp_path / f"d/s_{i:02d}.csv", i, cells=cells)
    result = world.check(tmp_path / "d")
    assert result.complains("class Ignore* (30 cells)", "--classes 'Ignore*=,lymphocyte=lymphocyte,tumor=tumor'")
    less = world.check(tmp_path / "d", "--classes", "Ignore*=,lymphocyte=lymphocyte,tumor=tumor")
    assert less.counts == world.counts(lambda j: j >= 5)


@pytest.mark.parametrize("pair", [("tumor", "tumour"), ("stroma", "Stromal"), ("epithelial", "epithelium"),
                                  ("Tumour cell", "tumor-cells")])  # fmt: skip
def test_two_spellings_of_a_class_are_alike(pair):
    assert [set(group) for group in alike([*pair, "lymphocyte", "plasma", "class_1", "class_2"])] == [set(pair)]


def test_capitals_do_not_part_classes_from_those_of_bundled_weights():
    known = starts(["lymphocyte", "Epithelial", "Plasma"], 0.5, 256).lines
    assert any("lymphocyte, Epithelial as there, Plasma anew" in line for line in known), known
    assert spelled_as(["epithelial", "stromal"], ["EPITHELIAL", "Plasma"]) == ["EPITHELIAL", "stromal"]
    assert spelled_as(["a", "A"], ["A", "b"]) == ["a", "A"]
