"""How layouts enter the network that paints, against other makers of the same maps."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from cellscaper.errors import CellscaperError
from cellscaper.painters.diffusion import Settings
from cellscaper.painters.layout_condition import (
    AttentionCondition,
    CellTokens,
    DistanceCondition,
    MarkerCondition,
    layout_condition,
)
from cellscaper.run.settings import read
from cellscaper.views.grid import Grid
from cellscaper.views.rasters import rasterise
from cellscaper.views.symmetries import EIGHT, transform

CLASSES = 3


def cells(n=4, side=40, seed=0):
    """n layouts with 0 to 12 cells, some outside or at the border of whole pixels."""
    rng = np.random.default_rng(seed)
    index = np.sort(rng.integers(0, n - 1, 12 * (n - 1)))  # the last one is empty
    points = rng.uniform(0, side, (len(index), 2)).astype(np.float32)
    points[:3] = [[0, 0], [side - 1e-3, side - 1e-3], [0, side - 1]]
    labels = rng.integers(0, CLASSES, len(index))
    return torch.from_numpy(points), torch.from_numpy(labels), torch.from_numpy(index), n


def test_markers_are_the_grid_s_raster():
    grid = Grid(40, marker=3, pad=4, low=-1, high=1)
    one = layout_condition(MarkerCondition(), grid, CLASSES)
    points, labels, index, n = cells()
    assert one.channels == CLASSES
    assert torch.equal(one.encode(points, labels, index, n), rasterise(points, labels, index, n, CLASSES, grid))


@pytest.mark.parametrize(("pad", "reach", "low", "high"), [(0, 6, -1.0, 1.0), (5, 4.5, 0.0, 2.0), (2, 1, -1.0, 1.0)])
def test_distance_maps_are_scipy_s(pad, reach, low, high, nearest_centres):
    grid = Grid(40, pad=pad, low=low, high=high)
    points, labels, index, n = cells()
    one = layout_condition(DistanceCondition(kind="distance", reach=reach), grid, CLASSES)
    maps = one.encode(points, labels, index, n)
    assert maps.shape == (n, CLASSES, 40 + 2 * pad, 40 + 2 * pad)
    for i in range(n):
        for k in range(CLASSES):
            free = np.ones(maps.shape[2:], bool)
            own = nearest_centres(points[(index == i) & (labels == k)].numpy(), 40) + pad
            free[own[:, 0], own[:, 1]] = False
            away = ndimage.distance_transform_edt(free) if len(own) else np.full(free.shape, np.inf)
            expected = high - (high - low) * np.minimum(away / reach, 1)
            np.testing.assert_allclose(maps[i, k].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("symmetry", EIGHT)
def test_distance_maps_turn_with_the_cells(symmetry, hard_points, turned):
    grid = Grid(40, pad=3, low=-1, high=1)
    one = layout_condition(DistanceCondition(kind="distance", reach=5), grid, CLASSES)
    points = hard_points(40, 60, symmetry)
    labels, index = torch.arange(60) % CLASSES, torch.arange(60) // 20
    maps = one.encode(torch.from_numpy(points), labels, index, 3).numpy()
    found = one.encode(torch.from_numpy(transform(points, symmetry, 40)), labels, index, 3).numpy()
    assert np.array_equal(found, turned(maps, symmetry))


def test_a_token_has_the_place_of_the_query_of_its_pixel():
    """The U-Net asks for pixel i of n with the waves of (i + ½) / n; a mirrored cell has the mirrored place."""
    grid = Grid(40, pad=4)
    one = layout_condition(AttentionCondition(kind="cross_attention", width=8), grid, 1)
    whole = torch.arange(40.0).repeat(2, 1).T
    places = one.encode(whole, torch.zeros(40, dtype=torch.long), torch.zeros(40, dtype=torch.long), 1)[0, :, :2]
    queries = (torch.arange(grid.side) + 0.5) / grid.side
    torch.testing.assert_close(places, queries[4:-4].repeat(2, 1).T)
    torch.testing.assert_close(places.flip(0), 1 - places)


def test_cells_are_padded_and_told_apart_from_padding():
    grid = Grid(40, pad=4)
    points, labels, index, n = cells()
    one = layout_condition(AttentionCondition(kind="cross_attention", width=8), grid, CLASSES)
    encoded = one.encode(points, labels, index, n)
    assert (one.channels, one.context) == (0, 8)
    for i in range(n):
        own = points[index == i]
        np.testing.assert_allclose(encoded[i, : len(own), :2].numpy() * 48 - 4.5, own.numpy(), atol=1e-4)
        assert torch.equal(encoded[i, : len(own), 2:].argmax(1), labels[index == i])
        assert not encoded[i, len(own) :].any()
    layer = CellTokens(8, CLASSES)
    tokens, present = layer(encoded)
    assert tokens.shape == (n, encoded.shape[1] + 1, 8)
    assert present[:, 0].all()
    assert torch.equal(present[:, 1:].sum(1), torch.bincount(index, minlength=n))
    longer, there = layer(torch.cat([encoded, torch.zeros(n, 5, 2 + CLASSES)], dim=1))
    torch.testing.assert_close(longer[:, : tokens.shape[1]], tokens)
    assert not there[:, tokens.shape[1] :].any()


def test_wrong_settings_are_refused():
    with pytest.raises(CellscaperError, match="condition reach 41 px must be from 1 to the map's 40 px"):
        layout_condition(DistanceCondition(kind="distance", reach=41), Grid(40), CLASSES)
    for condition, words in (
        ({"kind": "distance", "reach": 0.5}, "condition.reach = 0.5: Input should be greater than or equal to 1"),
        ({"kind": "attention"}, "'attention' .* the expected tags: 'markers', 'distance', 'cross_attention'"),
    ):
        with pytest.raises(CellscaperError, match=words):
            read(Settings, {"condition": condition}, "painters diffusion")
