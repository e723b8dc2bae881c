import numpy as np
import pytest
from scipy import ndimage

from cellscaper.topology.cells import find_cells
from cellscaper.views.decoding import components
from cellscaper.views.grid import Grid


def markers(rng, shape, cells=25):
    maps = np.zeros(shape, np.float32)
    for one in maps.reshape(-1, *shape[2:]):
        for y, x in rng.integers(0, shape[2:], (cells, 2)):
            one[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = 1
    return maps


def by_layer(cells):
    return [cells.points[a:b] for a, b in zip(cells.first[:-1], cells.first[1:], strict=True)]


def in_order(points):
    return points[np.lexsort(points.T.round(6))]


@pytest.mark.parametrize("marker", [1, 3])
def test_cells_of_clean_maps_are_those_of_the_decoder(marker):
    grid = Grid(44, 1, marker)
    maps = markers(np.random.default_rng(0), (4, 3, 44, 44))
    found = by_layer(find_cells(maps, 0.5, single=marker == 1, inter=True))
    for sample, own in zip(maps, (found[i : i + 4] for i in range(0, 16, 4)), strict=True):
        for layer, points in zip([*sample, sample.max(axis=0)], own, strict=True):
            expected = components(layer[None], grid)[0]
            np.testing.assert_allclose(in_order(points), in_order(expected), atol=1e-4)


def test_places_of_soft_maps_are_weighted_centroids_over_component_and_surroundings():
    rng = np.random.default_rng(1)
    layer = (0.9 * markers(rng, (1, 1, 60, 50), 30) + rng.uniform(0, 0.4, (1, 1, 60, 50))).astype(np.float32)
    cells = find_cells(layer, 0.5)
    label, n = ndimage.label(layer[0, 0] > 0.5)
    assert len(cells.points) == n
    for k, (rows, columns) in enumerate(ndimage.find_objects(label)):
        box = slice(max(rows.start - 1, 0), rows.stop + 1), slice(max(columns.start - 1, 0), columns.stop + 1)
        weight = np.where(np.isin(label[box], (0, k + 1)), np.minimum(layer[0, 0][box], 1), 0).astype(np.float64)
        place = ndimage.center_of_mass(weight) + np.array([box[0].start, box[1].start])
        row = np.hypot(*(cells.points - place).T).argmin()
        np.testing.assert_allclose(cells.points[row], place, atol=1e-6)
        assert cells.mass[row] == pytest.approx(weight.sum())


def test_offset_over_mass_is_the_derivative_of_the_place():
    rng = np.random.default_rng(2)
    layer = np.where(markers(rng, (1, 2, 30, 30), 6) > 0, 0.8, rng.uniform(0.1, 0.3, (1, 2, 30, 30)))
    cells = find_cells(layer, 0.5, inter=False)  # in float64
    for k in rng.choice(len(cells.pixel), 20, replace=False):
        moved, step = layer.copy(), 1e-4
        moved.reshape(-1)[cells.pixel[k]] += step
        up = find_cells(moved, 0.5).points[cells.cell[k]]
        moved.reshape(-1)[cells.pixel[k]] -= 2 * step
        down = find_cells(moved, 0.5).points[cells.cell[k]]
        slope = cells.offset[k] / cells.mass[cells.cell[k]]
        np.testing.assert_allclose((up - down) / (2 * step), slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("intra, inter", [(True, True), (True, False), (False, True)])
def test_layers_are_classes_then_their_maximum(intra, inter):
    rng = np.random.default_rng(3)
    maps = markers(rng, (2, 2, 32, 32), 8) * rng.uniform(0.6, 1, (2, 2, 32, 32)).astype(np.float32)
    found = by_layer(find_cells(maps, 0.5, intra=intra, inter=inter))
    layers = [one for sample in maps for one in [*(sample if intra else []), *([sample.max(axis=0)] if inter else [])]]
    assert len(found) == len(layers)
    for points, layer in zip(found, layers, strict=True):
        assert np.array_equal(points, find_cells(layer[None, None], 0.5).points)


def test_the_best_supported_cells_are_kept_and_equal_ones_have_no_order_of_place():
    maps = np.zeros((1, 1, 60, 60), np.float32)
    maps[0, 0, ::4, ::4] = 0.6
    maps[0, 0, 40:43, 40:43] = 1
    some = find_cells(maps, 0.5, limit=np.array([60]))
    assert len(some.points) == 60
    assert any(np.allclose(place, (41, 41), atol=0.3) for place in some.points)
    assert abs(some.points.mean(axis=0) - 29).max() < 8
    assert len(find_cells(maps, 0.5, limit=np.array([0])).points) == 0


def test_empty_full_and_nan_maps():
    maps = np.stack([np.zeros((1, 8, 9)), np.ones((1, 8, 9)), np.full((1, 8, 9), np.nan)]).astype(np.float32)
    maps[2, 0, 3, 4] = 1.0
    cells = find_cells(maps, 0.5)
    assert cells.first.tolist() == [0, 0, 1, 2]
    np.testing.assert_allclose(cells.points, [(3.5, 4), (3, 4)])
    assert len(find_cells(maps[:1], 0.5, inter=True).points) == 0
