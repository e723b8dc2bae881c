from dataclasses import dataclass

import numpy as np
import pytest

from cellscaper.density import kde
from cellscaper.density.maps import density_map, grid_points, normalise, quantile_scale
from cellscaper.errors import CellscaperError
from cellscaper.views.symmetries import EIGHT, transform


@dataclass(frozen=True)
class Peak:
    y: float
    x: float


def fit_peak(points, settings, seed):
    return Peak(*points.mean(axis=0))


def evaluate_peak(params, where):
    return -((where[:, 0] - params.y) ** 2) - (where[:, 1] - params.x) ** 2


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_grid_pixel_centre_is_the_mean_of_the_pixels_it_holds(stride):
    centres = grid_points((12, 24), stride)
    rows, columns = (np.arange(side).reshape(-1, stride).mean(axis=1) for side in (12, 24))
    assert centres.tolist() == [[y, x] for y in rows for x in columns]


def test_map_is_height_by_width_rounded_up_and_finds_y_and_x():
    points = np.array([[20.0, 90.0], [21.0, 91.0], [22.0, 92.0]])
    density = density_map(fit_peak, evaluate_peak, points, (51, 121), 2, {}, 0)
    assert density.shape == (26, 61)
    assert density.dtype == np.float32
    assert np.unravel_index(density.argmax(), density.shape) == (10, 45)  # pixels 20-21 and 90-91


@pytest.mark.parametrize("symmetry", EIGHT)
def test_maps_turn_with_the_cells(hard_points, turned, symmetry):
    points = hard_points(60, 30, symmetry).clip(0, 59)  # beyond the last centre a mirrored cell moves
    one, other = (
        density_map(kde.fit, kde.evaluate, where, (60, 60), 4, kde.Settings(), 0)
        for where in (points, transform(points, symmetry, 60))
    )
    np.testing.assert_allclose(other, turned(one, symmetry), rtol=1e-4)


@pytest.mark.parametrize("cells", [0, 1, 2])
def test_two_cells_or_fewer_give_a_zero_map_without_a_fit(cells):
    def no_fit(points, settings, seed):
        raise AssertionError("fitted")

    density = density_map(no_fit, evaluate_peak, np.ones((cells, 2)), (9, 10), 4, {}, 0)
    assert density.shape == (3, 3)
    assert not density.any()


def test_fit_gets_settings_and_seed():
    seen = []

    def fit(points, settings, seed):
        seen.append((settings, seed))
        return Peak(0, 0)

    density_map(fit, evaluate_peak, np.ones((3, 2)), (4, 4), 1, {"a": 1}, 7)
    assert seen == [({"a": 1}, 7)]


def test_scale_is_the_quantile_over_all_maps_of_any_shape():
    maps = [np.zeros((10, 10)), np.arange(1, 101).reshape(4, 25)]
    assert quantile_scale(maps, 0.5) == 0.5  # halfway between the last 0 and 1
    assert quantile_scale(maps) == pytest.approx(98.01)  # position 0.99 · 199 = 197.01, value 98.01


@pytest.mark.parametrize("maps", [[], [np.zeros((3, 3))]])
def test_scale_refuses_maps_without_a_positive_quantile(maps):
    with pytest.raises(CellscaperError, match="expected above 0"):
        quantile_scale(maps)


def test_normalise_maps_zero_to_minus_one_scale_to_one_and_clamps():
    assert normalise(np.array([0.0, 2.0, 4.0, 9.0]), 4.0).tolist() == [-1.0, 0.0, 1.0, 1.0]
    assert normalise(np.zeros((2, 3)), 1e-5).dtype == np.float32
