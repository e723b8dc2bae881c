"""The U-Net's shapes and what it sees."""

import pytest
import torch

from cellscaper.detectors.unet import UNet, build, to_input
from cellscaper.errors import CellscaperError


def small(classes: int = 2, depth: int = 3) -> UNet:
    torch.manual_seed(0)
    return UNet(classes, width=4, depth=depth).eval()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (50, 37), (1, 9), (65, 128)])
def test_any_size_comes_back_with_a_channel_a_class_and_background(height: int, width: int) -> None:
    assert small(5)(torch.rand(2, 3, height, width)).shape == (2, 6, height, width)


def test_width_doubles_with_depth() -> None:
    model = build({"width": 6, "depth": 4, "method": "unet"}, 3)
    assert [block[0].out_channels for block in model.down] == [6, 12, 24, 48, 96]


@torch.no_grad()
def test_output_sees_both_near_and_far_pixels_and_keeps_their_place() -> None:
    model = small(depth=2)
    for module in model.modules():
        if isinstance(module, torch.nn.GroupNorm):  # its statistics are the only thing without a place
            module.forward = lambda x: x  # type: ignore[method-assign]
    image = torch.rand(1, 3, 64, 96)
    other = image.clone()
    other[:, :, 20, 70] += 1.0
    moved = (model(image) - model(other)).abs().sum(1)[0]
    y, x = torch.nonzero(moved, as_tuple=True)
    assert moved[20, 70] > 0
    assert 20 - y.min() > 6 and y.max() - 20 > 6  # more than the two convolutions of full resolution see
    assert 20 - y.min() < 32 and y.max() - 20 < 32 and 70 - x.min() < 32 and x.max() - 70 < 32


def test_every_parameter_takes_part() -> None:
    model = small()
    model(torch.rand(1, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_input_range() -> None:
    image = torch.tensor([0, 255], dtype=torch.uint8)
    assert to_input(image).tolist() == [-1, 1]


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(CellscaperError, match="width 0, depth 4 must all be at least 1"):
        UNet(3, 0, 4)
