"""Layouts whose cells keep a distance."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist
from scipy.stats import kstest

from cellscaper.errors import CellscaperError
from cellscaper.generators.hard_core import add_points, place
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.seeds import sample_seeds


def targets(counts, size=(200, 150)):
    rng = np.random.default_rng(0)
    items = [Layout(rng.uniform(0, 4, (n, 2)), np.sort(rng.integers(0, 3, n)).astype(np.uint8), size) for n in counts]
    return LayoutSet.build(items, ("a", "b", "c"), 0.5)


def settings(distance):
    return {"sampling": {"min_distance": distance}}


def test_each_layout_has_the_counts_of_its_target_and_its_cells_keep_the_distance():
    wanted = targets([4, 0, 1, 60, 150])
    made = place(wanted, settings(9.0), sample_seeds(0, 5, 1), wanted[:0])
    np.testing.assert_array_equal(made.counts(), wanted.counts())
    np.testing.assert_array_equal(made.size, wanted.size)
    assert made.columns["target"].tolist() == [0, 1, 2, 3, 4]
    for layout in made:
        assert len(layout) < 2 or pdist(layout.points.astype(float)).min() >= 9.0


def test_without_a_distance_positions_are_uniform():
    made = place(targets([2000]), settings(0.0), [0], targets([]))
    assert kstest(made.points[:, 0] / 200, "uniform").pvalue > 0.01
    assert kstest(made.points[:, 1] / 150, "uniform").pvalue > 0.01


def test_classes_do_not_tell_the_order_of_placing():
    """Cells placed late lie in the gaps and have a tenth more neighbours; all classes must have as many of them."""
    made = place(targets([290] * 10), settings(8.0), sample_seeds(0, 10, 1), targets([]))
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


def test_a_layout_depends_on_its_own_seed_and_target_alone():
    wanted, seeds = targets([5, 9, 3]), sample_seeds(0, 3, 1)
    together = place(wanted, settings(5.0), seeds, wanted[:0])
    for i in range(3):
        alone = place(wanted[[i]], settings(5.0), [seeds[i]], wanted[:0])
        np.testing.assert_array_equal(alone.points, together.layout(i).points)


def test_a_negative_distance_is_refused():
    with pytest.raises(CellscaperError, match="min_distance = -1 px, expected 0 or more"):
        place(targets([3]), settings(-1), [0], targets([]))
