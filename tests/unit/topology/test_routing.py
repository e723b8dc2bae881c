import numpy as np
import pytest

from cellscaper.topology.distance import distance_map
from cellscaper.topology.routing import route

TAU, PENALTY = 0.5, 2.0


def soft_distance(layer, pixel, v):
    """min over q of |p − q| + v (1 − b_q), float64, by brute force; b = layer / τ in 0…1."""
    presence = np.clip(layer / TAU, 0, 1)
    y, x = np.divmod(pixel, layer.shape[1])
    reach = np.hypot(*np.ogrid[-y : layer.shape[0] - y, -x : layer.shape[1] - x])
    return (reach + v * (1 - presence)).min()


def finite_differences(layer, pixel, v, step=1e-6):
    slopes = np.zeros(layer.shape)
    for q in np.ndindex(layer.shape):
        up, down = layer.copy(), layer.copy()
        up[q] += step
        down[q] -= step
        slopes[q] = (soft_distance(up, pixel, v) - soft_distance(down, pixel, v)) / (2 * step)
    return slopes


def routed(layer, pixel, wished):
    distance = distance_map(layer > TAU)
    where, slope = route(layer.astype(np.float32), distance, np.array([pixel]), np.array([wished]), TAU, PENALTY)
    gradient = np.zeros(layer.size)
    np.add.at(gradient, where, slope)
    return gradient.reshape(layer.shape), distance


@pytest.mark.parametrize("seed", range(8))
def test_too_far_is_the_derivative_of_the_soft_distance(seed):
    rng = np.random.default_rng(seed)
    layer = rng.uniform(0, 0.2, (15, 19))
    layer[1, 1] = layer[13, 17] = 0.9
    y, x = rng.integers(4, 11), rng.integers(5, 14)
    layer[y + rng.integers(-1, 2), x + rng.integers(-1, 2)] = 0.49  # half believed in
    pixel, wished = y * 19 + x, 1.0
    gradient, distance = routed(layer, pixel, wished)
    now = float(distance.values.ravel()[pixel])
    v = PENALTY * now
    assert soft_distance(layer, pixel, v) < 0.9 * now
    assert gradient == pytest.approx(2 * (now - wished) * finite_differences(layer, pixel, v), rel=1e-4, abs=1e-6)


def test_too_far_without_belief_brings_the_nearest_cells_closer():
    layer = np.zeros((9, 21))
    layer[4, 2] = layer[4, 18] = 1.0
    gradient, _ = routed(layer, 4 * 21 + 10, 5.0)  # midway, 8 px from both
    assert np.flatnonzero(gradient).tolist() == [4 * 21 + 5, 4 * 21 + 15]
    assert gradient.sum() == pytest.approx(-2 * 3 * PENALTY * 8 / TAU)


def test_too_near_lowers_every_cell_pixel_in_the_way():
    layer = np.zeros((15, 15))
    layer[3:6, 6:9] = 1.0
    layer[14, 14] = 1.0
    gradient, _ = routed(layer, 8 * 15 + 7, 7.0)  # the marker is 3 to 5.1 px away
    assert np.array_equal(gradient > 0, (layer > 0) & (np.arange(15)[:, None] < 14))
    assert gradient.sum() == pytest.approx(2 * 4 * PENALTY * 7 / TAU)


def test_the_exact_slope_at_the_nearest_cell_agrees_with_finite_differences():
    layer = np.zeros((9, 12))
    layer[2, 2] = 0.49999  # just present: the soft distance is smooth there
    layer[8, 11] = 1.0
    pixel, v = 5 * 12 + 5, 30.0
    slopes = finite_differences(layer, pixel, v)
    assert slopes[2, 2] == pytest.approx(-v / TAU, rel=1e-5)
    assert np.count_nonzero(slopes) == 1


def test_residuals_of_the_raster_are_not_passed_on():
    layer = np.zeros((9, 9))
    layer[4, 1] = 1.0
    assert not routed(layer, 4 * 9 + 5, 4.2)[0].any()


def test_an_empty_map_raises_what_it_believes_in():
    layer = np.zeros((15, 15))
    layer[7, 9] = 0.4
    gradient, _ = routed(layer, 7 * 15 + 6, 3.0)
    assert np.flatnonzero(gradient).tolist() == [7 * 15 + 9]
    assert gradient.min() < 0
    assert not routed(np.zeros((15, 15)), 7 * 15 + 6, 3.0)[0].any()
