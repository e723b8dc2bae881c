"""Layouts whose cells keep a distance."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist
from scipy.stats import kstest

from cellscaper.errors import CellscaperError
from cellscaper.generators import hard_core
from cellscaper.generators.hard_core import add_points
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.seeds import sample_seeds
from cellscaper.run.settings import read


def targets(counts, size=(200, 150)):
    rng = np.random.default_rng(0)
    items = [Layout(rng.uniform(0, 4, (n, 2)), np.sort(rng.integers(0, 3, n)).astype(np.uint8), size) for n in counts]
    return LayoutSet.build(items, ("a", "b", "c"), 0.5)


def test_each_layout_has_the_counts_of_its_target_and_its_cells_keep_the_distance(place):
    wanted = targets([4, 0, 1, 60, 150])
    made = place(hard_core, wanted, sample_seeds(0, 5, 1), min_distance=9.0)
    np.testing.assert_array_equal(made.counts(), wanted.counts())
    np.testing.assert_array_equal(made.size, wanted.size)
    assert made.columns["target"].tolist() == [0, 1, 2, 3, 4]
    for layout in made:
        assert len(layout) < 2 or pdist(layout.points.astype(float)).min() >= 9.0


def test_without_a_distance_positions_are_uniform(place):
    made = place(hard_core, targets([2000]), [0], min_distance=0.0)
    assert kstest(made.points[:, 0] / 200, "uniform").pvalue > 0.01
    assert kstest(made.points[:, 1] / 150, "uniform").pvalue > 0.01


@pytest.mark.slow
def test_classes_do_not_tell_the_order_of_placing(place):
    """Cells placed late lie in the gaps and have a tenth more neighbours; all classes must have as many of them."""
    made = place(hard_core, targets([290] * 10), sample_seeds(0, 10, 1), min_distance=8.0)
    near: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for layout in made:
        found = cKDTree(layout.points).query_ball_point(layout.points, 12, return_length=True)
        for label, neighbours in zip(layout.labels, found, strict=True):
            near[int(label)].append(neighbours - 1)
    assert np.ptp([np.mean(neighbours) for neighbours in near.values()]) < 0.2  # of 3.3; 0.3 in the order of placing


def test_a_layout_too_full_for_the_distance_gets_all_its_cells_at_a_smaller_one():
    points = add_points(np.zeros((0, 2), np.float32), 60, 20.0, (50, 50), np.random.default_rng(0))
    assert points.shape == (60, 2)
    assert 2 < pdist(points.astype(float)).min() < 20


def test_added_points_keep_away_from_those_there():
    there = np.array([[25, 25], [10, 40]], np.float32)
    added = add_points(there, 10, 8.0, (50, 50), np.random.default_rng(0))
    assert pdist(np.concatenate([there, added]).astype(float)).min() >= 8


def test_a_layout_depends_on_its_own_seed_and_target_alone(place):
    wanted, seeds = targets([5, 9, 3]), sample_seeds(0, 3, 1)
    together = place(hard_core, wanted, seeds, min_distance=5.0)
    for i in range(3):
        alone = place(hard_core, wanted[[i]], [seeds[i]], min_distance=5.0)
        np.testing.assert_array_equal(alone.points, together.layout(i).points)


def test_a_negative_distance_is_refused():
    with pytest.raises(CellscaperError, match="min_distance = -1: Input should be greater than or equal to 0"):
        read(hard_core.Settings, {"min_distance": -1}, "generators hard_core")
