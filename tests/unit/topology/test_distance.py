import sys

import numpy as np
import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.topology.distance import LATTICE, discs, distance_map, union

ABSENT = "FastGeodis is not installed (extra geodesic)"


def brute(mask):
    here = np.stack(np.mgrid[: mask.shape[0], : mask.shape[1]], -1)[:, :, None].astype(float)
    return np.hypot(*np.moveaxis(here - np.argwhere(mask), -1, 0)).min(-1)


@pytest.mark.parametrize("shape", [(20, 33), (33, 20), (1, 9)])
def test_equals_brute_force_and_seeds_are_at_that_distance(shape):
    mask = np.random.default_rng(0).random(shape) < 0.05
    mask[0, 3] = True
    found = distance_map(mask)
    assert found.values == pytest.approx(brute(mask), rel=1e-6)
    assert mask.ravel()[found.seed].all()
    y, x = np.divmod(found.seed, shape[1])
    own = np.hypot(y - np.arange(shape[0])[:, None], x - np.arange(shape[1]))
    assert own == pytest.approx(brute(mask))


def test_union_is_the_distance_of_the_union():
    rng = np.random.default_rng(1)
    masks = [rng.random((30, 22)) < 0.02 for _ in range(3)] + [np.zeros((30, 22), bool)]
    joined, whole = union([distance_map(one) for one in masks]), distance_map(np.any(masks, axis=0))
    assert np.array_equal(joined.values, whole.values)
    assert np.any(masks, axis=0).ravel()[joined.seed].all()


def test_an_empty_mask_is_infinitely_far():
    found = distance_map(np.zeros((4, 6), bool))
    assert found.empty
    assert np.isinf(found.values).all()
    assert union([found, found]).empty
    assert not distance_map(np.eye(4, dtype=bool)).empty


def test_discs_hold_every_pixel_up_to_the_lattice_and_only_nearer_ones_beyond():
    shape, pixels = (30, 41), np.array([0, 15 * 41 + 20, 29 * 41 + 40])
    for radius in (1.0, 3.7, LATTICE):
        found = discs(shape, pixels, np.full(3, radius))
        for i, pixel in enumerate(pixels):
            inside = found.pixel[i][np.isfinite(found.reach[i])]
            mask = np.zeros(shape, bool)
            mask.ravel()[pixel] = True
            assert sorted(inside) == np.flatnonzero(brute(mask).ravel() < radius).tolist()
    wide = discs(shape, pixels, np.full(3, 13.0))
    dy, dx = wide.pixel // 41 - (pixels // 41)[:, None], wide.pixel % 41 - (pixels % 41)[:, None]
    inside = np.isfinite(wide.reach)
    assert wide.reach[inside] == pytest.approx(np.hypot(dy, dx)[inside])
    assert wide.reach[inside].max() < 13


def test_fastgeodis_agrees_within_its_known_error():
    pytest.importorskip("FastGeodis", reason=ABSENT)
    mask = np.random.default_rng(2).random((128, 100)) < 0.004
    exact, chamfer = distance_map(mask), distance_map(mask, "fastgeodis")
    assert np.abs(chamfer.values - exact.values).max() <= 0.1 * exact.values.max()
    assert (np.abs(chamfer.values - exact.values) <= 0.09 * np.maximum(exact.values, 1)).all()
    assert np.array_equal(chamfer.seed, exact.seed)


def test_fastgeodis_puts_its_gradient_on_the_wrong_pixels():
    """Why the losses route gradients themselves: each pixel's lies at the pixel, not at its nearest seed."""
    geodesic = pytest.importorskip("FastGeodis", reason=ABSENT)
    v, seed, pixel = 10.0, (4, 5), (6, 5)
    away = torch.ones(1, 1, 16, 16)
    away[0, 0][seed] = 0

    def at_pixel(mask):
        return geodesic.generalised_geodesic2d(torch.zeros_like(mask), mask, v, 0.0, 2)[0, 0][pixel]

    moved, asked = away.clone(), away.clone().requires_grad_()
    moved[0, 0][seed] = 0.01
    at_pixel(asked).backward()
    assert ((at_pixel(moved) - at_pixel(away)) / 0.01).item() == pytest.approx(v, rel=1e-3)
    assert asked.grad[0, 0][seed] == 0
    assert asked.grad[0, 0][pixel] == v


def test_backends_that_cannot_work_are_refused(monkeypatch):
    mask = np.eye(5, dtype=bool)
    with pytest.raises(CellscaperError, match="'chamfer' is unknown; choose one of edt, fastgeodis"):
        distance_map(mask, "chamfer")
    monkeypatch.setitem(sys.modules, "FastGeodis", None)
    with pytest.raises(CellscaperError, match="pip install --no-build-isolation FastGeodis"):
        distance_map(mask, "fastgeodis")
