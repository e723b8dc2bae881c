"""The U-Net's shapes and what it sees, its loss, and that it learns."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from cellscaper.detectors import unet
from cellscaper.detectors.data import TrainingData
from cellscaper.detectors.peaks import detect
from cellscaper.detectors.training import Validation
from cellscaper.detectors.unet import BACKGROUND_WEIGHT, Settings, UNet, build, segmentation_loss
from cellscaper.errors import CellscaperError
from cellscaper.training.settings import Training

SETTINGS = Settings(dot_radius=3, crop=64, min_area=5, training=Training(steps=60, lr=5e-3, batch=4))


def small(classes: int = 2, depth: int = 3) -> UNet:
    torch.manual_seed(0)
    return UNet(classes, width=4, depth=depth).eval()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (50, 37), (1, 9), (65, 128)])
def test_any_size_comes_back_with_a_channel_a_class_and_background(height: int, width: int) -> None:
    assert small(5)(torch.rand(2, 3, height, width)).shape == (2, 6, height, width)


def test_width_doubles_with_depth() -> None:
    model = build(Settings(width=6, depth=4), 3)
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


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(CellscaperError, match="width 0, depth 4 must all be at least 1"):
        UNet(3, 0, 4)


# -- loss -------------------------------------------------------------------------------------------------------


def test_loss_of_a_uniform_guess_and_of_the_truth() -> None:
    target = torch.zeros(2, 10, 10, dtype=torch.long)
    target[:, 2:5, 2:5] = 1
    target[:, 6:9, 6:9] = 2
    uniform = segmentation_loss(torch.zeros(2, 3, 10, 10), target)
    assert uniform["ce"].item() == pytest.approx(np.log(3), rel=1e-5)
    assert uniform["dice"].item() == pytest.approx(1 - (2 * 18 / 3 + 1) / (18 + 200 / 3 + 1), rel=1e-5)
    right = segmentation_loss(40 * nn.functional.one_hot(target, 3).movedim(-1, 1).float(), target)
    assert right["loss"].item() == pytest.approx(0, abs=1e-5)
    assert uniform["loss"].item() == pytest.approx((uniform["ce"] + uniform["dice"]).item())


def test_cross_entropy_weighs_background_less() -> None:
    target = torch.tensor([[[0, 1]]])
    logits = torch.tensor([[[[0.0, 0.0]], [[2.0, 0.0]]]])  # background pixel wrong by 2, cell pixel undecided
    wrong, undecided, w = np.log(1 + np.exp(2)), np.log(2), BACKGROUND_WEIGHT
    assert segmentation_loss(logits, target)["ce"].item() == pytest.approx((w * wrong + undecided) / (w + 1), rel=1e-5)
    assert w < 0.5


# -- learning ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_learns_to_find_coloured_discs_in_unseen_scenes_and_says_so(scenes) -> None:
    torch.manual_seed(0)
    model = UNet(3, width=8, depth=3)
    validation = Validation(*scenes(range(100, 104), size=(90, 110)))
    data = TrainingData(scenes(range(6)), None, SETTINGS.crop, SETTINGS.dot_radius)
    training = unet.training(model, SETTINGS, data, validation)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    generator = torch.Generator().manual_seed(0)
    for step in range(60):
        terms = training.loss(training.module, generator, step)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
    assert terms.keys() == {"loss", "ce", "dice"}
    weights, facts = training.finish(model.state_dict())
    assert facts["val_f1"] > 0.8
    again = UNet(3, width=8, depth=3)
    again.load_state_dict(weights)
    found = partial(detect, unet.maps, unet.cells, again.eval(), settings=SETTINGS)
    assert validation.f1(found) == facts["val_f1"]


def test_features_of_tiles_are_means_of_the_deepest_level_without_the_rest_of_the_image() -> None:
    model = UNet(2, 4, 2).eval()
    inputs = torch.rand(1, 3, 21, 39)
    found = unet.tile_features(model, inputs, 8)
    with torch.no_grad():
        deepest = model.encode(inputs[..., :16, :32])[-1]  # (1, 16, 4, 8)
    expected = [deepest[0, :, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2].mean((1, 2)) for r in range(2) for c in range(4)]
    assert torch.allclose(found, torch.stack(expected), atol=1e-6)
    for tile in (6, 32):
        with pytest.raises(CellscaperError, match=f"tiles of {tile} px of images of 21×39 px"):
            unet.tile_features(model, inputs, tile)
