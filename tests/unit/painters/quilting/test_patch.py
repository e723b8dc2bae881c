"""Patches turn as points do, and descriptions are those of cells near the centre."""

import numpy as np
import pytest

from cellscaper.painters.quilting.patch import Patch, turned, turned_image, turned_offsets
from cellscaper.views.symmetries import EIGHT, transform


@pytest.mark.parametrize("symmetry", EIGHT)
def test_rasters_images_and_offsets_turn_as_points_do(symmetry):
    side, rng = 9, np.random.default_rng(symmetry)
    pixels = rng.integers(0, side, (5, 2))
    raster = np.zeros((side, side), int)
    raster[tuple(pixels.T)] = np.arange(1, 6)
    where = transform(pixels.astype(np.float32), symmetry, side).astype(int)
    assert (turned(raster, symmetry)[tuple(where.T)] == raster[tuple(pixels.T)]).all()
    assert np.array_equal(turned_image(raster[..., None], symmetry)[..., 0], turned(raster, symmetry))
    middle = (side - 1) // 2
    assert np.array_equal(turned_offsets(pixels - middle, symmetry) + middle, where)


def test_a_description_is_a_cone_around_each_cell():
    patch = Patch(12, 6.0, 2)
    points = np.array([[0, 0], [3, 9]], np.float32)
    found = patch.describe(points, np.array([0, 1], np.uint8)) / patch.weight
    y, x = np.meshgrid(patch.samples, patch.samples, indexing="ij")
    for label, (a, b) in enumerate(points):
        assert np.allclose(found[label], np.clip(1 - np.hypot(y - a, x - b) / 6, 0, None), atol=1e-6)
    assert not patch.describe(points[:0], np.zeros(0, np.uint8)).any()


@pytest.mark.parametrize("symmetry", EIGHT)
def test_the_description_in_eight_finds_the_symmetry_of_a_candidate(symmetry):
    patch, rng = Patch(12, 6.0, 2), np.random.default_rng(1)
    points, labels = rng.uniform(-12, 12, (6, 2)).astype(np.float32), rng.integers(0, 2, 6).astype(np.uint8)
    own = patch.describe(points, labels).reshape(-1)
    wanted = patch.describe(turned_offsets(points, symmetry), labels)
    apart = np.square(patch.in_eight(wanted) - own).sum(axis=1)
    assert apart.argmin() == symmetry and apart[symmetry] == pytest.approx(0, abs=1e-6)
