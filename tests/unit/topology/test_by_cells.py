"""Markers of cells that have to rise: the nearest pixels, turned with the cells."""

import numpy as np
import pytest

from cellscaper.topology.alpha import alpha_pairs
from cellscaper.topology.by_cells import CellHoles, _markers
from cellscaper.views.symmetries import EIGHT, transform

SIDE = 40


def raised(points, marker):
    """(N, SIDE, SIDE): the slopes of each cell."""
    slopes = np.zeros((len(points), SIDE, SIDE))
    for i, one in enumerate(points.astype(np.float64)[:, None]):
        pixel, slope = _markers(np.ones(1), [CellHoles(one, alpha_pairs(one))], marker, SIDE, SIDE)
        np.add.at(slopes[i].reshape(-1), pixel, slope)
    return slopes


@pytest.mark.parametrize("symmetry", EIGHT)
def test_a_marker_lies_around_the_pixel_nearest_to_the_cell_and_turns_with_it(
    hard_points, nearest_centres, turned, symmetry
):
    points = hard_points(SIDE, 60, symmetry)
    assert np.array_equal(np.argwhere(raised(points, 1))[:, 1:], nearest_centres(points, SIDE))
    assert np.array_equal(raised(transform(points, symmetry, SIDE), 3), turned(raised(points, 3), symmetry))


def test_the_slope_of_a_cell_is_spread_over_its_marker_and_cut_at_the_border():
    slopes = raised(np.array([[10.5, 20], [0, 0.4]], np.float32), 3)
    assert slopes[0].sum() == pytest.approx(1) and slopes[1].sum() == pytest.approx(4 / 9)
    assert np.argwhere(slopes[0]).min(axis=0).tolist() == [10, 19]
