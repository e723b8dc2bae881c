"""The readers of other programs' files on random and broken input: cells in = cells out + cells named as left out.

200 inputs for each reader, 5000 in the campaign (CELLSCAPER_FUZZ=1000).
"""

import gzip
import json
import os
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.unit.fuzz.breaking import CHANGES, EDITS, broken, changed, put, refuses_or_reads

from cellscaper.datasets.identity import Names
from cellscaper.datasets.split_lists import listed_splits, listing
from cellscaper.disk import export
from cellscaper.disk.formats.annotations import format_of, read_annotated
from cellscaper.disk.formats.class_names import tidy
from cellscaper.disk.formats.facts import Given
from cellscaper.disk.formats.reading import read_text
from cellscaper.disk.formats.table_cells import TableForm, read_table
from cellscaper.disk.formats.table_form import find_form
from cellscaper.disk.formats.text_table import split_lines

pytestmark = pytest.mark.slow  # hundreds of random files for each reader

CAMPAIGN = "CELLSCAPER_FUZZ" in os.environ
CASES = 5 * int(os.environ.get("CELLSCAPER_FUZZ", "40"))
usual = settings(max_examples=CASES, suppress_health_check=list(HealthCheck), deadline=None, derandomize=not CAMPAIGN)
WIDE = (90, 110)  # height and width of the images


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("readers")


PLACES = st.tuples(st.integers(5, 84).map(float), st.integers(5, 104).map(float))
NAMES = st.sampled_from(["tumor", "Tumor ", "lymphocyte", "1", "2.0", "", "nan", None, "a,b", "é", "e\u0301"])


# -- files with a known number of entries ------------------------------------------------------------------------


def square(y, x, r=3):
    return [[x - r, y - r], [x + r, y - r], [x + r, y + r], [x - r, y + r], [x - r, y - r]]


@st.composite
def features(draw):
    """A feature that is one entry: a cell, or something that must be counted."""
    (y, x), name = draw(PLACES), draw(NAMES)
    kind = draw(st.sampled_from(["cell", "detection", "annotation", "tile", "TMA core", "root", None]))
    geometry = draw(st.sampled_from([
        {"type": "Point", "coordinates": [x, y]},
        {"type": "Polygon", "coordinates": [square(y, x)]},
        {"type": "Polygon", "coordinates": [square(y, x, 20)]},
        {"type": "Polygon", "coordinates": [[[x - 3, y - 3], [x + 3, y + 3], [x + 3, y - 3], [x - 3, y + 3]]]},
        {"type": "Polygon", "coordinates": [[[x, y]]]},
        {"type": "Polygon", "coordinates": [[[0, 0]] * 4]},
        {"type": "MultiPolygon", "coordinates": [[square(y, x)]]},
        {"type": "LineString", "coordinates": square(y, x)},
        {"type": "Polygon", "coordinates": []},
        {"type": "MultiPoint", "coordinates": []},
        None, {},
    ]))  # fmt: skip
    member = draw(st.sampled_from(["classification", "class", "label", "cell_type", "x"]))
    value = draw(st.sampled_from([name, {"name": name}, json.dumps({"name": name}), {"names": [name or "a"]}, None]))
    properties = {member: value} | ({"objectType": kind} if kind else {})
    found = {"type": "Feature", "geometry": geometry, "properties": draw(st.sampled_from([properties, None]))}
    return draw(st.sampled_from([found, json.dumps(found)]))


def nuclei(place, name, form):
    (y, x), box = place, [[place[0] - 2, place[1] - 2], [place[0] + 2, place[1] + 2]]
    return {"centroid": {"centroid": [x, y], "type": name}, "contour": {"contour": square(y, x), "type": name},
            "bbox": {"bbox": box, "type": name}, "next": [name, [y, x]]}[form]  # fmt: skip


CELLS = st.lists(st.tuples(PLACES, NAMES, st.sampled_from(["centroid", "contour", "bbox", "next"])), max_size=8)
SHAPES = st.sampled_from(["point", "polygon", "rectangle", "circle", "line", "linestrip"])


def consistent(found, entries):
    """Whether nothing was lost in silence, and all is well-formed."""
    assert len(found.points) == len(found.names) == len(found.entries)
    assert np.isfinite(found.points).all()
    assert all(name == tidy(name) for name in found.names)
    assert len(found.points) + sum(found.left.values()) == entries, (found, entries)


@usual
@given(listed=st.lists(features(), max_size=9), form=st.sampled_from(["list", "collection", "packed"]))
def test_geojson_loses_no_feature(folder, listed, form):
    data = listed if form == "list" else {"type": "FeatureCollection", "features": listed}
    text = json.dumps(data).encode()
    path = put(
        folder, "a.geojson.gz" if form == "packed" else "a.geojson", gzip.compress(text) if form == "packed" else text
    )
    found = refuses_or_reads(read_annotated, path, format_of(path))
    if found is not None:
        consistent(found, len(listed))


@usual
@given(
    cells=CELLS, form=st.sampled_from(["nuc", "inner", "cellvit"]), names=st.sampled_from([None, {"1": "a"}, {"b": 2}])
)
def test_hovernet_and_cellvit_lose_no_nucleus(folder, cells, form, names):
    if form == "cellvit":
        data = {"type_map": names, "cells": [nuclei(p, n, "bbox" if f == "next" else f) for p, n, f in cells]}
    else:
        inner = {str(i): nuclei(p, n, f) for i, (p, n, f) in enumerate(cells)}
        data = inner if form == "inner" else {"mag": 40, "nuc": inner, "type_map": names}
    path = put(folder, "a.json", json.dumps(data).encode())
    found = refuses_or_reads(lambda: read_annotated(path, format_of(path)))
    if found is not None:
        consistent(found, len(cells))


@usual
@given(cells=st.lists(st.tuples(PLACES, NAMES, SHAPES), max_size=9))
def test_labelme_loses_no_shape(folder, cells):
    shapes = []
    for (y, x), name, kind in cells:
        places = {"point": [[x, y]], "circle": [[x, y], [x + 2, y]], "rectangle": [[x - 2, y + 2], [x + 2, y - 2]]}
        shapes.append({"label": name, "shape_type": kind, "points": places.get(kind, square(y, x)[:4])})
    path = put(folder, "a.json", json.dumps({"shapes": shapes, "imagePath": "a.png"}).encode())
    consistent(read_annotated(path, format_of(path)), len(cells))


@usual
@given(
    cells=st.lists(
        st.tuples(PLACES, st.integers(0, 2), st.integers(0, 2), st.sampled_from("bksn"), st.booleans()), max_size=9
    )
)
def test_coco_loses_no_annotation(folder, cells):
    found = []
    for i, ((y, x), kind, image, form, crowd) in enumerate(cells):
        ring = [value for corner in square(y, x)[:4] for value in corner]
        own = {
            "b": {"bbox": [x - 2, y - 2, 4, 4]},
            "k": {"keypoints": [x, y, 2]},
            "s": {"segmentation": [ring]},
            "n": {},
        }
        found.append({"id": i, "image_id": image, "category_id": kind or None, "iscrowd": int(crowd), **own[form]})
    images = [{"id": i, "file_name": f"{i}.png", "height": 90, "width": 110} for i in range(3)]
    data = {"images": images, "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}], "annotations": found}
    path = put(folder, "a.json", json.dumps(data).encode())
    result = read_annotated(path, format_of(path))
    consistent(result, len(cells))
    kept = [(image, form) for (_, _, image, form, crowd) in cells if not crowd and form != "n"]
    assert result.images == [f"{image}.png" for image, _ in kept]


SIGNS = {"comma": ",", "semicolon": ";", "tab": "\t"}


@usual
@given(
    cells=st.lists(
        st.tuples(PLACES, NAMES.filter(lambda name: name != "a,b"), st.sampled_from(["", "blank", "#"])), max_size=12
    ),
    sign=st.sampled_from(list(SIGNS)),
    head=st.sampled_from(
        ["y,x,class", "Centroid Y px,Centroid X px,Type", "row,col,label", "# y,x,class", "id,Y,X,Class"]
    ),
    more=st.sampled_from(["", "trailing", "named"]),
    comma=st.booleans(),
)
def test_tables_lose_no_line(folder, cells, sign, head, more, comma):
    by, number = SIGNS[sign], comma and sign != "comma"
    lines = [head.replace(",", by)]
    for i, ((y, x), name, before) in enumerate(cells):
        fields = [str(y + 0.25), str(x + 0.5), name or ""]
        fields = [field.replace(".", ",") if number and k < 2 else field for k, field in enumerate(fields)]
        fields = [str(i)] * head.startswith("id") + [str(i)] * (more == "named") + fields + [""] * (more == "trailing")
        lines += {"": [], "blank": [by * 2, "  "], "#": ["# a note, with, commas"]}[before] + [by.join(fields)]
    path = put(folder, "a.csv", "\n".join(lines).encode())
    text = read_text(path)

    def read():
        form = find_form({path: split_lines(text, path)}, {path: WIDE}).form
        return read_table(text, TableForm(form.columns, form.separator, form.header), path)

    found = refuses_or_reads(read)
    if found is not None and cells:
        consistent(found, len(cells))
        assert sorted(map(tuple, found.points.tolist())) == sorted((y + 0.25, x + 0.5) for (y, x), *_ in cells)


@usual
@given(places=st.lists(PLACES, max_size=12), mode=st.sampled_from(["L", "I;16", "I"]))
def test_masks_lose_no_label(folder, places, mode):
    values = np.zeros(WIDE, {"L": np.uint8, "I;16": np.uint16, "I": np.int32}[mode])
    for i, (y, x) in enumerate(places, 1):
        values[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] = i * (7 if mode == "I" else 1)
    Image.fromarray(values).save(folder / "mask.tif")
    found = refuses_or_reads(read_annotated, folder / "mask.tif", "mask")
    if found is not None:
        consistent(found, len(set(np.unique(values).tolist()) - {0}))


# -- broken files ------------------------------------------------------------------------------------------------

FEATURE = {"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": [[square(9, 9)], [square(30, 40)]]},
           "properties": {"objectType": "cell", "classification": {"name": "a", "color": [1, 2, 3]}}}  # fmt: skip
WHOLE = {
    "a.geojson": {"type": "FeatureCollection", "features": [FEATURE, FEATURE]},
    "hovernet.json": {"mag": 40, "nuc": {"1": nuclei((3, 4), 1, "centroid"), "2": nuclei((9, 4), 2, "contour")}},
    "next.json": {"1": [2, [3.5, 4]], "2": [1, [5, 6]]},
    "cells.json": {"wsi_metadata": {"label_map": {"1": "b"}, "base_mpp": 0.25, "magnification": 40},
                   "type_map": {"1": ["a", [1, 2, 3]]},
                   "cells": [nuclei((3, 4), 1, "centroid"), nuclei((9, 4), 1, "bbox")]},
    "labelme.json": {"shapes": [{"label": "a", "points": [[1, 2], [5, 2], [4, 4]], "shape_type": "polygon"}],
                     "imagePath": "a.png", "imageHeight": 90, "imageWidth": 110},
    "coco.json": {"images": [{"id": 1, "file_name": "a.png", "height": 90, "width": 110}],
                  "categories": [{"id": 1, "name": "a"}],
                  "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}] * 3},
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
@usual
@given(changes=CHANGES, edits=EDITS, bytes_too=st.booleans())
def test_broken_json_is_read_or_refused(name, folder, changes, edits, bytes_too):
    data = json.dumps(changed(WHOLE[name], changes)).encode()
    path = put(folder, name, broken(data, edits) if bytes_too else data)
    found = refuses_or_reads(lambda: read_annotated(path, format_of(path)))
    assert found is None or np.isfinite(found.points).all()
    refuses_or_reads(export.read, path, Given(WIDE, 0.5, None))


TABLES = {
    "semicolons.csv": b"y;x;class\n3,5;4;a\n1;2,25;b\n",
    "r.txt": b'"y" "x" "class"\n"1" 3.5 4 "a"\n"2" 1 2 "b c"\n',
    "qupath.tsv": "Image\tObject type\tClass\tCentroid X µm\tCentroid Y µm\na.png\tCell\ta\t3\t4\n".encode(),
    "boxes.csv": b"# made, by, hand\nxmin,ymin,xmax,ymax,label\n1,2,3,4,a\n5,6,7,8,b\n",
    "yolo.txt": b"0 0.5 0.5 0.1 0.1\n1 0.25 0.75 0.1 0.2\n",
    "a_cp_outlines.txt": b"1,2,3,4,5,6\n7,8,9,8,9,12,7,12\n",
    "polygons.txt": b"0 0.5 0.5 0.6 0.5 0.55 0.6\n1 0.25 0.75 0.1 0.2 0.3 0.3 0.4 0.5\n",
    "aperio.xml": b'<Annotations><Annotation Name="a"><Region><Vertex X="1" Y="2,5"/><Vertex X="3" Y="2"/>'
    b'<Vertex X="3" Y="9"/></Region></Annotation></Annotations>',
    "cvat.xml": b'<annotations><image name="a.png" width="110" height="90"><points label="a" points="1,2;3,4"/>'
    b'<box label="b" xtl="1" ytl="2" xbr="3" ybr="4"/></image></annotations>',
    "counter.xml": b"<CellCounter_Marker_File><Marker_Type><Type>1</Type><Marker><MarkerX>3</MarkerX>"
    b"<MarkerY>4</MarkerY></Marker></Marker_Type></CellCounter_Marker_File>",
    "packed.csv.gz": gzip.compress(b"y,x,class\n1,2,a\n3,4,b\n"),
}


@pytest.mark.parametrize("name", TABLES)
@usual
@given(edits=EDITS)
def test_broken_tables_are_read_or_refused(name, folder, edits):
    path = put(folder, name, broken(TABLES[name], edits))
    refuses_or_reads(export.read, path, Given(WIDE, 0.5, None))


@usual
@given(text=st.text(alphabet="0123456789 ,.;\t\n-+eyxclas#\"'µ\0", max_size=120))
def test_any_text_as_a_table(folder, text):
    path = put(folder, "any.csv", text.encode("utf-8", "surrogatepass"))
    refuses_or_reads(export.read, path, Given(WIDE, 0.5, None))


@usual
@given(edits=EDITS, deep=st.booleans())
def test_broken_masks_are_read_or_refused(folder, edits, deep):
    values = np.arange(60, dtype=np.uint16 if deep else np.uint8).reshape(6, 10) // 4
    Image.fromarray(values).save(folder / "whole.png")
    path = put(folder, "mask.png", broken((folder / "whole.png").read_bytes(), edits))
    refuses_or_reads(read_annotated, path, "mask")


LISTS = {
    "train.txt": b"a.png\nb\nx/c.tif\n", "train.csv": b"image,n\na.png,1\nb.png,2\n",
    "split.csv": b"name,split\na,train\nb,test\nc,val\n", "splits_0.csv": b",train,val,test\n0,a,b,c\n",
    "bool.csv": b",train,test\na,True,False\nb,False,True\n",
    "splits.json": b'{"train": ["a"], "test": ["b.png"]}',
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
@usual
@given(edits=EDITS, split=st.sampled_from([None, "train"]))
def test_broken_lists_are_read_or_refused(name, folder, edits, split):
    path = put(folder, name, broken(LISTS[name], edits))
    found = refuses_or_reads(listing, path, Names(["a.png", "b.png", "c.png"]), split)
    assert found is None or Counter(found.images).keys() <= {"a.png", "b.png", "c.png"}
    refuses_or_reads(listed_splits, path)
