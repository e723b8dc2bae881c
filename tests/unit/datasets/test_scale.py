"""µm a pixel by all evidence, and places that are not px."""

import numpy as np
import pytest
from PIL import Image

from cellscaper.datasets import nuclei_under_dots, scale
from cellscaper.errors import CellscaperError


def disc(radius, size=101):
    y, x = np.mgrid[:size, :size] - size // 2
    return np.where((y**2 + x**2 <= radius**2)[..., None], 60, 220).astype(np.uint8).repeat(3, axis=-1)


@pytest.mark.parametrize("radius", [3.0, 5.0, 8.5, 12.0])
def test_the_radius_of_dark_discs_is_measured(radius):
    profiles = [nuclei_under_dots.profile(disc(radius), np.array([[50.0, 50.0]] * 20))]
    assert nuclei_under_dots.radius(profiles) == pytest.approx(radius, abs=0.8)


def test_dots_beside_nuclei_have_no_radius():
    rng = np.random.default_rng(0)
    noise = rng.integers(100, 255, (200, 200, 3), dtype=np.uint8)
    assert nuclei_under_dots.radius([nuclei_under_dots.profile(noise, rng.uniform(0, 200, (90, 2)))]) is None
    assert nuclei_under_dots.radius([]) is None


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("scanned at 0.2527 µm/px", [0.2527]),
        ("HE [40x]", [0.25]),
        ("crops_20X_v2", [0.5]),
        ("set_0.5mpp", [0.5]),
        ('{"mpp": 0.25, "magnification": 40}', [0.25]),
        ("Pixel size: 0.3450 microns", [0.345]),
        ("tiles of 20x20 px, 512x512", []),
        ("resolution 300 dpi, pixel size 4.5 mm", []),
        ("batch 20, 40 images", []),
    ],
)
def test_scales_in_texts(text, values):
    assert scale.says(text) == values


@pytest.mark.parametrize(
    ("distance", "radius", "mpp"),
    [(16.0, 5.5, 0.5), (11.0, 6.0, 0.5), (9.0, 5.0, 0.5), (32.0, 11.0, 0.25), (7.9, 2.7, 1.0), (26.0, 8.0, 0.5)],
)
def test_tissue_alone_keeps_half_a_micrometre_where_it_is_possible(distance, radius, mpp):
    found = scale.decide([scale.of_neighbours(distance), scale.of_nuclei(radius)])
    assert (found.mpp, found.certain) == (mpp, True)


def test_what_is_written_counts_and_a_contradiction_rescales_nothing():
    told = scale.written(0.2517, "a header")
    assert scale.decide([told, scale.of_neighbours(30.0)]).mpp == 0.2517
    assert scale.decide([scale.written(0.2505, "a"), scale.written(0.25, "b")]).mpp == 0.2505
    found = scale.decide([told, scale.of_neighbours(12.0)])
    assert (found.mpp, found.certain) == (0.5, False)


@pytest.mark.parametrize("distance", [0.09, 0.5, 900.0])
def test_a_scale_of_no_microscope_does_not_pass(distance):
    with pytest.raises(CellscaperError, match="no scale of a microscope"):
        scale.decide([scale.of_neighbours(distance)])


@pytest.mark.parametrize("where", ["tiff", "name", "text"])
def test_a_written_scale_is_found(world, tmp_path, where):
    folder = tmp_path / ("set_40x" if where == "name" else "d")
    folder.mkdir()
    for i in range(world.n):
        image = world.image(i).resize((392, 336), Image.Resampling.BICUBIC)
        more = {"resolution_unit": 3, "x_resolution": 40_000, "y_resolution": 40_000} if where == "tiff" else {}
        image.save(folder / f"s_{i:02d}.tif", **more)
        cells = [(2 * y + 0.5, 2 * x + 0.5, c) for y, x, c in world.cells(i)]
        world.table(folder / f"s_{i:02d}.csv", i, cells=cells)
    if where == "text":
        (folder / "README.txt").write_text("Slides were scanned at 40x (0.25 µm/px).\n", encoding="utf-8")
    result = world.check(folder)
    assert result.settings["mpp"] == 0.25 and result.settings["rescale"] is True
    assert result.counts == world.counts()
    assert abs(result.records[0].points - np.sort(world.points(0), axis=None).mean()).min() < 99


def test_evidence_that_disagrees_asks_and_rescales_nothing(world, tmp_path):
    result = world.check(world.plain(tmp_path / "HE 40x"))
    assert world.right(result) and result.settings["mpp"] == 0.5 and "rescale" not in result.settings
    assert result.complains("give --mpp", "40x")
    result = world.check(tmp_path / "HE 40x", "--mpp", "0.5")
    assert result.complains("--mpp 0.5 is given, but", "0.25")


def test_a_turned_picture_and_pages_are_said(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    exif = Image.Exif()
    exif[0x0112] = 6
    world.image(0).save(folder / "s_00.png", exif=exif)
    (folder / "s_01.png").unlink()
    world.image(1).save(folder / "s_01.tif", save_all=True, append_images=[world.image(2)])
    result = world.check(folder)
    assert result.complains("1 image is turned by", "EXIF", "s_00.png")
    assert result.complains("1 image is of several pages", "s_01.tif")


# -- places that are not px ------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [0.5, 0.25])
def test_dots_far_too_much_inside_are_a_fault_until_their_unit_is_said(world, tmp_path, unit):
    folder = world.plain(tmp_path / "d")
    for i in range(world.n):
        world.table(folder / f"s_{i:02d}.csv", i, cells=[(y * unit, x * unit, c) for y, x, c in world.cells(i)])
    assert "upper left" in world.check(folder, "--mpp", str(unit)).fault
    if unit == 0.5:
        assert world.right(world.check(folder, "--mpp", "0.5", "--unit", "um"))


def test_dots_on_nuclei_of_a_corner_are_no_fault(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    for i in range(world.n):
        world.table(folder / f"s_{i:02d}.csv", i, cells=[one for one in world.cells(i) if max(one[:2]) < 110])
    result = world.check(folder)
    assert not result.fault and result.complains("upper left")


def test_fractions_are_taken_as_such(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    for i in range(world.n):
        world.table(folder / f"s_{i:02d}.csv", i, cells=[(y / 168, x / 196, c) for y, x, c in world.cells(i)])
    result = world.check(folder)
    assert world.right(result) and result.settings["unit"] == "fraction" and result.complains("fractions")


@pytest.mark.parametrize(
    ("change", "word"),
    [(lambda v: v + 20_000, "whole slide"), (lambda v: v * 2, "another scale"), (lambda v: 1.1 * v, "lie outside")],
)
def test_dots_outside_say_why(world, tmp_path, change, word):
    folder = world.plain(tmp_path / "d")
    for i in range(world.n):
        world.table(folder / f"s_{i:02d}.csv", i, cells=[(change(y), change(x), c) for y, x, c in world.cells(i)])
    assert word in world.check(folder).fault or word in world.check(folder).said
