"""Classes permuted among the cells of each target."""

import numpy as np

from cellscaper.generators import permuted
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.seeds import sample_seeds


def targets(n, cells=12):
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, 3, cells)).astype(np.uint8)
    return LayoutSet.build([Layout(rng.uniform(0, 50, (cells, 2)), labels, (50, 50)) for _ in range(n)], "abc", 0.5)


def test_positions_and_counts_stay_and_classes_move(place):
    wanted = targets(20)
    made = place(permuted, wanted, sample_seeds(0, 20, 1))
    np.testing.assert_array_equal(made.points, wanted.points)
    np.testing.assert_array_equal(made.counts(), wanted.counts())
    assert made.columns["target"].tolist() == list(range(20))
    assert len({tuple(layout.labels.tolist()) for layout in made}) > 15


def test_every_cell_takes_a_class_as_often_as_the_class_is_frequent(place):
    wanted = targets(1)
    share = wanted.counts()[0] / 12
    drawn = np.array([place(permuted, wanted, [seed]).labels for seed in range(1500)])
    for label in range(3):
        np.testing.assert_allclose((drawn == label).mean(axis=0), share[label], atol=0.05)


def test_a_layout_depends_on_its_own_seed(place):
    wanted, seeds = targets(3), sample_seeds(0, 3, 1)
    together = place(permuted, wanted, seeds)
    for i in range(3):
        alone = place(permuted, wanted[[i]], [seeds[i]])
        np.testing.assert_array_equal(alone.labels, together.layout(i).labels)
