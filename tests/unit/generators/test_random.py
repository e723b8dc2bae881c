"""Random layouts: the counts of their targets at uniform positions."""

import numpy as np
import pytest
from scipy.stats import kstest

from cellscaper.generators import random
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.seeds import sample_seeds


def targets(counts, size=(200, 300)):
    rng = np.random.default_rng(0)
    items = [
        Layout(rng.uniform(0, 4, (n, 2)).astype(np.float32), rng.integers(0, 3, n).astype(np.uint8), size)
        for n in counts
    ]
    return LayoutSet.build(items, ("a", "b", "c"), 0.5)


def test_each_layout_has_the_size_and_counts_of_its_target(place):
    wanted = targets([4, 0, 60, 200])
    made = place(random, wanted, sample_seeds(0, 4, 1))
    np.testing.assert_array_equal(made.counts(), wanted.counts())
    np.testing.assert_array_equal(made.size, wanted.size)
    assert (made.classes, made.mpp) == (wanted.classes, wanted.mpp)
    assert made.columns["target"].tolist() == [0, 1, 2, 3]


def test_positions_are_uniform_whatever_the_targets_positions(place):
    made = place(random, targets([4000] * 5), sample_seeds(0, 5, 1))
    y, x = made.points.T / np.array([[200], [300]])
    assert kstest(y, "uniform").pvalue > 0.01
    assert kstest(x, "uniform").pvalue > 0.01
    assert kstest((y + x) % 1, "uniform").pvalue > 0.01  # of one another independent, else their sum is not
    for label in range(3):
        assert kstest(y[made.labels == label], "uniform").pvalue > 0.01


def test_no_position_is_preferred_at_the_far_border(place):
    """A float32 may round up to the border; such a cell must not leave the layout, nor many meet in one place."""
    made = place(random, targets([100_000], size=(5, 5)), [0])
    assert (made.points < 5).all()
    assert kstest(made.points[:, 0] / 5, "uniform").pvalue > 0.01
    assert np.unique(made.points, axis=0).shape[0] > 99_900


def test_a_layout_depends_on_its_own_seed_and_target_alone(place):
    seeds = sample_seeds(0, 4, 1)
    together = place(random, targets([5, 9, 3, 7]), seeds)
    wanted = targets([5, 9, 3, 7])
    for i in range(4):
        alone = place(random, wanted[[i]], [seeds[i]])
        np.testing.assert_array_equal(alone.points, together.layout(i).points)
    other = place(random, targets([5, 9, 3, 7]), sample_seeds(1, 4, 1))
    assert not np.array_equal(other.points, together.points)


def test_every_target_needs_a_seed(place):
    with pytest.raises(ValueError):
        place(random, targets([5, 9]), [1])
