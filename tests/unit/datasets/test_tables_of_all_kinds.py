"""Text tables and other formats of cells, as programs write them."""

import gzip
import json

import numpy as np
import pytest
from PIL import Image

LAYOUTS = {
    "R, write.csv": ('"","y","x","class"', '"{k}",{y},{x},"{c}"'),
    "R, write.table": ("y x class", '"{k}" {y} {x} "{c}"'),
    "R, tabs": ("y\tx\tclass", "{k}\t{y}\t{x}\t{c}"),
    "pandas": (",label,centroid-0,centroid-1,cell_type", "{j},{k},{y},{x},{c}"),
    "numpy": ("# y,x,class", "{y},{x},{c}"),
    "comments": ("# made by a tool, version 2, on a day\n#\ny,x,class", "{y},{x},{c}"),
    "Excel": ("sep=;\ny;x;class", "{y};{x};{c}"),
    "trailing": ("y,x,class", "{y},{x},{c},"),
    "trailing in all": ("y,x,class,", "{y},{x},{c},"),
    "quotes": ('"Y","X","Class"', '"{y}","{x}","{c}"'),
    "tabs": ("Class\tY\tX", "{c}\t{y}\t{x}"),
    "CellProfiler": ("ImageNumber,ObjectNumber,Location_Center_X,Location_Center_Y,Class", "1,{k},{x},{y},{c}"),
    "ImageJ": (" ,Area,X,Y,Type", "{k},30.5,{x},{y},{c}"),
    "QuPath in px": ("Object ID,Name,Class,Parent,Centroid X px,Centroid Y px,Area", "a{k},,{c},Image,{x},{y},9.5"),
    "boxes": ("xmin,ymin,xmax,ymax,label", None),
    "NuCLS": ("raw_classification,type,xmin,ymin,xmax,ymax", None),
    "skimage boxes": ("label,bbox-0,bbox-1,bbox-2,bbox-3,phenotype", None),
    "napari": ("index,axis-0,axis-1,axis-2,class", "{j},0,{y},{x},{c}"),
    "a word of its own": ("y,x,Marker", "{y},{x},{c}"),
    "centroid": ("Centroid_Y;Centroid_X;Type;Score", "{y};{x};{c};0.5"),
    "headless": ("", "{y} {x} {c}"),
    "class first": ("", "{c},{y},{x}"),
}  # fmt: skip
BOXES = {
    "boxes": lambda y, x, c, k: f"{x - 4},{y - 6},{x + 4},{y + 6},{c}",
    "NuCLS": lambda y, x, c, k: f"{c},rectangle,{x - 4},{y - 6},{x + 4},{y + 6}",
    "skimage boxes": lambda y, x, c, k: f"{k},{y - 6},{x - 4},{y + 6},{x + 4},{c}",
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_tables_as_programs_write_them(world, tmp_path, name):
    head, row = LAYOUTS[name]
    world.save(tmp_path / "d")
    for i in range(world.n):
        path = tmp_path / "d" / f"s_{i:02d}.csv"
        if row is None:
            rows = [BOXES[name](y, x, c, k + 1) for k, (y, x, c) in enumerate(world.cells(i))]
            path.write_text("\n".join([head, *rows]))
        else:
            world.table(path, i, head, row)
    assert world.right(world.check(tmp_path / "d"))


@pytest.mark.parametrize("sign", [";", "\t", " "])
def test_decimal_commas(world, tmp_path, sign):
    world.save(tmp_path / "d")
    for i in range(world.n):
        cells = [(str(y).replace(".", ","), str(x).replace(".", ","), c) for y, x, c in world.cells(i)]
        world.table(tmp_path / f"d/s_{i:02d}.csv", i, sign.join("yxc").replace("c", "class"),
                    sign.join(("{y}", "{x}", "{c}")), cells)  # fmt: skip
    assert world.right(world.check(tmp_path / "d"))


def test_qupaths_measurements_of_all_images_in_um(world, tmp_path):
    world.save(tmp_path / "d/images")
    head = "Image\tObject ID\tObject type\tName\tClassification\tParent\tROI\tCentroid X µm\tCentroid Y µm"
    rows = [head]
    for i in range(world.n):
        rows.append(f"s_{i:02d}.png\tt\tAnnotation\t\tRegion\tRoot\tPolygon\t20\t20")
        rows += [
            f"s_{i:02d}.png\t{k}\tDetection\t\t{c}\tRegion\tPolygon\t{x / 2:.4f}\t{y / 2:.4f}"
            for k, (y, x, c) in enumerate(world.cells(i))
        ]
    (tmp_path / "d/measurements.tsv").write_text("\n".join(rows), encoding="utf-8")
    assert "give --mpp" in world.check(tmp_path / "d").fault
    result = world.check(tmp_path / "d", "--mpp", "0.5")
    assert world.right(result) and result.complains("6 annotations are left out") and result.complains("µm")


def test_xenium_is_in_um_and_packed(world, tmp_path):
    for i in range(world.n):
        folder = tmp_path / f"d/sample_{i}"
        folder.mkdir(parents=True)
        world.image(i).save(folder / "he.png")
        rows = [f"c{j},{x / 2:.5f},{y / 2:.5f},9,40.1" for j, (y, x, _) in enumerate(world.cells(i))]
        text = '"cell_id","x_centroid","y_centroid","transcript_counts","cell_area"\n' + "\n".join(rows)
        (folder / "cells.csv.gz").write_bytes(gzip.compress(text.encode()))
    result = world.check(tmp_path / "d", "--mpp", "0.5")
    assert result.cells == world.total() and result.settings["unit"] == "um"
    np.testing.assert_allclose(sorted(result.records[0].points.tolist()), sorted(world.points(0).tolist()), atol=0.01)


def test_yolo_boxes_are_fractions(world, tmp_path):
    world.save(tmp_path / "d/images")
    (tmp_path / "d/labels").mkdir()
    for i in range(world.n):
        rows = [f"{int(c == 'tumor')} {x / 196:.6f} {y / 168:.6f} 0.05 0.06" for y, x, c in world.cells(i)]
        (tmp_path / f"d/labels/s_{i:02d}.txt").write_text("\n".join(rows))
    (tmp_path / "d/classes.txt").write_text("lymphocyte\ntumor\n")
    result = world.check(tmp_path / "d", "--classes", "0=lymphocyte,1=tumor")
    assert world.right(result)


@pytest.mark.parametrize("kind", ["point", "polygon", "rectangle", "circle"])
def test_labelme(world, tmp_path, kind):
    def places(y, x):
        return {"point": [[x, y]], "circle": [[x, y], [x + 4, y]], "rectangle": [[x - 4, y + 5], [x + 4, y - 5]],
                "polygon": [[x - 4, y - 4], [x + 4, y - 4], [x + 4, y + 4], [x - 4, y + 4]]}[kind]  # fmt: skip

    world.save(tmp_path / "d")
    for i in range(world.n):
        shapes = [{"label": c, "points": places(y, x), "shape_type": kind} for y, x, c in world.cells(i)]
        shapes.append({"label": "ruler", "points": [[1, 1], [9, 9]], "shape_type": "line"})
        (tmp_path / f"d/s_{i:02d}.json").write_text(json.dumps({"shapes": shapes, "imagePath": "..\\x\\s.png"}))
    result = world.check(tmp_path / "d")
    assert world.right(result) and result.complains("6 shapes of LabelMe's kind 'line' (no cells) are left out")


@pytest.mark.parametrize("contour", [True, False])
def test_cellvit(world, tmp_path, contour):
    world.save(tmp_path / "d/images")
    for i in range(world.n):
        cells = [
            {"bbox": [[y - 4, x - 4], [y + 4, x + 4]], "type": 1 + (c == "tumor"), "type_prob": 0.9}
            | ({"contour": [[x - 4, y - 4], [x + 4, y - 4], [x + 4, y + 4], [x - 4, y + 4]]} if contour else {})
            for y, x, c in world.cells(i)
        ]
        path = tmp_path / f"d/results/s_{i:02d}/cells.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"type_map": {"1": "lymphocyte", "2": "tumor"}, "cells": cells}))
    assert world.right(world.check(tmp_path / "d"))


def test_hovernext(world, tmp_path):
    world.save(tmp_path / "d")
    for i in range(world.n):
        found = {str(k + 1): [c, [y, x]] for k, (y, x, c) in enumerate(world.cells(i))}
        (tmp_path / f"d/s_{i:02d}.json").write_text(json.dumps(found))
    assert world.right(world.check(tmp_path / "d"))


@pytest.mark.parametrize("given", ["y=centroid-0,x=centroid-1,class=", "y=centroid-0,x=centroid-1"])
def test_no_class_is_not_the_column_without_a_name(world, tmp_path, given):
    folder = world.plain(tmp_path / "d", head=",label,centroid-0,centroid-1", row="{j},{k},{y},{x}")
    for more in ([], ["--columns", given]):
        result = world.check(folder, *more)
        assert result.cells == world.total() and result.settings["classes"] == ["unclassified"]


def test_many_classes_raise_doubts(world, tmp_path):
    folder = world.plain(tmp_path / "d", head="number,y,x", row="{k},{y},{x}")
    result = world.check(folder, "--columns", "class=number,y=y,x=x")
    assert result.complains("there are 90 classes")


def test_a_comment_with_two_commas_is_no_header(world, tmp_path):
    folder = world.plain(tmp_path / "d", head="# a, b, c", row="{y},{x},{c}")
    assert world.right(world.check(folder))


def test_json_of_another_kind_says_which_kinds_are_read(world, tmp_path):
    world.save(tmp_path / "d")
    for i in range(world.n):
        (tmp_path / f"d/s_{i:02d}.json").write_text(json.dumps({"regions": [{"x": 1}]}))
    assert "LabelMe and COCO" in world.check(tmp_path / "d").fault


def test_a_label_mask_of_classes_is_refused(world, tmp_path):
    world.save(tmp_path / "d")
    for i in range(world.n):
        mask = np.zeros(world.size, np.uint8)
        for y, x, c in world.cells(i):
            mask[int(y) - 3 : int(y) + 3, int(x) - 3 : int(x) + 3] = 1 + (c == "tumor")
        Image.fromarray(mask).save(tmp_path / f"d/s_{i:02d}_mask.png")
    assert "marks classes" in world.check(tmp_path / "d").fault


@pytest.mark.parametrize("corner", [True, False])
def test_corners_and_centres_of_boxes_are_told_apart_by_the_pixels(world, tmp_path, corner):
    world.save(tmp_path / "d")
    shift = 6 if corner else 0
    for i in range(world.n):
        cells = [(y - shift, x - shift, c) for y, x, c in world.cells(i)]
        world.table(tmp_path / f"d/s_{i:02d}.csv", i, "x,y,width,height,class", "{x},{y},12,12,{c}", cells)
    result = world.check(tmp_path / "d")
    assert world.right(result) and result.complains("corners of boxes") == corner


@pytest.mark.parametrize("order", ["{y},{x},{c}", "{x},{y},{c}"])
def test_the_order_of_y_and_x_is_told_by_the_pixels(world, tmp_path, order):
    (tmp_path / "d").mkdir()
    for i in range(world.n):  # 9 px lower, so that the grid is another one along y than along x
        Image.fromarray(np.roll(np.array(world.image(i)), 9, axis=0)).save(tmp_path / f"d/s_{i:02d}.png")
        cells = [(y + 9, x, c) for y, x, c in world.cells(i) if x < 160 and y < 150]
        world.table(tmp_path / f"d/s_{i:02d}.csv", i, "", order, cells)
    result = world.check(tmp_path / "d")
    assert result.settings["columns"][:2] == [order[1], order[5]] and "darker with" in result.said


@pytest.mark.parametrize(
    ("head", "row", "word"),
    [("index,shape-type,vertex-index,axis-0,axis-1", "0,polygon,{j},{y},{x}", "corners of shapes"),
     ("transcript_id,feature_name,x_location,y_location", "{j},ACTA2,{x},{y}", "transcripts")],
)  # fmt: skip
def test_tables_of_something_else_are_refused(world, tmp_path, head, row, word):
    assert word in world.check(world.plain(tmp_path / "d", head=head, row=row)).fault


def test_line_ends_of_all_systems(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    for k, file in enumerate(sorted(folder.glob("*.csv"))):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", (b"\r", b"\r\n")[k % 2]))
    assert world.right(world.check(folder))


@pytest.mark.parametrize(
    ("name", "words"),
    [("s_{:02d}.xlsx", "CSV"), ("s_{:02d}.geojson.zip", "unpack it"), ("s_{:02d}.xml", "Pascal VOC"),
     ("s_{:02d}.sqlite3.bz2", "GeoJSON")],
)  # fmt: skip
def test_files_of_no_kind_that_is_read_are_named(world, tmp_path, name, words):
    world.save(tmp_path / "d")
    for i in range(world.n):
        (tmp_path / "d" / name.format(i)).write_bytes(b"PK")
    fault = world.check(tmp_path / "d").fault
    assert name.format(0) in fault and words in fault


def numbered(folder, world, numbers, dtype):
    """Images, and label masks in which cell j of image i has ``numbers(j)``."""
    world.save(folder)
    (folder / "masks").mkdir()
    for i in range(world.n):
        mask = np.zeros(world.size, dtype)
        for j, (y, x, _) in enumerate(world.cells(i)):
            mask[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] = numbers(j)
        Image.fromarray(mask).save(folder / f"masks/s_{i:02d}.png")
    return folder


def test_a_mask_whose_numbers_began_again_is_refused(world, tmp_path):
    folder = numbered(tmp_path / "d", world, lambda j: (j + 200) % 255 + 1, np.uint8)  # 55 cells up to 255, then 1
    mask = np.array(Image.open(folder / "masks/s_00.png"))
    mask[mask == 1] = 255
    Image.fromarray(mask).save(folder / "masks/s_00.png")
    fault = world.check(folder).fault
    assert "s_00.png numbers cells up to 255, the most that it can hold, and 1 number marks two areas" in fault


def test_numbers_of_two_areas_are_told(world, tmp_path):
    found = world.check(numbered(tmp_path / "d", world, lambda j: j % 40 + 1, np.uint16))
    assert found.cells == 40 * world.n
    assert found.complains("numbers mark two areas far apart or more in s_00.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numbers_of_one_area_each_raise_nothing(world, tmp_path, dtype):
    found = world.check(numbered(tmp_path / "d", world, lambda j: 255 - j, dtype))
    assert found.cells == world.total() and not found.complains("areas")
