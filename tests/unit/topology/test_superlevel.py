"""Holes of the distance turned upside down: against cripser on 1 − d / max d, and against minimum spanning trees."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.sparse.csgraph import minimum_spanning_tree

from cellscaper.topology.cubical import CONSTRUCTION
from cellscaper.topology.distance import distance_map
from cellscaper.topology.losses import intra_loss, targets
from cellscaper.topology.matching import match
from cellscaper.topology.routing import route
from cellscaper.topology.settings import Topology

SUPER = Topology(diagrams="cubical", filtration="superlevel", missing=False)
NORMALISED = replace(SUPER, normalise="max")


def tissue(rng, side=90, cells=30, marker=3):
    """A map (side, side) of markers that may overlap and be cut by the border."""
    layer, half = np.zeros((side, side), np.float32), marker // 2
    for y, x in rng.integers(0, side, (cells, 2)):
        layer[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1] = 1
    return layer


def holes(layer, settings):
    """Windows of one layer (H, W)."""
    return targets(torch.from_numpy(layer)[None, None], settings, inter=False).intra[0][0].windows


def upside_down(layer):
    """1 − d / max d, as the released code takes it."""
    distance = ndimage.distance_transform_edt(layer <= 0.5)
    return 1 - distance / distance.max()


def by_cripser(values):
    """Births and deaths (k, 2) of the 1-dimensional holes."""
    rows = pytest.importorskip("cripser").compute_ph(values, filtration=CONSTRUCTION, maxdim=1)
    return ordered(rows[rows[:, 0] == 1, 1:3])


def ordered(diagram):
    return diagram[np.lexsort(diagram.T)]


def spanning_tree(points, side):
    """(n,) values at which the cells' discs meet an older disc or the border: the minimum spanning tree of the cells
    and of the border as one more node. Edges between cells count half their length."""
    weights = np.zeros((len(points) + 1,) * 2)
    weights[:-1, :-1] = np.hypot(*(points[:, None] - points).T) / 2
    weights[:-1, -1] = np.minimum(points, side - 1 - points).min(axis=1)
    return np.sort(minimum_spanning_tree(weights).data)


def test_normalised_diagrams_are_crispers_but_for_the_shift():
    rng = np.random.default_rng(0)
    for _ in range(20):
        layer = tissue(rng)
        (found,) = holes(layer, NORMALISED)
        wanted = by_cripser(upside_down(layer))
        assert len(wanted) > 5
        assert (wanted[:, 1] == 1).all()  # every hole dies at a cell
        np.testing.assert_allclose(ordered(found.diagram) + 1, wanted, atol=1e-6)


def test_windows_are_crispers_on_parts_of_the_same_normalised_map():
    rng = np.random.default_rng(1)
    settings = replace(NORMALISED, window=40)
    for _ in range(5):
        layer = tissue(rng)
        values, found = upside_down(layer), holes(layer, settings)
        for number, one in enumerate(found):
            y, x = 40 * (number // 3), 40 * (number % 3)
            wanted = by_cripser(values[y : y + 40, x : x + 40])
            np.testing.assert_allclose(ordered(one.diagram) + 1, wanted, atol=1e-6)
        assert sum(map(len, found)) > 5


def test_in_pixels_a_hole_is_born_at_half_the_way_to_the_neighbour_or_at_the_border():
    layer = np.zeros((64, 72), np.float32)
    for y, x in ((20, 20), (20, 30), (36, 30), (50, 69)):  # edges of 10 and 16 px; 20 px and 2 px to the border
        layer[y, x] = 1
    (found,) = holes(layer, SUPER)
    assert ordered(found.diagram).tolist() == [[-20, 0], [-8, 0], [-5, 0], [-2, 0]]
    assert layer.ravel()[found.death].all()


def test_diagrams_are_minimum_spanning_trees_within_a_pixel():
    rng = np.random.default_rng(2)
    for _ in range(10):
        points = 2 * rng.permutation(39 * 39)[:25]
        points = np.stack([points // 78 * 2 + 1, points % 78 + 1], axis=1)
        layer = np.zeros((79, 79), np.float32)
        layer[points[:, 0], points[:, 1]] = 1
        (found,) = holes(layer, SUPER)
        np.testing.assert_allclose(np.sort(-found.diagram[:, 0]), spanning_tree(points, 79), atol=1)
        assert not found.diagram[:, 1].any()


@pytest.mark.parametrize("settings", [SUPER, NORMALISED], ids=["px", "normalised"])
def test_the_gradient_asks_critical_pixels_for_the_distances_of_their_matches(settings):
    """Wished distances by hand; how they act on the map is what the tests of the routing show."""
    rng = np.random.default_rng(3)
    for cells in (20, 30, 40):
        maps = [tissue(rng, cells=n) for n in (cells, 30)]
        distances = [distance_map(one > 0.5).values.astype(np.float64) for one in maps]
        scales = [one.max() if settings.normalise == "max" else 1.0 for one in distances]
        found, goal = (holes(one, settings)[0] for one in maps)
        pixels = np.stack([found.birth, found.death], axis=1)
        wished = np.repeat(distances[0].ravel()[pixels].mean(axis=1, keepdims=True), 2, axis=1)
        for i, j in match(found.diagram, goal.diagram).pairs:
            wished[i] = distances[1].ravel()[[goal.birth[j], goal.death[j]]] * scales[0] / scales[1]
        where, slope = route(maps[0], distance_map(maps[0] > 0.5), pixels.T.ravel(), wished.T.ravel(), 0.5, 2.0)
        expected = np.bincount(where, slope / scales[0] ** 2, maps[0].size).reshape(maps[0].shape)
        layer, clean = (torch.from_numpy(one)[None, None] for one in maps)
        layer.requires_grad_()
        intra_loss(layer, targets(clean, settings), settings).backward()
        assert expected.any()
        off = np.abs(layer.grad[0, 0].numpy() - expected).sum()
        assert off < 0.02 * np.abs(expected).sum()  # pixels at just the wished distance are rounded either way
