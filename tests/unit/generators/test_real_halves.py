"""Real layouts in two disjoint halves."""

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.generators import real_halves
from cellscaper.generators.protocol import Request
from cellscaper.layouts import Layout, LayoutSet


def windows(per_image, seed=0):
    """Windows of several images, each recognisable by its single cell."""
    items, number = [], 0
    for image, n in enumerate(per_image):
        for _ in range(n):
            number += 1
            cell = np.array([[number // 50, number % 50]], np.float32)
            items.append(Layout(cell, np.zeros(1, np.uint8), (50, 50), f"image_{image}"))
    order = np.random.default_rng(seed).permutation(len(items))
    return LayoutSet.build([items[i] for i in order], ("a",), 0.5)


def split(targets, by, seeds):
    request = Request(targets, seeds, real_halves.Settings(halves=by), targets[:0], 50)
    return real_halves.generate(request).sets["points"]


def halves(by, targets, seed=0):
    """Rows of the targets that stand for others, and those they stand for."""
    made = split(targets, by, [seed])
    row_of = {tuple(point): row for row, point in enumerate(targets.points.tolist())}
    return [row_of[tuple(point)] for point in made.points.tolist()], made.columns["target"].tolist(), made


@pytest.mark.parametrize("n", [2, 3, 11, 40])
def test_halves_of_the_windows_share_no_window_and_use_as_many_as_they_can(n):
    used, stood_for, made = halves("windows", windows([n]))
    assert len(made) == n // 2
    assert not set(used) & set(stood_for)
    assert len(set(used)) == len(set(stood_for)) == n // 2
    assert stood_for == sorted(stood_for)


@pytest.mark.parametrize("per_image", [[1, 1], [9, 4, 7, 6], [30, 1, 1, 1, 1]])
def test_halves_of_the_images_share_no_image(per_image):
    targets = windows(per_image)
    for seed in range(5):
        used, stood_for, made = halves("images", targets, seed)
        assert not set(targets.source[used]) & set(targets.source[stood_for])
        assert len(set(used)) == len(set(stood_for)) == len(made) > 0


def test_halves_of_the_windows_mix_the_images():
    targets = windows([20, 20])
    used, stood_for, _ = halves("windows", targets)
    assert set(targets.source[used]) & set(targets.source[stood_for])


def test_layouts_are_the_real_ones_unchanged():
    targets = windows([6, 5]).with_columns(split=np.array(["test"] * 11))
    used, stood_for, made = halves("windows", targets)
    assert made == targets[used].with_columns(target=np.array(stood_for))


def test_the_split_depends_on_the_seed_and_on_nothing_else():
    targets = windows([30])
    assert halves("windows", targets, 4)[:2] == halves("windows", targets, 4)[:2]
    assert halves("windows", targets, 4)[:2] != halves("windows", targets, 5)[:2]


def test_every_window_may_come_into_either_half_and_stand_for_any_other():
    targets = windows([4])
    found = {pair for seed in range(200) for pair in zip(*halves("windows", targets, seed)[:2], strict=True)}
    assert found == {(a, b) for a in range(4) for b in range(4) if a != b}


@pytest.mark.parametrize(("by", "per_image"), [("windows", [1]), ("windows", []), ("images", [7]), ("images", [])])
def test_what_cannot_be_split_is_refused(by, per_image):
    n = sum(per_image) if by == "windows" else len(per_image)
    with pytest.raises(CellscaperError, match=f"at least 2 {by} to split into halves, {n} given"):
        split(windows(per_image), by, [0] * sum(per_image))
