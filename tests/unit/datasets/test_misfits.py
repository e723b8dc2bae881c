"""Dots of some images that do not lie on nuclei among others that do: the check names their files and stops."""

import numpy as np
import pytest
from PIL import Image

from cellscaper.datasets import misfits
from cellscaper.datasets.dots_on_nuclei import fit, shows_nuclei
from cellscaper.datasets.render import render
from cellscaper.datasets.tissue import CLASSES, simulate

pytestmark = pytest.mark.slow  # dots are judged against many images

NAMES, SIDE, N = CLASSES[3], 240, 8


@pytest.fixture(scope="module")
def tissue():
    """Eight square images without a grid: (points, labels, image)."""
    found = []
    for i in range(N):
        points, labels, _ = simulate((SIDE, SIDE), 3, np.random.default_rng([i, 2]))
        found.append((points, labels, render(points, labels, (SIDE, SIDE), NAMES, np.random.default_rng([i, 3]))))
    return found


def write(world, folder, tissue, change=None, look=lambda image: image):
    """Images with tables; ``change(i, points, labels)`` gives the dots that image i gets."""
    folder.mkdir()
    for i, (points, labels, image) in enumerate(tissue):
        Image.fromarray(look(image)).save(folder / f"s_{i:02d}.png")
        own, kinds = (points, labels) if change is None else change(i, points, labels)
        cells = [(y, x, NAMES[k]) for (y, x), k in zip(np.asarray(own).tolist(), kinds, strict=True)]
        world.table(folder / f"s_{i:02d}.csv", i, cells=cells)
    return folder


def named(indices):
    return ", ".join(f"s_{i:02d}.csv" for i in indices)


SWAPPED = {
    "y and x swapped": lambda p: p[:, ::-1],
    "y counted from below": lambda p: np.stack([SIDE - 1 - p[:, 0].clip(0, SIDE - 1), p[:, 1]], 1),
    "the image turned by half": lambda p: SIDE - 1 - p.clip(0, SIDE - 1),
}


@pytest.mark.parametrize("words", SWAPPED)
@pytest.mark.parametrize("off", [(1, 4, 6), (0, 1, 2, 3, 5, 7)])
def test_tables_of_another_frame_among_right_ones_are_named(world, tissue, tmp_path, words, off):
    def change(i, points, labels):
        return (SWAPPED[words](points) if i in off else points), labels

    found = world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5")
    assert f"the dots of {len(off)} of 8 images do not lie on nuclei, and with {words} they do" in found.fault
    assert named(off) in found.fault
    assert not world.check(tmp_path / "d", "--mpp", "0.5", "--unit", "px").fault


@pytest.mark.parametrize("factor", [0.25, 0.5, 0.75])
def test_tables_of_another_unit_among_right_ones_are_named(world, tissue, tmp_path, factor):
    def change(i, points, labels):
        return points * (factor if i % 2 else 1), labels

    found = world.check(write(world, tmp_path / "d", tissue, change))
    assert "the dots of 4 of 8 images" in found.fault and f"all places {1 / factor:.3g}"[:14] in found.fault
    assert named((1, 3, 5, 7)) in found.fault and not found.settings


def test_tables_of_another_unit_are_named_without_any_nuclei(world, tissue, tmp_path):
    def change(i, points, labels):
        return points * (0.25 if i % 2 else 1), labels

    folder = write(world, tmp_path / "d", tissue, change, lambda image: np.full_like(image, 40))
    fault = world.check(folder, "--mpp", "0.5").fault
    assert "the dots of 4 of 8 images lie in the upper left part (25%" in fault and named((1, 3, 5, 7)) in fault


def test_tables_in_a_larger_unit_say_which_images_they_leave(world, tissue, tmp_path):
    def change(i, points, labels):
        return points * (4 if i in (2, 5) else 1), labels

    fault = world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5").fault
    assert "dots lie outside their images" in fault and "2 of 8 images: s_02.png, s_05.png" in fault


def test_tables_of_the_next_image_are_named_with_it(world, tissue, tmp_path):
    def change(i, points, labels):
        return tissue[(i + 1) % N][:2]

    fault = world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5").fault
    assert "the dots of 8 of 8 images do not lie on their nuclei, and those named after other images do" in fault
    assert "s_07.csv on s_00.png, s_00.csv on s_01.png" in fault


def test_two_exchanged_tables_are_named(world, tissue, tmp_path):
    change = {2: 5, 5: 2}
    folder = write(world, tmp_path / "d", tissue, lambda i, *own: tissue[change.get(i, i)][:2])
    fault = world.check(folder, "--mpp", "0.5").fault
    assert "the dots of 2 of 8 images" in fault and "s_05.csv on s_02.png, s_02.csv on s_05.png" in fault


def test_some_tables_that_are_shifted_stop(world, tissue, tmp_path):
    def change(i, points, labels):
        kept = (points < SIDE - 14).all(axis=1)
        return (points[kept] + (12, 8), labels[kept]) if i >= 4 else (points, labels)

    fault = world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5").fault
    assert "the dots of 4 of 8 images" in fault and named((4, 5, 6, 7)) in fault


def test_dots_of_no_image_of_the_folder_are_said_with_their_files(world, tissue, tmp_path):
    rng = np.random.default_rng(0)

    def change(i, points, labels):
        return (rng.uniform(0, SIDE, points.shape) if i in (0, 3) else points), labels

    found = world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5")
    assert not found.fault
    assert found.complains("the dots of 2 of 8 images lie on dark nuclei no better than by chance", named((0, 3)))


LOOKS = {
    "as it is": lambda image: image,
    "faint": lambda image: (255 - (255 - image.astype(float)) * 0.1).astype(np.uint8),
    "bright nuclei on a dark ground": lambda image: 255 - image,
    "nothing in red": lambda image: np.stack([0 * image[..., 0], 0 * image[..., 0], 255 - image[..., 0]], -1),
    "one colour": lambda image: np.full_like(image, 230),
}


@pytest.mark.parametrize("look", LOOKS)
def test_right_dots_raise_no_alarm(world, tissue, tmp_path, look):
    found = world.check(write(world, tmp_path / "d", tissue, look=LOOKS[look]), "--mpp", "0.5")
    assert not found.fault and not found.complains("nuclei")


@pytest.mark.parametrize("off", [(1, 2), tuple(range(N))])
def test_swapped_tables_are_found_on_bright_nuclei(world, tissue, tmp_path, off):
    def change(i, points, labels):
        return (points[:, ::-1] if i in off else points), labels

    folder = write(world, tmp_path / "d", tissue, change, LOOKS["bright nuclei on a dark ground"])
    assert f"the dots of {len(off)} of 8 images do not lie on nuclei" in (fault := world.check(folder).fault)
    assert named(off) in fault


def test_many_images_of_fewer_dots_are_named_together(world, tissue, tmp_path):
    rng = np.random.default_rng(4)

    def change(i, points, labels):
        few = slice(0, 25)
        return (rng.uniform(0, SIDE, points.shape)[few] if i < 4 else points[few]), labels[few]

    found = world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5")
    assert not found.fault
    assert found.complains("the dots of 4 of 8 images lie on dark nuclei no better than by chance")


def test_images_of_few_cells_are_not_judged(world, tissue, tmp_path):
    def change(i, points, labels):
        return (points[:9, ::-1], labels[:9]) if i == 3 else (points, labels)

    found = world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5")
    assert not found.fault and not found.complains("nuclei")


def test_dots_in_the_corner_of_an_image_that_has_its_cells_there_are_right(world, tissue, tmp_path):
    def change(i, points, labels):
        kept = (points < 110).all(axis=1) if i in (2, 6) else np.ones(len(points), bool)
        return points[kept], labels[kept]

    assert not world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5").fault


def test_a_fit_is_the_normal_score_of_dots_against_their_surroundings():
    rng = np.random.default_rng(1)
    image = np.full((120, 120, 3), 200, np.uint8)
    image[28:33, 28:33] = image[78:83, 58:63] = image[48:53, 88:93] = 40
    dots = np.array([(30.0, 30.0), (80, 60), (50, 90)])
    assert fit(image, dots) > 5 and fit(255 - image, dots) < -5
    image = rng.integers(100, 140, (300, 300, 3)).astype(np.uint8)
    fits = [fit(image, rng.uniform(0, 299, (60, 2))) for _ in range(200)]
    assert abs(np.mean(fits)) < 0.3 and 0.8 < np.std(fits) < 1.25  # of no difference
    assert np.isnan(fit(image, dots + 400)) and np.isnan(fit(image * 0, dots))


def test_nuclei_are_seen_in_stained_images_alone(tissue):
    image = tissue[0][2]
    assert shows_nuclei(image)
    assert not any(shows_nuclei(LOOKS[look](image)) for look in LOOKS if look != "as it is")


def test_one_file_for_all_images_names_images(tissue):
    points = {f"s_{i}.png": own[0][:, ::-1] if i == 1 else own[0] for i, own in enumerate(tissue)}
    pixels = {f"s_{i}.png": own[2] for i, own in enumerate(tissue)}
    found = misfits.find(points, pixels.__getitem__, dict.fromkeys(points, "cells.csv"))
    assert len(found.faults) == 1 and ": s_1.png; correct" in found.faults[0]


# -- the explanation that fits best ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("down", "right", "words"), [(0, 12, "11 12 13 px further left"), (9, 9, "8 9 10 px further up")]
)
@pytest.mark.parametrize("off", [(4,), (1, 3, 4, 6)])
def test_a_shift_is_told_as_one_and_not_as_a_scale(world, tissue, tmp_path, down, right, words, off):
    def change(i, points, labels):
        if i not in off:
            return points, labels
        kept = (points + np.array([down, right]) < SIDE).all(axis=1)
        return points[kept] + (down, right), labels[kept]

    fault = world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5").fault
    *numbers, px, further, way = words.split()
    assert f"the dots of {len(off)} of 8 images" in fault and "times as large" not in fault, fault
    assert any(f"{number} {px} {further} {way}" in fault for number in numbers), fault


def test_one_table_in_another_unit_is_told_as_such(world, tissue, tmp_path):
    def change(i, points, labels):
        return points * (0.5 if i == 4 else 1), labels

    fault = world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5").fault
    assert "the dots of 1 of 8 images" in fault and "all places 2 times as large" in fault and "turned" not in fault


def test_all_tables_that_are_shifted_are_no_bright_nuclei(world, tissue, tmp_path):
    def change(i, points, labels):
        kept = points[:, 1] < SIDE - 16
        return points[kept] + (0, 16), labels[kept]

    assert "px further left they do" in world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5").fault
