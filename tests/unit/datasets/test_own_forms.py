"""Folders in known forms with small deviations: lines of YOLO, backgrounds of masks, columns that are no class."""

import json

import numpy as np
import pytest
from PIL import Image

NAMED = ("--mpp", "0.5", "--classes", "0=lymphocyte,1=tumor")


def hexagon(y, x):
    turn = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    return np.stack([x + 5 * np.cos(turn), y + 5 * np.sin(turn)], 1)


@pytest.mark.parametrize("kinds", ["mixed", "apart"])
def test_boxes_and_polygons_of_yolo(world, tmp_path, kinds):
    """In each file, or files of boxes beside files of polygons."""
    world.save(tmp_path / "d/images")
    (tmp_path / "d/labels").mkdir()
    height, width = world.size
    for i in range(world.n):
        lines = []
        for k, (y, x, c) in enumerate(world.cells(i)):
            box = [x / width, y / height, 10 / width, 10 / height]
            polygon = (hexagon(y, x) / (width, height)).ravel()
            values = box if (k if kinds == "mixed" else i) % 2 else polygon
            lines.append(f"{int(c == 'tumor')} " + " ".join(f"{value:.6f}" for value in values))
        (tmp_path / f"d/labels/s_{i:02d}.txt").write_text("\n".join(lines))
    assert world.right(world.check(tmp_path / "d", *NAMED))


def test_key_points_of_yolo_are_said(world, tmp_path):
    height, width = world.size
    world.save(tmp_path / "d/images")
    (tmp_path / "d/labels").mkdir()
    for i in range(world.n):
        lines = [
            f"{int(c == 'tumor')} {x / width:.6f} {y / height:.6f} 0.05 0.06 {(x + 2) / width:.6f} {y / height:.6f} 2"
            for y, x, c in world.cells(i)
        ]
        (tmp_path / f"d/labels/s_{i:02d}.txt").write_text("\n".join(lines))
    found = world.check(tmp_path / "d", *NAMED)
    assert world.right(found) and found.complains("centres of YOLO's boxes", "key points are not used")


def test_a_background_with_a_number_in_label_masks(world, tmp_path):
    world.save(tmp_path / "d/images")
    (tmp_path / "d/masks").mkdir()
    yy, xx = np.mgrid[: world.size[0], : world.size[1]]
    for i in range(world.n):
        values = np.ones(world.size, np.uint16)
        for k, (y, x) in enumerate(world.points(i), 2):
            values[(yy - y) ** 2 + (xx - x) ** 2 <= 16] = k
        Image.fromarray(values).save(tmp_path / f"d/masks/s_{i:02d}.png")
    found = world.check(tmp_path / "d", "--mpp", "0.5")
    assert not found.fault and found.cells == world.total()
    assert found.complains("6 areas far larger than cells", "first number 1 of")


def test_columns_of_few_words(world, tmp_path):
    folder = world.plain(tmp_path / "d", head="y,x,id,kind,annotator", row="{y},{x},n{j},{c},A")
    found = world.check(folder)
    assert world.right(found) and found.complains("'kind' for its few words", "--columns y=y,x=x reads no class")
    none = world.check(folder, "--columns", "y=y,x=x")
    assert not none.fault and set(none.counts) == {"unclassified"}
    other = world.plain(tmp_path / "e", head="y,x,annotator", row="{y},{x},{c}")
    found = world.check(other)
    assert set(found.counts) == {"unclassified"} and found.complains("if it is 'annotator', say --columns")
    assert world.right(world.check(other, "--columns", "y=y,x=x,class=annotator"))


def test_the_advice_for_flags_reads_the_centres_of_boxes(world, tmp_path):
    world.save(tmp_path / "d")
    for i in range(world.n):
        rows = [
            f"{x - 5:.2f},{x + 5:.2f},{y - 6:.2f},{y + 6:.2f},{int(c == 'tumor')},{int(c != 'tumor')}"
            for y, x, c in world.cells(i)
        ]
        (tmp_path / f"d/s_{i:02d}.csv").write_text("\n".join(["XMin,XMax,YMin,YMax,tumor,lymphocyte", *rows]))
    fault = world.check(tmp_path / "d").fault
    advice = fault.partition("--columns ")[2].partition(" to read")[0]
    found = world.check(tmp_path / "d", "--columns", advice)
    assert not found.fault and found.cells == world.total()
    np.testing.assert_allclose(sorted(found.records[0].points.tolist()), sorted(world.points(0).tolist()), atol=0.02)


def test_images_without_nuclei_of_hovernet_may_hold_nothing(world, tmp_path):
    world.save(tmp_path / "d/images")
    (tmp_path / "d/json").mkdir()
    for i in range(world.n):
        nuclei = {
            str(k + 1): {"centroid": [x, y], "type": c} for k, (y, x, c) in enumerate(world.cells(i) if i else ())
        }
        (tmp_path / f"d/json/s_{i:02d}.json").write_text(json.dumps(nuclei))
    found = world.check(tmp_path / "d", "--mpp", "0.5")
    assert not found.fault and found.cells == world.total() - len(world.cells(0)) and len(found.records) == world.n
