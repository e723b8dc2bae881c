"""The pixel of a point against the distances to all pixel centres."""

import numpy as np
import pytest
import torch

from cellscaper.views.pixels import nearest_pixel, pixels_of


@pytest.mark.parametrize("side", [3, 256, 505])
@pytest.mark.parametrize("seed", range(4))
def test_the_pixel_of_a_point_is_the_nearest_one_and_ties_go_up(hard_points, nearest_centres, side, seed):
    points = hard_points(side, 300, seed)
    expected = nearest_centres(points, side)
    assert np.array_equal(pixels_of(points, (side, side)), expected)
    assert np.array_equal(nearest_pixel(points).clip(0, side - 1), expected)
    assert torch.equal(nearest_pixel(torch.from_numpy(points)), torch.from_numpy(nearest_pixel(points)))


def test_the_largest_number_below_a_half_is_not_rounded_up():
    """In single precision 0.49999997 + 0.5 is 1."""
    below = np.nextafter(np.float32(0.5), np.float32(0))
    assert np.float32(below + np.float32(0.5)) == 1
    assert nearest_pixel(np.array([below, np.float32(0.5)])).tolist() == [0, 1]
    assert nearest_pixel(torch.tensor([below, 0.5])).tolist() == [0, 1]


def test_points_beyond_a_map_count_to_its_border_by_axis():
    points = np.array([[9.7, 19.7], [-0.6, 3.5], [0.2, -2]])
    assert pixels_of(points, (10, 20)).tolist() == [[9, 19], [0, 4], [0, 0]]
    assert pixels_of(np.zeros((0, 2), np.float32), (10, 20)).shape == (0, 2)
