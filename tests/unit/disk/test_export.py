"""Layouts in the files of other programs: round trips, files of other programs, and what is refused."""

import csv
import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cellscaper.disk import export
from cellscaper.disk.formats.facts import Given
from cellscaper.disk.storage import read_layouts, read_provenance, write_layouts
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet

NAMES = ("lymphocyte", "epithelial, in situ", 'str"oma', "ü")
TEXT = (".geojson", ".csv", ".json", ".h5ad")
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)
SMALL = Given(size=(100, 200), mpp=0.25)


def example(counts=(5, 0, 3)):
    rng = np.random.default_rng(0)
    sizes = [(40 + i, 50) for i in range(len(counts))]
    items = [
        Layout(rng.uniform(0, size, (n, 2)).astype(np.float32), rng.integers(0, 4, n).astype(np.uint8), size, f"a{n}")
        for n, size in zip(counts, sizes, strict=True)
    ]
    columns = {"target": np.arange(len(counts)), "share": np.linspace(0, 1, 2 * len(counts)).reshape(-1, 2)}
    return LayoutSet.build(items, NAMES, 0.5, columns)


@st.composite
def layout_sets(draw):
    """Any LayoutSet of at least one layout; float32 of all sizes in it."""
    classes = draw(st.lists(WORDS.filter(str.strip), min_size=1, max_size=5, unique_by=str.strip))
    classes = [name.strip() for name in classes]
    items = []
    for _ in range(draw(st.integers(1, 3))):
        size = draw(st.tuples(st.integers(1, 5000), st.integers(1, 5000)))
        n = draw(st.integers(0, 4))
        unit = draw(arrays.arrays(np.float32, (n, 2), elements=st.floats(0, 0.9921875, width=32)))
        labels = draw(arrays.arrays(np.uint8, n, elements=st.integers(0, len(classes) - 1)))
        origin = draw(st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(0, 9)))
        items.append(Layout(unit * np.array(size, np.float32), labels, size, draw(WORDS), origin))
    n = len(items)
    columns = {
        draw(WORDS) + "i": draw(arrays.arrays(st.sampled_from([np.int64, np.uint8, np.bool_]), (n, 2))),
        "f": draw(arrays.arrays(st.sampled_from([np.float32, np.float64]), n)),
        "s": np.array(draw(st.lists(WORDS, min_size=n, max_size=n)), np.str_),
    }
    return LayoutSet.build(items, classes, draw(st.floats(0.01, 100)), columns)


def same(one, two):
    """Equal, where NaN in columns equals NaN."""
    floats = [name for name, column in one.columns.items() if column.dtype.kind == "f"]
    plain = [
        LayoutSet(**{**vars(x), "columns": {k: v for k, v in x.columns.items() if k not in floats}}) for x in (one, two)
    ]
    close = all(np.array_equal(one.columns[name], two.columns[name], equal_nan=True) for name in floats)
    types = {name: column.dtype for name, column in one.columns.items() if column.dtype.kind != "U"}
    return plain[0] == plain[1] and close and all(two.columns[name].dtype == kind for name, kind in types.items())


# -- round trips ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", export.ENDINGS)
def test_an_ordinary_set_comes_back_equal(tmp_path, ending):
    layouts = example()
    export.write(tmp_path / f"x{ending}", layouts, {"stage": "test"})
    assert export.read(tmp_path / f"x{ending}") == layouts
    assert [p.name for p in tmp_path.iterdir()] == [f"x{ending}"]


@pytest.mark.slow
@pytest.mark.parametrize("ending", TEXT)
@settings(max_examples=60)
@given(layouts=layout_sets())
def test_any_set_comes_back_equal(tmp_path_factory, ending, layouts):
    path = tmp_path_factory.mktemp("trip") / f"x{ending}"
    export.write(path, layouts, {})
    found = export.read(path)
    assert list(found.columns) == list(layouts.columns)
    assert same(layouts, found)


@pytest.mark.parametrize("ending", TEXT)
@pytest.mark.parametrize("name", ["a\rb", "a\r\nb", "a\nb", 'a"b', "a,b"])
def test_names_with_signs_of_the_format_come_back(tmp_path, ending, name):
    layouts = LayoutSet.build([Layout(np.ones((1, 2), np.float32), np.zeros(1, np.uint8), (4, 4))], (name,), 0.5)
    export.write(tmp_path / f"x{ending}", layouts, {})
    assert export.read(tmp_path / f"x{ending}") == layouts


@pytest.mark.parametrize("ending", [one for one in export.ENDINGS if one != ".napari.csv"])
def test_a_set_without_layouts_keeps_classes_and_pixel_size(tmp_path, ending):
    layouts = example()[:0]
    export.write(tmp_path / f"x{ending}", layouts, {})
    found = export.read(tmp_path / f"x{ending}")
    assert (len(found), found.classes, found.mpp) == (0, NAMES, 0.5)


def test_hdf5_written_layout_by_layout_is_the_same_file_to_readers(tmp_path):
    layouts = example()
    export.write(tmp_path / "stream.h5", layouts, {"stage": "one"})
    write_layouts(tmp_path / "whole.h5", layouts, {"stage": "one"})
    assert read_layouts(tmp_path / "stream.h5") == read_layouts(tmp_path / "whole.h5") == layouts
    assert read_layouts(tmp_path / "stream.h5", select=slice(2, 3)) == layouts[2:3]
    assert read_provenance(tmp_path / "stream.h5") == {"stage": "one"}


@pytest.mark.parametrize("ending", export.ENDINGS)
def test_a_failure_half_way_leaves_nothing(tmp_path, ending):
    layout = example().layout(0)
    with pytest.raises(RuntimeError), export.writer(tmp_path / f"x{ending}", NAMES, 0.5, {}) as append:
        append(layout, {})
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


# -- what other programs see ---------------------------------------------------------------------------------


def test_geojson_is_what_qupath_opens(tmp_path):
    layouts = example()
    export.write(tmp_path / "x.geojson", layouts, {})
    data = json.loads((tmp_path / "x.geojson").read_text())
    assert data["type"] == "FeatureCollection"
    assert len(data["features"]) == 8
    first = data["features"][0]
    y, x = layouts.points[0].tolist()
    assert first["type"] == "Feature"
    assert first["geometry"]["type"] == "Point"
    assert first["geometry"]["coordinates"] == pytest.approx([x, y], rel=1e-6)
    assert first["properties"]["objectType"] == "detection"
    assert first["properties"]["classification"]["name"] == NAMES[layouts.labels[0]]
    colours = {
        f["properties"]["classification"]["name"]: tuple(f["properties"]["classification"]["color"])
        for f in data["features"]
    }
    assert len(set(colours.values())) == len(colours)
    assert colours.get("lymphocyte", (0, 114, 178)) == (0, 114, 178)
    assert all(isinstance(v, int) and 0 <= v <= 255 for shade in colours.values() for v in shade)
    assert [f["properties"]["layout"] for f in data["features"]] == [0] * 5 + [2] * 3


def test_coco_is_complete(tmp_path):
    layouts = example()
    export.write(tmp_path / "x.json", layouts, {})
    data = json.loads((tmp_path / "x.json").read_text())
    assert [(one["id"], one["height"], one["width"]) for one in data["images"]] == [
        (1, 40, 50),
        (2, 41, 50),
        (3, 42, 50),
    ]
    assert [one["name"] for one in data["categories"]] == list(NAMES)
    assert len({one["id"] for one in data["annotations"]}) == 8
    for one in data["annotations"]:
        x, y, seen = one["keypoints"]
        left, top, width, height = one["bbox"]
        assert (seen, one["num_keypoints"], one["iscrowd"], one["area"]) == (2, 1, 0, width * height)
        assert (left + width / 2, top + height / 2) == pytest.approx((x, y), abs=1e-3)


def test_csv_is_a_plain_table(tmp_path):
    layouts = example()
    export.write(tmp_path / "x.csv", layouts, {})
    with open(tmp_path / "x.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["layout"] for row in rows] == ["0"] * 5 + ["1"] + ["2"] * 3
    assert [np.float32(row["y"]) for row in rows if row["y"]] == layouts.points[:, 0].tolist()
    assert [row["class"] for row in rows if row["y"]] == [NAMES[i] for i in layouts.labels]


# -- files of other programs ---------------------------------------------------------------------------------


def feature(geometry, kind="Tumor", **properties):
    return {"type": "Feature", "geometry": geometry, "properties": {"classification": {"name": kind}, **properties}}


def test_geojson_of_qupath_is_read(tmp_path):
    square = [[10, 20], [14, 20], [14, 24], [10, 24], [10, 20]]
    found = [
        feature({"type": "Point", "coordinates": [3, 4]}),
        feature({"type": "MultiPoint", "coordinates": [[5, 6], [7, 8]]}, "Stroma"),
        feature({"type": "Polygon", "coordinates": [square]}, objectType="cell"),
        {
            **feature({"type": "Point", "coordinates": [1, 2]}),
            "properties": {"classification": {"names": ["Tumor", "Ki-67"]}},
        },
    ]
    for name, data in (("collection", {"type": "FeatureCollection", "features": found}), ("list", found)):
        (tmp_path / f"{name}.geojson").write_text(json.dumps(data))
        layouts = export.read(tmp_path / f"{name}.geojson", SMALL)
        assert layouts.classes == ("Stroma", "Tumor", "Tumor: Ki-67")
        assert layouts.points.tolist() == [[4, 3], [6, 5], [8, 7], [22, 12], [2, 1]]
        assert layouts.labels.tolist() == [1, 0, 0, 1, 2]
        assert (layouts.common_size(), layouts.mpp) == ((100, 200), 0.25)


def test_centroids_of_polygons_are_those_of_shapely_like_triangles(tmp_path):
    rng = np.random.default_rng(1)
    for _ in range(20):
        triangle = rng.uniform(0, 100, (3, 2))
        ring = [*triangle.tolist(), triangle[0].tolist()]
        (tmp_path / "x.geojson").write_text(json.dumps(feature({"type": "Polygon", "coordinates": [ring]})))
        assert export.read(tmp_path / "x.geojson", SMALL).points[0] == pytest.approx(
            triangle.mean(axis=0)[::-1], rel=1e-5
        )


def test_coco_boxes_and_csv_columns_of_other_programs_are_read(tmp_path):
    data = {
        "images": [{"id": 7, "file_name": "a.png", "height": 50, "width": 60}],
        "categories": [{"id": 9, "name": "b"}, {"id": 4, "name": "a"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 9, "bbox": [10, 20, 4, 6]}],
    }
    (tmp_path / "x.json").write_text(json.dumps(data))
    layouts = export.read(tmp_path / "x.json", Given(mpp=0.5))
    assert (layouts.classes, layouts.points.tolist(), layouts.labels.tolist()) == (("a", "b"), [[23, 12]], [1])
    assert (layouts.source.tolist(), layouts.common_size()) == (["a.png"], (50, 60))
    (tmp_path / "x.csv").write_text("id,X,Y,Class\n1,5.5,6,b\n2,1,2,a\n")
    layouts = export.read(tmp_path / "x.csv", Given(size=(9, 9), mpp=0.5, classes=("b", "a")))
    assert (layouts.points.tolist(), layouts.labels.tolist()) == ([[6, 5.5], [2, 1]], [0, 1])


def test_cells_without_a_class_are_left_out_and_counted(tmp_path):
    found = [feature({"type": "Point", "coordinates": [3, 4]}), {**feature({"type": "Point", "coordinates": [5, 6]})}]
    found[1]["properties"] = {}
    (tmp_path / "x.geojson").write_text(json.dumps(found))
    (tmp_path / "x.csv").write_text("y,x,class\n4,3,Tumor\n6,5,\n")
    for name in ("x.geojson", "x.csv"):
        said = []
        layouts = export.read(tmp_path / name, SMALL, say=said.append)
        assert layouts.classes == ("Tumor",) and layouts.points.tolist() == [[4, 3]]
        assert said == ["1 cell without a class is left out; --classes Tumor,unclassified keeps them"]
        said.clear()
        layouts = export.read(tmp_path / name, Given((100, 200), 0.25, ("Tumor",)), say=said.append)
        assert layouts.points.tolist() == [[4, 3]] and said == ["1 cell without a class is left out"]


def test_facts_belong_to_the_number_of_a_layout(tmp_path):
    layouts = example()
    export.write(tmp_path / "x.csv", layouts, {})
    head, *rows = (tmp_path / "x.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "y.csv").write_text("\n".join([head, *rows[::-1], ",,,,", ""]), encoding="utf-8")
    back = export.read(tmp_path / "y.csv")
    assert (back.size == layouts.size).all() and back.source.tolist() == layouts.source.tolist()
    assert all(sorted(a.points.tolist()) == sorted(b.points.tolist()) for a, b in zip(back, layouts, strict=True))
    (tmp_path / "z.csv").write_text("\n".join([head, *rows[1:]]), encoding="utf-8")
    with pytest.raises(CellscaperError, match="facts of layout 0 are missing|pixel is"):
        export.read(tmp_path / "z.csv")


# -- what is refused -----------------------------------------------------------------------------------------

POINT = feature({"type": "Point", "coordinates": [3, 4]})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.geojson", "", "is not GeoJSON"),
        ("x.geojson", "[" * 100_000, "is not GeoJSON"),
        ("x.geojson", "3", "expected a FeatureCollection"),
        ("x.geojson", '{"type": "FeatureCollection"}', "'features'"),
        ("x.geojson", json.dumps([{**POINT, "properties": [1]}]), "feature 0: properties are [1], expected an object"),
        ("x.geojson", json.dumps([feature({"type": "Point", "coordinates": ["a", 4]})]), "x is 'a'"),
        ("x.geojson", json.dumps([feature({"type": "Point", "coordinates": [float("inf"), 4]})]), "x is 'inf'"),
        ("x.geojson", json.dumps([feature({"type": "Point", "coordinates": [10**400, 4]})]), "expected a number of px"),
        ("x.geojson", json.dumps([feature({"type": "Point", "coordinates": [True, 4]})]), "x is 'True'"),
        (
            "x.geojson",
            json.dumps([feature({"type": "LineString", "coordinates": [[3, 4]]})]),
            "lines with open ends, expected",
        ),
        ("x.geojson", json.dumps([feature({"type": "Point", "coordinates": [300, 4]})]), "lies outside its 100×200 px"),
        ("x.json", "3", "is not JSON of a known format (it holds 3)"),
        ("x.json", '{"images": [], "annotations": [], "categories": [{"id": [], "name": "a"}]}', "is not COCO"),
        (
            "x.json",
            '{"images": [], "categories": [], "annotations": [{"image_id": 1, "category_id": 2}]}',
            "category_id '2'",
        ),
        ("x.csv", "", "is empty; expected a table of cells with the columns y, x and class"),
        ("x.csv", "a,b,class\n1,2,c\n", "no columns y and x among a, b, class"),
        ("x.csv", "y,x,class\n1,2\n", "x.csv:2: 2 columns in '1,2', expected 3"),
        ("x.csv", "y,x,class\n1,zwei,a\n", "zwei"),
        ("x.csv", "y,x,class\n1,inf,a\n", "x is 'inf'"),
        ("x.csv", 'y,x,class\n1,2,"a\n', "is not a line of a comma-separated table"),
        ("x.csv", "y,x,class,layout\n1,2,a,-1\n", "layout is '-1'"),
        ("x.doc", "", "unknown ending '.doc'"),
        ("x.h5", "no", "is not a readable HDF5 file"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(CellscaperError) as caught:
        export.read(tmp_path / name, SMALL)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x.geojson", "x.csv", "x.json"])
def test_what_a_file_does_not_say_must_be_given(tmp_path, name):
    texts = {
        "x.geojson": json.dumps(POINT),
        "x.csv": "y,x,class\n1,2,a\n",
        "x.json": '{"images": [], "categories": [], "annotations": []}',
    }
    (tmp_path / name).write_text(texts[name])
    with pytest.raises(CellscaperError, match="give --mpp"):
        export.read(tmp_path / name, Given(size=(9, 9)))
    if name != "x.json":
        with pytest.raises(CellscaperError, match="give --size"):
            export.read(tmp_path / name, Given(mpp=1))


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "nan", "a", "float64", "Point", "1e999"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "id", "size", "mpp", "classes", "columns", "layouts", "name"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def spoiled(value, junk, rng):
    """The value with one random part of it replaced."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.15:
        return junk
    key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
    copy = value.copy()
    copy[key] = spoiled(value[key], junk, rng)
    return copy


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".geojson", ".json"])
@settings(max_examples=200)
@given(junk=JUNK, seed=st.integers(0, 10**6), again=st.booleans())
def test_spoiled_json_is_read_or_refused(tmp_path_factory, ending, junk, seed, again):
    path = tmp_path_factory.mktemp("spoiled") / f"x{ending}"
    export.write(path, example(), {})
    rng = random.Random(seed)
    data = spoiled(json.loads(path.read_text()), junk, rng)
    path.write_text(json.dumps(spoiled(data, junk, rng) if again else data))
    refused(path)


@pytest.mark.slow
@settings(max_examples=200)
@given(
    seed=st.integers(0, 10**6),
    piece=st.text(max_size=4) | st.sampled_from(['"', ",", "\n", '""', "-", "9" * 400, "nan", "\x00"]),
)
def test_spoiled_csv_is_read_or_refused(tmp_path_factory, seed, piece):
    path = tmp_path_factory.mktemp("spoiled") / "x.csv"
    export.write(path, example(), {})
    text = path.read_text(encoding="utf-8")
    rng = random.Random(seed)
    a = rng.randrange(len(text))
    path.write_bytes((text[:a] + piece + text[a + rng.randrange(4) :]).encode("utf-8", "surrogatepass"))
    refused(path)


@settings(max_examples=100)
@given(content=st.binary(max_size=40), ending=st.sampled_from(TEXT))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, ending):
    path = tmp_path_factory.mktemp("bytes") / f"x{ending}"
    path.write_bytes(content)
    refused(path)


def refused(path):
    """Reading gives a LayoutSet or our own error in one line; nothing else comes out."""
    try:
        assert isinstance(export.read(path, SMALL), LayoutSet)
    except CellscaperError as error:
        assert "\n" not in str(error)
