"""Files of cells that contradict their images: the check stops, unless the user says that they are right."""

import json

import numpy as np
import pytest
from PIL import Image

from cellscaper.datasets.render import render
from cellscaper.datasets.tissue import CLASSES, simulate

NAMES = CLASSES[3]


def labelme(world, folder, size=None, factor=1.0, path="s_{:02d}.png"):
    world.save(folder)
    for i in range(world.n):
        shapes = [
            {"label": c, "points": [[x * factor, y * factor]], "shape_type": "point"} for y, x, c in world.cells(i)
        ]
        height, width = size or world.size
        data = {"shapes": shapes, "imagePath": path.format(i), "imageHeight": height, "imageWidth": width}
        (folder / f"s_{i:02d}.json").write_text(json.dumps(data))
    return folder


def coco(world, folder, size, factor=1.0):
    world.save(folder)
    data = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "lymphocyte"}, {"id": 2, "name": "tumor"}],
    }
    for i in range(world.n):
        data["images"].append({"id": i, "file_name": f"s_{i:02d}.png", "height": size[0], "width": size[1]})
        for y, x, c in world.cells(i):
            box = [x * factor - 3, y * factor - 3, 6, 6]
            kind = 1 + (c == "tumor")
            data["annotations"].append(
                {"id": len(data["annotations"]), "image_id": i, "category_id": kind, "bbox": box}
            )
    (folder / "cells.json").write_text(json.dumps(data))
    return folder


@pytest.mark.parametrize("make", [labelme, coco])
def test_cells_of_a_picture_of_another_size_stop_until_the_places_are_said_to_be_right(world, tmp_path, make):
    smaller = tuple(round(side * 0.75) for side in world.size)
    found = world.check(make(world, tmp_path / "a", smaller, 0.75))
    assert "6 images are of another size" in found.fault and "126 × 147 px" in found.fault
    assert world.right(world.check(make(world, tmp_path / "b", (1, 1)), "--unit", "px"))
    assert world.right(world.check(make(world, tmp_path / "c", world.size)))


def test_a_label_mask_of_another_size_stops(world, tmp_path):
    world.save(tmp_path / "d/images")
    (tmp_path / "d/masks").mkdir()
    for i in range(world.n):
        values = np.zeros([round(side * 0.9) for side in world.size], np.uint16)
        for k, (y, x) in enumerate(world.points(i) * 0.9):
            values[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4] = k + 1
        Image.fromarray(values).save(tmp_path / f"d/masks/s_{i:02d}.tif")
    assert "of another size" in world.check(tmp_path / "d").fault


def test_a_file_that_says_to_be_of_another_image_stops_until_its_name_is_said_to_be_right(world, tmp_path):
    folder = world.plain(tmp_path / "a", head="Image,y,x,class", row="s_00.png,{y},{x},{c}")
    fault = world.check(folder).fault
    assert "5 files of cells say that they are of other images" in fault and "s_01.csv, which names s_00.png" in fault
    assert world.right(world.check(folder, "--dots", "{stem}.csv"))
    folder = labelme(world, tmp_path / "b", path="..\\old\\s_03.png")
    assert "5 files of cells say" in world.check(folder).fault


@pytest.mark.parametrize("head", ["roi", "frame"])
def test_numbers_name_no_other_image(world, tmp_path, head):
    world.save(tmp_path / "d", "{}.png")
    for i in range(world.n):
        world.table(tmp_path / f"d/{i}.csv", i, f"{head},y,x,class", "1,{y},{x},{c}")
    assert world.right(world.check(tmp_path / "d"))


FRAMES = {
    "y and x swapped": lambda y, x, size: (x, y),
    "y counted from below": lambda y, x, size: (size[0] - 1 - y, x),
    "x counted from the right": lambda y, x, size: (y, size[1] - 1 - x),
    "the image turned by half": lambda y, x, size: (size[0] - 1 - y, size[1] - 1 - x),
}


@pytest.fixture(scope="module")
def tissue():
    """Six images without a grid: (points, labels, image)."""
    found = []
    for i in range(6):
        points, labels, _ = simulate((168, 196), 3, np.random.default_rng([i, 0]))
        found.append((points, labels, render(points, labels, (168, 196), NAMES, np.random.default_rng([i, 1]))))
    return found


@pytest.mark.parametrize("words", FRAMES)
def test_dots_whose_axes_have_another_direction_stop(world, tissue, tmp_path, words):
    folder = tmp_path / "d"
    folder.mkdir()
    for i, (points, labels, image) in enumerate(tissue):
        Image.fromarray(image).save(folder / f"s_{i:02d}.png")
        turned = [(*FRAMES[words](y, x, (168, 196)), NAMES[k]) for (y, x), k in zip(points, labels, strict=True)]
        world.table(folder / f"s_{i:02d}.csv", i, cells=[one for one in turned if one[0] < 168 and one[1] < 196])
    found = world.check(folder, "--mpp", "0.5")
    assert f"do not lie on nuclei, and with {words} they do" in found.fault
    assert not world.check(folder, "--mpp", "0.5", "--unit", "px").fault


def test_dots_that_lie_on_nuclei_only_by_chance_stop_nobody(world, tmp_path):
    world.save(tmp_path / "d")
    rng = np.random.default_rng(3)
    for i in range(world.n):
        dots = [(*map(float, rng.uniform(0, world.size)), "tumor") for _ in range(90)]
        world.table(tmp_path / f"d/s_{i:02d}.csv", i, cells=dots)
    assert not world.check(tmp_path / "d", "--mpp", "0.5").fault


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y, x: (y + 12, x + 8), "all of them about 12 px further up and 8 px further left"),
        (lambda y, x: (y * 0.8, x * 0.8), "all places 1.2"),
        (lambda y, x: (y * 1.15, x * 1.15), "all places 0.8"),
    ],
)
def test_dots_that_are_shifted_or_of_another_scale_stop(world, tmp_path, change, words):
    folder = tmp_path / "d"
    folder.mkdir()
    for i in range(6):
        points, labels, _ = simulate((320, 300), 3, np.random.default_rng([i, 0]))
        image = render(points, labels, (320, 300), NAMES, np.random.default_rng([i, 1]))
        Image.fromarray(image).save(folder / f"s_{i:02d}.png")
        cells = [(*change(y, x), NAMES[k]) for (y, x), k in zip(points.tolist(), labels, strict=True)]
        world.table(folder / f"s_{i:02d}.csv", i, cells=[one for one in cells if one[0] < 320 and one[1] < 300])
    assert f"with {words}" in world.check(folder, "--mpp", "0.5").fault


def test_bright_nuclei_on_a_dark_ground_stop_nobody(world, tissue, tmp_path):
    (tmp_path / "d").mkdir()
    for i, (points, labels, image) in enumerate(tissue):
        Image.fromarray(255 - image).save(tmp_path / f"d/s_{i:02d}.png")
        cells = [(y, x, NAMES[k]) for (y, x), k in zip(points.tolist(), labels, strict=True)]
        world.table(tmp_path / f"d/s_{i:02d}.csv", i, cells=cells)
    assert not world.check(tmp_path / "d", "--mpp", "0.5").fault
