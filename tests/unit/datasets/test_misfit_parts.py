"""The first or last cells of a table that do not lie on nuclei, while the others do."""

import numpy as np
import pytest
from tests.unit.datasets.test_misfits import LOOKS, write

from cellscaper.datasets import misfit_parts
from cellscaper.datasets.render import render
from cellscaper.datasets.tissue import CLASSES, simulate

pytestmark = pytest.mark.slow  # dots are judged against many images

SIDE, N = 600, 6
MADE = {
    "all places 2 times as large": lambda own: own * 0.5,
    "y and x swapped": lambda own: own[:, ::-1],
    "y counted from below": lambda own: np.stack([SIDE - 1 - own[:, 0].clip(0, SIDE - 1), own[:, 1]], 1),
}


@pytest.fixture(scope="module")
def tissue():
    found = []
    for i in range(N):
        points, labels, _ = simulate((SIDE, SIDE), 3, np.random.default_rng([i, 12]))
        order = np.random.default_rng(i).permutation(len(points))
        points, labels = points[order].astype(float), labels[order]
        image = render(points, labels, (SIDE, SIDE), CLASSES[3], np.random.default_rng([i, 13]))
        found.append((points, labels, image))
    return found


@pytest.mark.parametrize("words", MADE)
@pytest.mark.parametrize("last", [True, False])
def test_half_of_a_table_in_another_frame_or_unit_is_named_with_it(world, tissue, tmp_path, words, last):
    def change(i, points, labels):
        half = len(points) // 2
        part = slice(half, None) if last else slice(half)
        if i == 1:
            points = points.copy()
            points[part] = MADE[words](points[part])
        return points, labels

    fault = world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5").fault
    assert f"with {words}" in fault and "of s_01.csv, in their order there" in fault, fault


def test_rows_of_another_image_behind_the_own_ones_are_named_with_it(world, tissue, tmp_path):
    def change(i, points, labels):
        others = tissue[4]
        return (np.r_[points, others[0]], np.r_[labels, others[1]]) if i == 1 else (points, labels)

    fault = world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5").fault
    assert f"to {len(tissue[1][0]) + len(tissue[4][0])} of" in fault and "they are those of s_04.png" in fault, fault


def test_rows_of_no_image_of_the_folder_are_said(world, tissue, tmp_path):
    rng = np.random.default_rng(3)

    def change(i, points, labels):
        half = len(points) // 2
        return (np.r_[points[:half], rng.uniform(0, SIDE, points[half:].shape)] if i == 1 else points), labels

    found = world.check(write(world, tmp_path / "d", tissue, change), "--mpp", "0.5")
    assert not found.fault and found.complains("of s_01.csv", "no better than by chance, and the others do")


@pytest.mark.parametrize("order", ["y", "class", "random"])
@pytest.mark.parametrize("look", LOOKS)
def test_right_tables_in_any_order_raise_no_alarm(tissue, order, look):
    points, pixels = {}, {}
    for i, (own, labels, image) in enumerate(tissue):
        by = {"y": own[:, 0], "class": labels, "random": np.arange(len(own))}[order]
        points[str(i)], pixels[str(i)] = own[np.argsort(by, kind="stable")], LOOKS[look](image)
    for sign in (1.0, -1.0):
        assert misfit_parts.sentences(points, points, pixels.__getitem__, sign, str) == ([], [])
