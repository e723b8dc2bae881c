"""Layouts of the fitted Gibbs process."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from cellscaper.errors import CellscaperError
from cellscaper.generators import gibbs
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.seeds import sample_seeds
from cellscaper.run.settings import read

SMALL = {"hard_core": 3.0, "radii": (7, 14), "saturation": (1, 3)}


def layouts(counts, side, seed):
    rng = np.random.default_rng(seed)
    items = [Layout(rng.uniform(0, side, (n, 2)), np.sort(rng.integers(0, 3, n)).astype(np.uint8), (side, side))
             for n in counts]  # fmt: skip
    return LayoutSet.build(items, ("a", "b", "c"), 0.5)


@pytest.fixture(scope="module")
def train():
    return layouts([90, 80, 60], 100, 3)


def test_each_layout_has_the_counts_of_its_target_and_the_hard_core(place, train):
    wish = layouts([14, 0, 1, 2, 25], 50, 7)
    made = place(gibbs, wish, sample_seeds(0, 5, 1), train, 50, sweeps=5, **SMALL)
    np.testing.assert_array_equal(made.counts(), wish.counts())
    np.testing.assert_array_equal(made.size, wish.size)
    assert made.columns["target"].tolist() == [0, 1, 2, 3, 4]
    for layout in made:
        assert len(layout) < 2 or pdist(layout.points).min() >= 3


def test_a_layout_depends_on_its_own_seed_and_target_alone(place, train):
    wish, seeds = layouts([5, 19, 12, 13, 0], 50, 7), sample_seeds(0, 5, 1)
    together = place(gibbs, wish, seeds, train, 50, sweeps=6, **SMALL)
    for batch in (1, 2):
        again = place(gibbs, wish, seeds, train, 50, sweeps=6, batch=batch, **SMALL)
        np.testing.assert_array_equal(together.points, again.points)
        np.testing.assert_array_equal(together.labels, again.labels)
    alone = place(gibbs, wish[[2]], [seeds[2]], train, 50, sweeps=6, **SMALL)
    np.testing.assert_array_equal(alone.points, together.layout(2).points)


def test_nests_of_the_training_images_are_made_again(place):
    """Class a in clusters, class b uniform: pairs of a within 14 px are far more often than by chance."""
    rng = np.random.default_rng(0)
    items = []
    for _ in range(4):
        nests = np.repeat(rng.uniform(20, 140, (4, 2)), 12, axis=0)
        points = np.clip(np.vstack([nests + rng.normal(0, 9, nests.shape), rng.uniform(0, 160, (20, 2))]), 0, 159)
        items.append(Layout(points, np.repeat([0, 1], [48, 20]).astype(np.uint8), (160, 160)))
    train = LayoutSet.build(items, ("a", "b"), 0.5)
    made = place(gibbs, train, range(4), train, 160, sweeps=20, hard_core=0.5, radii=(7, 14), saturation=(4, 6))
    near = [np.mean([(pdist(one.points[one.labels == k]) < 14).mean() for one in made]) for k in (0, 1)]
    chance = np.pi * 14**2 / 160**2
    assert near[0] > 2.5 * chance
    assert near[1] < 2.0 * chance


def test_bad_annuli_are_refused(place, train):
    bad = [
        ({"radii": [8, 8]}, r"expected radii that rise from above the hard core of 5 px"),
        ({"radii": [5, 9]}, "expected radii that rise from above the hard core"),
        ({"radii": [8, 12], "saturation": [1]}, "1 saturations for 2 radii; expected one for each"),
    ]
    for block, message in bad:
        with pytest.raises(CellscaperError, match=message):
            read(gibbs.Settings, block, "generators gibbs")
    with pytest.raises(
        CellscaperError, match=r"gibbs: layouts of 50 px are smaller than twice the last of settings.rad"
    ):
        place(gibbs, layouts([3], 50, 0), [0], train, 50)
