"""Spatial Diffusion: the layout first, then its density."""

import pytest
import torch

from cellscaper.generators import spatial_diffusion

GRID = {"region": 64}


@pytest.mark.parametrize("classes", [3, 6])
def test_layout_channels_come_first_then_density_in_the_same_order_of_classes(classes, recipe):
    both = recipe("spatial_diffusion", 64, {}, grid=GRID, density={"method": "gmm", "settings": {}})
    layout, density = torch.rand(2, classes, 4, 4), torch.rand(2, classes, 4, 4)
    maps = spatial_diffusion.compose(layout, density)
    assert maps.shape[1] == spatial_diffusion.channels(both, classes) == 2 * classes
    for k in range(classes):
        assert torch.equal(maps[:, k], layout[:, k])
        assert torch.equal(maps[:, classes + k], density[:, k])


def test_without_a_density_the_maps_are_the_layout(recipe):
    layout = torch.rand(2, 3, 4, 4)
    assert spatial_diffusion.channels(recipe("spatial_diffusion", 64, {}, grid=GRID), 3) == 3
    assert torch.equal(spatial_diffusion.compose(layout, None), layout)
