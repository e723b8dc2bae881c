"""Null models: exact counts, their regions, their distances, and one layout for each seed."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from cellscaper.envelopes.nulls import Cells, apart, simulate, smallest_distance
from cellscaper.envelopes.region import Region
from cellscaper.envelopes.trial import compare, prepare
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet


def cells(n=50, mask=True, seed=0):
    size = (80, 100)
    y, x = np.mgrid[:80, :100]
    region = Region(size, 30, (y - 40) ** 2 + (x - 50) ** 2 < 38**2 if mask else None)
    rng = np.random.default_rng(seed)
    return Cells(region.uniform(n, rng), rng.integers(0, 3, n).astype(np.uint8), region)


@pytest.mark.parametrize("null", ["csr", "labels", "hard_core"])
def test_counts_and_regions_are_kept_and_seeds_are_enough(null):
    data = [cells(50), cells(20, False, 1)]
    made = list(simulate(null, data, 3, 7, 4.0))
    for layouts in made:
        for (points, labels), one in zip(layouts, data, strict=True):
            assert np.array_equal(np.bincount(labels, minlength=3), np.bincount(one.labels, minlength=3))
            assert one.region.holds(points).all()
    again = list(simulate(null, data, 5, 7, 4.0))
    other = next(simulate(null, data, 1, 8, 4.0))
    for layouts, same in zip(made, again, strict=False):
        for one, two in zip(layouts, same, strict=True):
            assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])
    assert not all(np.array_equal(a[k], b[k]) for a, b in zip(made[0], other, strict=True) for k in (0, 1))
    assert not np.array_equal(made[0][0][int(null == "labels")], made[1][0][int(null == "labels")])


def test_labels_keep_the_positions_of_each_layout():
    data = [cells(50)]
    points, labels = next(simulate("labels", data, 1, 0, 0))[0]
    assert points is data[0].points and not np.array_equal(labels, data[0].labels)


@pytest.mark.parametrize("whole", [False, True])
def test_hard_core_cells_keep_their_distance(whole):
    region = Region((60, 60), 20, None, whole)
    points = apart(region, 60, 5.0, np.random.default_rng(0))
    assert len(points) == 60 and cKDTree(points).query(points, 2)[0][:, 1].min() >= 5
    assert not whole or (points == np.floor(points)).all()


def test_hard_core_is_sequential_one_cell_after_another():
    """The share of pairs just beyond the distance is that of adding cells one by one."""
    region, rng = Region((24, 24), 10), np.random.default_rng(1)

    def literal():
        placed = []
        while len(placed) < 6:
            new = rng.uniform(0, 24, 2)
            if all(np.hypot(*(new - one)) >= 7 for one in placed):
                placed.append(new)
        return np.array(placed)

    def near(points):
        return (cKDTree(points).query(points, 2)[0][:, 1] < 8).mean()

    ours = np.array([near(apart(region, 6, 7.0, rng)) for _ in range(150)])
    theirs = np.array([near(literal()) for _ in range(150)])
    assert abs(ours.mean() - theirs.mean()) < 3.5 * np.hypot(ours.std(), theirs.std()) / np.sqrt(150)


def test_a_full_region_is_a_line():
    with pytest.raises(CellscaperError, match=r"only \d+ of 60 cells find room 30 px apart in 3600 px²"):
        apart(Region((60, 60), 20), 60, 30.0, np.random.default_rng(0))


def test_the_smallest_distance_is_within_a_layout():
    region = Region((9, 9), 3)
    one = Cells(np.array([[1, 1], [4, 5]], np.float32), np.zeros(2, np.uint8), region)
    two = Cells(np.array([[1, 1.5]], np.float32), np.zeros(1, np.uint8), region)
    assert smallest_distance([one, two]) == 5 and smallest_distance([two]) == np.inf


# -- the whole test ------------------------------------------------------------------------------------------


def tissue(seed, clustered, size=(160, 160), n=60):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n).astype(np.uint8)
    points = rng.uniform(0, size, (n, 2))
    if clustered:  # the second class near three centres
        points[labels == 1] = rng.uniform(40, 120, (3, 2))[rng.integers(0, 3, (labels == 1).sum())] + rng.normal(
            0, 6, ((labels == 1).sum(), 2)
        )
    return LayoutSet.build([Layout(points.astype(np.float32), labels, size)], ("a", "b"), 0.5)


def trial(layouts, null, n=39, seed=0):
    data = prepare(layouts, 30, None)
    return compare(data, null, simulate(null, data.layouts, n, seed, 0), 0.05)


def test_clusters_are_found_and_uniform_cells_are_not():
    found = trial(tissue(0, True), "csr")
    assert found.tested.p == pytest.approx(1 / 40) and found.tested.groups["cross-K"] <= 0.05
    assert trial(tissue(0, True), "labels").tested.p == pytest.approx(1 / 40)
    assert trial(tissue(1, False), "csr").tested.p > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("null", ["csr", "labels"])
def test_p_is_uniform_for_uniform_cells_in_masks(null):
    y, x = np.mgrid[:120, :120]
    mask = np.abs(np.hypot(y - 60, x - 60) - 38) < 20
    p = []
    for seed in range(120):
        region = Region((120, 120), 20, mask)
        rng = np.random.default_rng(seed)
        one = Layout(region.uniform(40, rng), rng.integers(0, 2, 40).astype(np.uint8), (120, 120))
        data = prepare(LayoutSet.build([one], ("a", "b"), 0.5), 20, mask)
        p.append(compare(data, null, simulate(null, data.layouts, 19, seed, 0), 0.05).tested.p)
    for level in (0.05, 0.25, 0.5):
        assert abs((np.array(p) <= level + 1e-9).mean() - level) < 3.5 * np.sqrt(level * (1 - level) / 120)


def test_cells_outside_the_mask_are_counted_and_left_out():
    layouts = tissue(2, False)
    mask = np.zeros((160, 160), bool)
    mask[:, :80] = True
    data = prepare(layouts, 30, mask)
    inside = (layouts.points[:, 1] < 79.5).sum()
    assert (data.counts.sum(), data.left_out) == (inside, 60 - inside)
    assert all(one.region.holds(one.points).all() for one in data.layouts)


def test_whole_positions_stay_whole():
    layouts = tissue(3, False)
    whole = LayoutSet.build([Layout(np.floor(layouts.points), layouts.labels, (160, 160))], ("a", "b"), 0.5)
    data = prepare(whole, 30, None)
    points, _ = next(simulate("csr", data.layouts, 1, 0, 0))[0]
    assert (points == np.floor(points)).all()
