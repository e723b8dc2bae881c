"""Regions: cells in masks, uniform positions, set covariance and the way to the border, against loops over pixels."""

import numpy as np
import pytest

from cellscaper.envelopes.region import Region


def ring(size=(60, 70)):
    y, x = np.mgrid[: size[0], : size[1]]
    way = np.hypot(y - 28, x - 34)
    return (way < 26) & (way > 9)


def test_a_cell_belongs_to_the_pixel_whose_centre_is_nearest():
    mask = np.zeros((4, 5), bool)
    mask[1, 2] = mask[3, 4] = True
    region = Region((4, 5), 2, mask)
    points = [[1, 2], [0.6, 2.4], [1.49, 1.51], [0.49, 2], [1.51, 2], [3.9, 4.9], [2.4, 4]]
    assert region.holds(np.array(points)).tolist() == [True, True, True, False, False, True, False]
    assert region.area == 2 and Region((4, 5), 2).area == 20


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_uniform_positions_fill_the_region_evenly_and_lie_in_it(masked, whole):
    region = Region((60, 70), 10, ring() if masked else None, whole)
    points = region.uniform(20_000, np.random.default_rng(0))
    assert points.shape == (20_000, 2) and points.dtype == np.float32
    assert region.holds(points).all() and (points >= 0).all() and (points < (60, 70)).all()
    assert (points == np.floor(points)).all() == whole
    pixels = np.floor(points + 0.5).astype(int).clip(0, (59, 69))
    counts = np.zeros((60, 70))
    np.add.at(counts, tuple(pixels.T), 1)
    inner = (ring() if masked else np.ones((60, 70), bool))[1:-1, 1:-1]  # the outer pixels have other sizes
    found = counts[1:-1, 1:-1][inner]
    mean = found.mean()
    assert abs(mean * region.area / 20_000 - 1) < 0.02
    assert ((found - mean) ** 2 / mean).sum() < inner.sum() + 4 * np.sqrt(2 * inner.sum())  # χ²


def test_positions_on_pixels_are_even_at_the_border_too():
    points = Region((5, 4), 2, None, True).uniform(40_000, np.random.default_rng(0))
    counts = np.bincount((points[:, 0] * 4 + points[:, 1]).astype(int), minlength=20)
    assert ((counts - 2000) ** 2 / 2000).sum() < 45


def test_the_set_covariance_of_a_mask_counts_its_pixels():
    mask = ring()
    region = Region(mask.shape, 20, mask)
    for dy, dx in ((0, 0), (3, 5), (7, -4), (0, -20), (-12, 16), (20, 0), (-1, -1)):
        moved = np.zeros_like(mask)
        for y, x in np.argwhere(mask):
            if 0 <= y + dy < mask.shape[0] and 0 <= x + dx < mask.shape[1]:
                moved[y + dy, x + dx] = True
        assert region.overlap(np.array([[dy, dx]]))[0] == pytest.approx((mask & moved).sum() / mask.sum(), abs=1e-12)


def test_between_whole_shifts_it_is_the_overlap_of_squares():
    fine = 8  # parts of a pixel
    mask = ring((40, 50))
    large = np.kron(mask, np.ones((fine, fine), bool))
    region = Region(mask.shape, 12, mask)
    for dy, dx in ((13, 21), (-30, 47), (61, -5)):  # in parts
        padded = np.pad(large, 64)
        expected = (padded & np.roll(padded, (dy, dx), (0, 1))).sum() / large.sum()
        assert region.overlap(np.array([[dy, dx]]) / fine)[0] == pytest.approx(expected, abs=1e-12)


def test_a_mask_of_everything_is_the_rectangle():
    rng = np.random.default_rng(0)
    whole, plain = Region((30, 40), 15, np.ones((30, 40), bool)), Region((30, 40), 15)
    shifts = rng.uniform(-10, 10, (50, 2))
    assert np.allclose(whole.overlap(shifts), plain.overlap(shifts))
    points = rng.uniform(0, (30, 40), (50, 2))
    assert np.array_equal(whole.to_border(points), plain.to_border(points))
    assert whole.largest_radius() == plain.largest_radius() == 15


def test_the_largest_radius_keeps_a_quarter_in_all_directions():
    assert Region((20, 200), 90).largest_radius() == 14  # 15 px: 1 - 15 / 20 is a quarter, less in directions beside it
    strip = np.zeros((200, 200), bool)
    strip[:, 90:110] = True
    assert Region((200, 200), 90, strip).largest_radius() == 14
    dots = np.zeros((100, 100), bool)
    dots[::10, ::10] = True
    assert Region((100, 100), 40, dots).largest_radius() == 0


def test_everything_within_the_way_to_the_border_lies_in_the_region():
    mask = ring()
    region = Region(mask.shape, 10, mask)
    points = region.uniform(40, np.random.default_rng(1))
    ways = region.to_border(points)
    outside = np.argwhere(~np.pad(mask, 1)) - 1
    turn = np.linspace(0, 2 * np.pi, 60)
    around = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    for point, way in zip(points.astype(float), ways, strict=True):
        nearest = np.hypot(*(outside - point).T).min()
        assert way == pytest.approx(max(nearest - np.sqrt(0.5), 0)) or way == pytest.approx(point.min())
        assert region.holds(point + max(way - 1e-6, 0) * around).all()
    assert Region((10, 20), 3).to_border([[1, 2], [9.5, 10], [5, 19]]).tolist() == [1, 0.5, 1]
