"""Layouts with the functions of the training window of the nearest counts."""

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.generators import pattern_reconstruction, random
from cellscaper.generators.pattern_reconstruction import Settings, Windows
from cellscaper.generators.protocol import Request
from cellscaper.generators.reconstruction.annealing import wanted
from cellscaper.generators.reconstruction.functions import Bins
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.cross_class import own_distances
from cellscaper.run.seeds import sample_seeds
from cellscaper.run.settings import read
from cellscaper.views.patches import sliding_windows


def images(sizes=((50, 61), (64, 70)), cells=50, seed=0, classes=3):
    rng = np.random.default_rng(seed)
    items = [
        Layout(rng.uniform(0, size, (cells, 2)), rng.integers(0, classes, cells).astype(np.uint8), size, f"image_{i}")
        for i, size in enumerate(sizes)
    ]
    return LayoutSet.build(items, ("a", "b", "c"), 0.5)


def targets(counts, side=40, seed=7):
    rng = np.random.default_rng(seed)
    items = [Layout(rng.uniform(0, side, (n, 2)), rng.integers(0, 3, n).astype(np.uint8), (side, side)) for n in counts]
    return LayoutSet.build(items, ("a", "b", "c"), 0.5)


def test_each_layout_has_the_counts_of_its_target(place):
    wish = targets([14, 0, 1, 2, 25])
    made = place(pattern_reconstruction, wish, sample_seeds(0, 5, 1), images(), 40, moves=3)
    np.testing.assert_array_equal(made.counts(), wish.counts())
    np.testing.assert_array_equal(made.size, wish.size)
    assert made.columns["target"].tolist() == [0, 1, 2, 3, 4]


def test_a_layout_depends_on_its_own_seed_and_target_alone(place):
    wish, seeds, train = targets([5, 19, 12, 13, 0]), sample_seeds(0, 5, 1), images()
    together = place(pattern_reconstruction, wish, seeds, train, 40, moves=6)
    pairs = place(pattern_reconstruction, wish, seeds, train, 40, moves=6, batch=2)
    np.testing.assert_array_equal(together.points, pairs.points)
    for i in range(5):
        alone = place(pattern_reconstruction, wish[[i]], [seeds[i]], train, 40, moves=6)
        np.testing.assert_array_equal(alone.points, together.layout(i).points)


def test_layouts_have_the_neighbours_of_the_tissue_and_not_of_chance(place):
    """Training cells come in twos, 3 px apart; of random cells a fifth has another within 4 px."""
    grid = np.stack(np.meshgrid(np.arange(8, 100, 20), np.arange(8, 96, 20)), axis=-1).reshape(-1, 2)
    twos = np.concatenate([grid, grid + np.array([0, 3])]).astype(np.float32)
    train = LayoutSet.build([Layout(twos, np.zeros(len(twos), np.uint8), (100, 100))], ("a",), 0.5)
    wish = sliding_windows(train, 80, 20)[:1]
    made = place(pattern_reconstruction, wish, [0], train, 80, moves=50, window_stride=20)
    near = [(own_distances(one, 0) < 4).mean() for one in (made, place(random, wish, [0]))]
    assert near[0] > 0.7
    assert near[1] < 0.4


def windows(train, side=40):
    return Windows(Request(train[:0], [], Settings(window_stride=4), train, side))


def test_the_goal_is_the_window_of_the_nearest_counts():
    train, bins = images(), Bins.up_to(3, 20, 20)
    cut = sliding_windows(train, 40, 4)
    target = cut.layout(3)
    found = windows(train).goal(target, bins, np.random.default_rng(0))
    counts = np.bincount(target.labels, minlength=3)
    alike = [one for one in cut if (np.bincount(one.labels, minlength=3) == counts).all()]
    each = [wanted(counts, (40, 40), [[one] * 4] * 3, bins).values for one in alike]
    assert any(np.allclose(found.values, values) for values in each)


def test_a_pair_that_the_nearest_window_lacks_comes_from_another():
    sparse = Layout(np.array([[5, 5], [20, 9], [30, 30]], np.float32), np.zeros(3, np.uint8), (40, 40))
    rich = Layout(np.array([[5, 5], [9, 9], [30, 30]] * 4, np.float32), np.arange(12).astype(np.uint8) % 2, (40, 40))
    train, bins = LayoutSet.build([sparse, rich], ("a", "b", "c"), 0.5), Bins.up_to(3, 20, 20)
    target = Layout(np.zeros((4, 2), np.float32), np.array([0, 0, 0, 1], np.uint8), (40, 40))
    found = windows(train).goal(target, bins, np.random.default_rng(0))
    both = [[sparse, rich, None, sparse], [None, None, None, rich], [None] * 4]
    np.testing.assert_allclose(found.values, wanted(np.array([3, 1, 0]), (40, 40), both, bins).values)
    unseen = Layout(target.points, np.array([0, 2, 2, 2], np.uint8), (40, 40))
    assert np.isfinite(windows(train).goal(unseen, bins, np.random.default_rng(0)).values).all()


def test_bad_settings_and_small_images_are_refused(place):
    with pytest.raises(CellscaperError, match="moves = 0: Input should be greater than or equal to 1"):
        read(Settings, {"moves": 0}, "generators pattern_reconstruction")
    with pytest.raises(CellscaperError, match="smaller than"):
        place(pattern_reconstruction, targets([3]), [0], images(((30, 64), (64, 64))), 40)
