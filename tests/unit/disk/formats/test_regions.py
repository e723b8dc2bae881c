"""Regions among cells, in every form: outlines, boxes, with points; and other objects that are no cells."""

import json

import numpy as np
import pytest

from cellscaper.disk.formats import outlines
from cellscaper.disk.formats.annotations import format_of, read_annotated
from cellscaper.disk.formats.coco_cells import read_coco
from cellscaper.disk.formats.geojson_cells import read_features
from cellscaper.disk.formats.table_cells import TableForm, read_table
from cellscaper.disk.formats.xml_cells import read_xml

RNG = np.random.default_rng(3)
CELLS = [(float(x), float(y)) for x in range(10, 200, 19) for y in range(10, 200, 19)]  # 100, 19 px apart
LARGE = (200.0, 205.0, 260.0, 255.0)  # left, top, right, bottom: beside the cells, around none
REGIONS = "regions around cells"


def square(x, y, r=4.0):
    return [x - r, y - r, x + r, y + r]


def ring(left, top, right, bottom):
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def test_boxes_are_regions_where_outlines_of_the_same_boxes_are():
    found = 0
    for _ in range(60):
        n = int(RNG.integers(1, 60))
        middle, side = (
            RNG.uniform(0, 300, (n, 2)),
            RNG.choice([0.0, 5, 8, 11, 25, 60, 150], (n, 2), p=[0.1, 0.3, 0.2, 0.2, 0.1, 0.05, 0.05]),
        )
        side[(side == 0).any(axis=1)] = 0
        boxes = np.concatenate([middle - side / 2, middle + side / 2], axis=1)
        shapes = [
            outlines.outline(ring(*box)) if box[2] > box[0] else outlines.point(box[:2]) for box in boxes.tolist()
        ]
        wanted = outlines.regions(shapes)
        assert outlines.region_boxes(boxes) == wanted
        found += len(wanted)
    assert found > 50


@pytest.mark.parametrize("region", [LARGE, (30.0, 30.0, 90.0, 90.0)])
def test_an_outline_among_points_is_a_region(region):
    features = [{"type": "Feature", "properties": {"classification": "a"},
                 "geometry": {"type": "Point", "coordinates": list(place)}} for place in CELLS]  # fmt: skip
    necrosis = {"type": "Feature", "properties": {"classification": "Necrosis"},
                "geometry": {"type": "Polygon", "coordinates": [ring(*region)]}}  # fmt: skip
    small = {"type": "Feature", "properties": {"classification": "a"},
             "geometry": {"type": "Polygon", "coordinates": [ring(*square(230, 20))]}}  # fmt: skip
    read = read_features([necrosis, *features, small]).done()
    assert len(read.names) == 101 and read.left == {REGIONS: 1} and set(read.names) == {"a"}


@pytest.mark.parametrize("region", [LARGE, (30.0, 30.0, 90.0, 90.0)])
def test_boxes_of_coco_are_regions_image_by_image(region):
    boxes = [(image, square(*place)) for image in (1, 2) for place in CELLS] + [(1, list(region))]
    annotations = [
        {"id": k, "image_id": image, "category_id": 1, "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]]}
        for k, (image, b) in enumerate(boxes)
    ]
    data = {"images": [{"id": i, "file_name": f"{i}.png"} for i in (1, 2)], "annotations": annotations,
            "categories": [{"id": 1, "name": "a"}]}  # fmt: skip
    read = read_coco(data).done()
    assert len(read.names) == 200 and read.left == {REGIONS: 1}


def test_a_keypoint_that_is_not_labelled_gives_way_to_the_box():
    data = {"images": [{"id": 1, "file_name": "1.png"}], "categories": [{"id": 1, "name": "a"}], "annotations": [
        {"image_id": 1, "category_id": 1, "keypoints": [0, 0, 0], "bbox": [10, 20, 8, 6]},
        {"image_id": 1, "category_id": 1, "keypoints": [50, 40, 2], "bbox": [10, 20, 8, 6]},
    ]}  # fmt: skip
    assert read_coco(data).points == [(23.0, 14.0), (40.0, 50.0)]


def test_boxes_of_a_table_are_regions_image_by_image():
    rows = [f"{image},{','.join(map(str, square(*place)))},a" for image in "pq" for place in CELLS]
    text = "\n".join(["image,xmin,ymin,xmax,ymax,class", f"p,{','.join(map(str, LARGE))},fov", *rows])
    names = {"image": "image", "x": "xmin", "y": "ymin", "x_end": "xmax", "y_end": "ymax", "class": "class"}
    read = read_table(text, TableForm(names), "t.csv")
    assert len(read.names) == 200 and read.left == {REGIONS: 1} and read.first == {REGIONS: "line 2"}


def test_cvat_has_regions_image_by_image():
    def image(name, more=""):
        cells = "".join(f'<points label="a" points="{x},{y}"/>' for x, y in CELLS)
        return f'<image name="{name}" width="300" height="300">{cells}{more}</image>'

    left, top, right, bottom = LARGE
    roi = f'<box label="ROI" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}"/>'
    read = read_xml(f"<annotations>{image('1.png', roi)}{image('2.png')}</annotations>").done()
    assert len(read.names) == 200 and read.left == {REGIONS: 1}


def test_classes_of_imagescope_may_be_attributes():
    def layer(attributes, name=""):
        vertices = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in ring(*square(20, 20)))
        return (
            f'<Annotation Name="{name}"><Attributes>{attributes}</Attributes><Regions><Region Text="" Type="0">'
            f"<Vertices>{vertices}</Vertices></Region></Regions></Annotation>"
        )

    layers = [
        layer('<Attribute Name="Epithelial" Id="0" Value=""/>'),  # MoNuSAC
        layer('<Attribute Name="Description" Id="0" Value="Stromal"/>'),
        layer('<Attribute Name="Description" Id="0" Value=""/>'),  # MoNuSeg
        layer('<Attribute Name="Description" Id="0" Value="x"/>', "Named"),
    ]
    read = read_xml(f"<Annotations>{''.join(layers)}</Annotations>").done()
    assert read.names == ["Epithelial", "Stromal", "unclassified", "Named"]


@pytest.mark.parametrize("kind", ["1", "2"])
def test_two_corners_of_imagescope_are_a_box(kind):
    text = (
        f'<Annotations><Annotation Name="a"><Regions><Region Type="{kind}"><Vertices><Vertex X="10" Y="20"/>'
        '<Vertex X="16" Y="30"/></Vertices></Region></Regions></Annotation></Annotations>'
    )
    assert read_xml(text).points == [(25.0, 13.0)]


def test_spots_inside_cells_are_no_cells(tmp_path):
    def feature(x, y, name):
        return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring(*square(x, y, 2))]},
                "properties": {"objectType": "detection", "classification": {"name": name}}}  # fmt: skip

    path = tmp_path / "a.geojson"
    features = [feature(10, 10, "Tumor"), feature(10, 11, "Subcellular spot: DAB single"), feature(30, 30, "Stroma"),
                feature(31, 30, "Subcellular cluster: DAB single")]  # fmt: skip
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    read = read_annotated(path, format_of(path))
    assert read.names == ["Tumor", "Stroma"] and sum(read.left.values()) == 2


def test_what_people_marked_counts_before_what_a_model_found():
    features = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": list(place)},
         "properties": {"pred_class": "ab"[k % 2], "gt_class": "cd"[k % 3 == 0]}}
        for k, place in enumerate(CELLS)
    ]  # fmt: skip
    read = read_features(features).done()
    assert set(read.names) == {"c", "d"} and "it could be 'pred_class'" in read.notes[0]


def test_a_class_may_lie_one_member_deeper():
    features = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": list(place)},
         "properties": {"objectType": "cell", "attributes": {"class": "ab"[k % 2]}}}
        for k, place in enumerate(CELLS)
    ]  # fmt: skip
    assert read_features(features).done().names[:3] == ["a", "b", "a"]
