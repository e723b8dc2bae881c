"""Areas and shortest distances against brute force and known packings."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.constraints import MARGIN, Area, most, push, separate, too_close

NONE = np.zeros((0, 2))


def disc(size, radius):
    rows, columns = np.indices(size)
    return np.hypot(rows - size[0] / 2, columns - size[1] / 2) < radius


def shortest(points):
    """The smallest distance between two of the points, by brute force in double precision."""
    gaps = np.asarray(points, np.float64)[:, None] - np.asarray(points, np.float64)
    distance = np.sqrt((gaps**2).sum(axis=-1))
    np.fill_diagonal(distance, np.inf)
    return distance.min(initial=np.inf)


# -- areas ---------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), share=st.floats(0.01, 0.99), corner=st.sampled_from([0.0, 0.5]))
def test_the_nearest_position_is_allowed_and_nearly_the_nearest(seed, share, corner):
    rng = np.random.default_rng(seed)
    size = tuple(int(side) for side in rng.integers(1, 30, 2))
    mask = rng.random(size) < share
    mask[rng.integers(size[0]), rng.integers(size[1])] = True
    area = Area(size, mask, corner)
    points = rng.uniform(-5, 35, (20, 2))
    found = area.nearest(points)
    assert area.holds(found).all()
    assert area.holds(found.astype(np.float32)).all()
    kept = area.holds(points) & (points <= np.array(size) - corner - MARGIN).all(axis=1)
    assert np.array_equal(found[kept], points[kept])
    pixels = np.argwhere(mask) - corner
    away = np.maximum(np.maximum(pixels - points[:, None], points[:, None] - pixels - 1), 0)
    best = np.sqrt((away**2).sum(axis=-1)).min(axis=1)  # to the nearest pixel, brute force
    clipped = np.sqrt(((points.clip(0, size) - points) ** 2).sum(axis=-1))
    assert (np.sqrt(((found - points) ** 2).sum(axis=-1)) <= best + clipped + math.sqrt(2) + 2 * MARGIN).all()


def test_an_area_without_a_mask_is_its_rectangle():
    area = Area((10, 20))
    assert area.pixels == 200
    assert area.holds(np.array([[0, 0], [9.99, 19.99], [10, 0], [0, -0.01]])).tolist() == [True, True, False, False]
    assert area.nearest(np.array([[-3, 5], [12, 30]])).tolist() == [[0, 5], [10 - MARGIN, 20 - MARGIN]]


@pytest.mark.parametrize("corner", [0.0, 0.5])
@pytest.mark.parametrize("deviation", [3.0, 12.0, 40.0])
def test_expected_positions_are_those_of_a_normal_distribution_cut_to_the_area(deviation, corner):
    """Against the mean of many normal draws that fall into the area."""
    size = (200, 240)
    mask = disc(size, 50)
    mask[:, :30] = True
    area = Area(size, mask, corner)
    points = np.array([[100.0, 120], [100, 160], [70, 60], [100, 180], [60, 20]])
    rng = np.random.default_rng(0)
    found = area.expected(points, deviation)
    for point, mean in zip(points, found, strict=True):
        draws = point + deviation * rng.normal(size=(400_000, 2))
        # beyond the rectangle the mask goes on as at its edge
        inside = mask[tuple((draws + corner).clip(0, np.array(size) - 1).astype(int).T)]
        if inside.sum() > 2000:
            expected = draws[inside].mean(axis=0)
            assert mean == pytest.approx(expected, abs=0.06 * deviation + 0.3)


def test_expected_positions_become_the_nearest_ones():
    area = Area((200, 200), disc((200, 200), 50))
    points = np.random.default_rng(0).uniform(0, 200, (50, 2))
    assert np.array_equal(area.expected(points, 0.5), area.nearest(points))
    assert np.abs(area.expected(points, 2) - area.nearest(points)).max() < 6
    ring = Area((200, 200), disc((200, 200), 80) & ~disc((200, 200), 60))
    assert ring.expected(np.array([[100.0, 100]]), 60) == pytest.approx(np.array([[100, 100]]), abs=1)
    free = Area((200, 200))
    assert np.array_equal(free.expected(points, 60), points)


# -- distances -----------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), distance=st.floats(0, 30))
def test_pairs_that_are_too_close_are_those_of_brute_force(seed, distance):
    points = np.random.default_rng(seed).integers(0, 20, (12, 2)).astype(np.float64)
    expected = [
        [i, j] for i, j in itertools.combinations(range(12), 2) if ((points[i] - points[j]) ** 2).sum() < distance**2
    ]
    assert too_close(points, distance).tolist() == expected


@pytest.mark.slow
@settings(max_examples=50)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(0, 40),
    m=st.integers(0, 5),
    distance=st.floats(0, 9),
    shape=st.sampled_from(["rectangle", "disc", "noise"]),
    far=st.booleans(),
)
def test_separated_cells_keep_distance_and_area_exactly(seed, n, m, distance, shape, far):
    rng = np.random.default_rng(seed)
    size = (90, 110)
    mask = {"rectangle": None, "disc": disc(size, 45), "noise": rng.random(size) < 0.5}[shape]
    area = Area(size, mask)
    fixed = separate(rng.uniform(0, size, (m, 2)), NONE, distance, Area(size))
    points = rng.uniform(0, size, (n, 2)) if far else rng.normal(40, 1e-3, (n, 2))
    found = separate(points, fixed, distance, area)
    assert found.shape == (n, 2)
    assert found.dtype == np.float32
    assert area.holds(found).all()
    assert shortest(np.concatenate([found, fixed])) >= distance
    assert np.array_equal(found, separate(points, fixed, distance, area))


def test_cells_that_keep_everything_already_do_not_move():
    points = np.array([[10, 10], [20, 10], [10, 20.5]])
    assert np.array_equal(separate(points, NONE, 9.9, Area((64, 64))), points.astype(np.float32))


def test_one_pair_parts_by_what_is_missing():
    found = separate(np.array([[30, 30], [30, 34]]), NONE, 6, Area((64, 64)))
    assert found == pytest.approx(np.array([[30, 29], [30, 35]]), abs=1e-3)
    found = separate(np.array([[30, 34]]), np.array([[30, 30]]), 6, Area((64, 64)))
    assert found == pytest.approx(np.array([[30, 36]]), abs=1e-3)


def test_pushing_moves_little_at_the_density_of_tissue():
    """92 uniform cells in 256 px, 4 px apart: most stay, and none goes farther than the distance asked for."""
    points = np.random.default_rng(0).uniform(0, 255, (92, 2))
    moved = np.hypot(*(push(points, NONE, 4, Area((256, 256)), 100) - points).T)
    close = np.unique(too_close(points, 4))
    assert 0 < len(close) < 30
    assert np.flatnonzero(moved).tolist() == close.tolist()
    assert moved.max() < 4


def test_cells_in_one_place_part():
    found = separate(np.full((30, 2), 32.0), NONE, 8, Area((64, 64)))
    assert shortest(found) >= 8


def test_a_cell_shut_in_by_given_ones_moves_to_another_gap():
    lattice = np.stack(np.meshgrid(np.arange(2, 40, 4.0), np.arange(2, 40, 4.0)), axis=-1).reshape(-1, 2)
    found = separate(np.array([[20.0, 20]]), lattice, 4, Area((64, 64)))
    assert shortest(np.concatenate([lattice, found])) >= 4
    assert 20 < np.hypot(*(found[0] - 20)) < 32  # out of the block, and not across the region


@pytest.mark.slow
def test_nearly_full_regions_are_filled_and_fuller_ones_refused():
    """Up to 80 % of the densest packing; the bound alone would let about a fifth more pass."""
    points = np.random.default_rng(0).uniform(0, 128, (110, 2))
    found = separate(points, NONE, 12, Area((128, 128)))
    assert shortest(found) >= 12
    room = most(Area((128, 128)), 12, NONE)
    with pytest.raises(CellscaperError, match=f"found no room for {room} cells at least 12 px apart in 16384 px²"):
        separate(np.random.default_rng(0).uniform(0, 128, (room, 2)), NONE, 12, Area((128, 128)))


# -- the bound -----------------------------------------------------------------------------------------------


def hexagonal(size, distance):
    """As many cells as a hexagonal lattice from the corner has."""
    rows = np.arange(0, size[0], distance * math.sqrt(3) / 2)
    return sum(len(np.arange(distance / 2 * (i % 2), size[1], distance)) for i in range(len(rows)))


@given(st.integers(1, 400), st.integers(1, 400), st.floats(0.5, 50))
def test_the_bound_is_above_the_hexagonal_packing_and_not_far(height, width, distance):
    bound, packed = most(Area((height, width)), distance, NONE), hexagonal((height, width), distance)
    assert bound >= packed
    assert bound <= packed + 2 * (height + width) / distance + 3


def test_the_bound_of_a_mask_counts_its_pixels_alone():
    size = (200, 200)
    area = Area(size, disc(size, 60))
    lattice = np.array([(y, x) for y in range(0, 200, 10) for x in range(0, 200, 10)], np.float64)
    inside = area.holds(lattice).sum()
    assert inside <= most(area, 10, NONE) < 1.8 * inside
    assert most(area, 10, np.array([[100.0, 100]])) < most(area, 10, NONE)
    assert most(area, 130, np.array([[100.0, 100]])) == 0
    assert most(Area(size, disc(size, 1)), 50, NONE) == 1
