"""Mirrored and turned points against mirrored and turned pixels."""

import numpy as np
import pytest
import torch

from cellscaper.views.pixels import nearest_pixel
from cellscaper.views.symmetries import EIGHT, inverse, mirrored, transform


def test_points_turn_as_the_pixels_under_them_do(turned):
    rng = np.random.default_rng(0)
    cells = rng.choice(36, 9, replace=False)
    points = np.stack(np.divmod(cells, 6), axis=1)
    raster = np.zeros((6, 6), bool)
    raster[tuple(points.T)] = True
    seen = {turned(raster, symmetry).tobytes() for symmetry in EIGHT}
    assert seen == {np.rot90(one, k).tobytes() for one in (raster, raster.T) for k in range(4)}
    assert len(seen) == 8
    for symmetry in EIGHT:
        made = np.zeros((6, 6), bool)
        made[tuple(transform(points, symmetry, 6).astype(int).T)] = True
        assert np.array_equal(made, turned(raster, symmetry))


@pytest.mark.parametrize("side", [3, 64, 256, 464, 4096])
@pytest.mark.parametrize("seed", range(4))
def test_the_pixel_of_a_mirrored_point_is_the_mirrored_pixel(hard_points, nearest_centres, side, seed):
    points = hard_points(side, 400, seed)
    expected = side - 1 - nearest_centres(points, side)
    found = mirrored(points, side)
    assert found.dtype == np.float32
    assert np.array_equal(nearest_centres(found, side), expected)
    assert np.array_equal(nearest_centres(mirrored(found, side), side), side - 1 - expected)
    assert torch.equal(mirrored(torch.from_numpy(points), side), torch.from_numpy(found))


@pytest.mark.parametrize("side", [64, 464])
def test_a_mirrored_point_is_the_nearest_float_or_one_below(hard_points, side):
    """Only mirror images that are ties, by rounding or because they come from ties, are moved."""
    points = hard_points(side, 2000, 9)
    plain = np.maximum(np.float32(side - 1) - points, 0)
    found = mirrored(points, side)
    assert (found >= 0).all() and (found < side).all()
    whole = points == np.floor(points)
    assert np.array_equal(found[whole], plain[whole])
    moved = found != plain
    assert 0.1 < moved.mean() < 0.5
    assert (plain[moved] % 1 == 0.5).all()
    assert np.array_equal(found[moved], np.nextafter(plain, np.float32(0))[moved])
    kept = (plain % 1 == 0.5) & ~moved  # mirror images of the numbers just below ties
    assert (points[kept] % 1 < 0.5).all()


@pytest.mark.parametrize("symmetry", EIGHT)
def test_all_symmetries_turn_pixels_exactly(hard_points, turned, symmetry):
    points, side = hard_points(48, 500, symmetry), 48
    raster, made = np.zeros((2, side, side), int)
    np.add.at(raster, tuple(nearest_pixel(points).clip(0, side - 1).astype(int).T), 1)
    where = nearest_pixel(transform(points, symmetry, side)).clip(0, side - 1)
    np.add.at(made, tuple(where.astype(int).T), 1)
    assert np.array_equal(made, turned(raster, symmetry))
    assert np.array_equal(turned(turned(raster, symmetry), inverse(symmetry)), raster)


def test_points_stay_in_the_window_and_are_copies():
    points = np.array([[0, 9.99], [9.5, 0]], np.float32)
    for symmetry in EIGHT:
        made = transform(points, symmetry, 10)
        assert ((made >= 0) & (made < 10)).all()
        assert made.dtype == np.float32
        assert not np.shares_memory(made, points)
