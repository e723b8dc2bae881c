"""µm a pixel image by image: images of two scales in one folder, files that are not read, scales of no tissue."""

import json

import numpy as np
import pytest
from PIL import Image

from cellscaper.datasets import scale, scale_by_image
from cellscaper.datasets.render import render
from cellscaper.datasets.tissue import CLASSES, simulate
from cellscaper.errors import CellscaperError


def mixed(world, folder, name, times=2, large=(0, 2, 4)):
    """The images of the world, some of them enlarged; ``name(i, enlarged)`` is the stem of an image."""
    for i in range(world.n):
        factor = times if i in large else 1
        path = folder / f"{name(i, i in large)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = world.image(i)
        image.resize((image.width * factor, image.height * factor), Image.Resampling.BICUBIC).save(path)
        world.table(path.with_suffix(".csv"), i, cells=[(y * factor, x * factor, c) for y, x, c in world.cells(i)])
    return folder


NAMES = {
    "endings": lambda i, large: f"s_{i:02d}_{'40x' if large else '20x'}",
    "folders": lambda i, large: f"{'40x' if large else '20x'}/s_{i:02d}",
    "folders with more": lambda i, large: f"HE_{'x40' if large else 'x20'}/s_{i:02d}",
    "µm a pixel": lambda i, large: f"s_{i:02d}_{'0.25' if large else '0.5'}mpp",
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_of_two_scales_ask(world, tmp_path, kind):
    result = world.check(mixed(world, tmp_path / "d", NAMES[kind]))
    assert result.complains("give --mpp", "the names of 3 of 6 images", "0.25", "0.5")
    assert result.settings["mpp"] == 0.5 and "rescale" not in result.settings


@pytest.mark.parametrize(
    ("head", "values"),
    [
        ("filename,mpp", ("0.25", "0.5")),
        ("Image,Pixel size (µm),stain", ("0.2527", "0.5")),
        ("slide,mag", ("40x", "20x")),
    ],
)
def test_a_table_of_two_scales_asks(world, tmp_path, head, values):
    folder = mixed(world, tmp_path / "d", lambda i, large: f"s_{i:02d}")
    lines = [f"s_{i:02d}.png,{values[i % 2]}" + ",HE" * ("stain" in head) for i in range(world.n)]
    (folder / "scales.csv").write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    assert world.check(folder).complains("give --mpp", "scales.csv says", "of 3 images, first s_00.png", "s_01.png")


def test_a_table_of_one_scale_is_taken(world, tmp_path):
    folder = mixed(world, tmp_path / "d", lambda i, large: f"s_{i:02d}", large=range(world.n))
    lines = [f"s_{i:02d}.png,0.2527" for i in range(world.n)]
    (folder / "scales.csv").write_text("\n".join(["image,mpp", *lines]) + "\n", encoding="utf-8")
    assert world.check(folder).settings["mpp"] == 0.2527


@pytest.mark.parametrize(
    "names", [["t_x20_y40", "t_x40_y20", "t_x20_y20"], ["a_20x_40y", "a_40x_20y"], ["a_20x", "b", "c"]]
)
def test_places_of_tiles_and_single_names_are_no_scale(names):
    assert scale_by_image.of_names([name + ".png" for name in names]) == []


def test_tissue_of_two_sizes_asks_and_of_one_does_not(world, tmp_path):
    def name(i, large):
        return f"s_{i:02d}"

    result = world.check(mixed(world, tmp_path / "two", name))
    assert result.complains("give --mpp", "3 images (s_00.png, s_02.png, s_04.png)", "two magnifications?")
    assert world.check(tmp_path / "two", "--mpp", "0.5").complains("two magnifications?")
    for large in ((), range(world.n)):
        folder = mixed(world, tmp_path / f"one{len(large)}", name, large=large)
        assert not world.check(folder).complains("magnifications")


def test_tissue_of_one_scale_raises_no_alarm():
    points, pixels = {}, {}
    for i in range(12):
        own, labels, _ = simulate((240, 240), 3, np.random.default_rng([i, 8]))
        points[str(i)] = own.astype(float)
        pixels[str(i)] = render(own, labels, (240, 240), CLASSES[3], np.random.default_rng([i, 9]))
    assert scale_by_image.two_scales(pixels, points) is None


def test_a_file_that_holds_the_same_cells_tells_their_scale(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    for i in range(world.n):
        cells = [{"centroid": [x, y], "type": int(c == "tumor") + 1} for y, x, c in world.cells(i)]
        known = {"wsi_metadata": {"base_mpp": 0.4}, "type_map": {"1": "lymphocyte", "2": "tumor"}, "cells": cells}
        (folder / f"s_{i:02d}.json").write_text(json.dumps(known), encoding="utf-8")
    result = world.check(folder, "--dots", "{stem}.csv")
    assert result.settings["mpp"] == 0.4 and "json says 0.4" in result.said
    for path in folder.glob("*.json"):
        path.write_text(
            path.read_text(encoding="utf-8").replace("centroid", "centroid").replace("[", "[9"), encoding="utf-8"
        )
    assert world.check(folder, "--dots", "{stem}.csv").settings["mpp"] == 0.5  # of other places


@pytest.mark.parametrize("mpp", ["250", "20", "0.001"])
@pytest.mark.parametrize("command", ["check", "paint"])
def test_a_scale_of_no_microscope_is_refused_at_once(world, tmp_path, mpp, command):
    from cellscaper import cli

    folder = world.plain(tmp_path / "d")
    layouts = tmp_path / "l.csv"
    layouts.write_text("y,x,class\n5,5,tumor\n9,9,lymphocyte\n", encoding="utf-8")
    call = ["check", str(folder)]
    if command == "paint":
        call = ["paint", str(layouts), "--size", "64,64", "--from", str(folder), "-o", str(tmp_path / "o")]
    with pytest.raises(CellscaperError, match=rf"--mpp {float(mpp):g}: expected µm a pixel of a microscope"):
        cli.call([*call, "--mpp", mpp])


def test_a_scale_that_tissue_makes_impossible_is_said(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    assert world.check(folder, "--mpp", "5").complains("--mpp 5 is given, but tissue says")
    assert not world.check(folder, "--mpp", "0.5").complains("tissue says")
    alone = [scale.of_neighbours(40.0)]  # of few marked cells
    assert scale.far_from_tissue(0.5, alone) is None and scale.far_from_tissue(2.0, alone)
    assert scale.far_from_tissue(2.0, []) is None
