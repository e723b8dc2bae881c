"""The network of MCSpatNet: shapes, initialisation, ImageNet's weights."""

import sys
import types
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from cellscaper.detectors.mcspatnet_network import DEVIATION, MEAN, VGG16, MCSpatNet, load_imagenet
from cellscaper.errors import CellscaperError


def small(norm="group") -> MCSpatNet:
    torch.manual_seed(0)
    return MCSpatNet(3, 2, 3, 0.125, norm, 0.2)


# -- network ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(64, 64), (50, 37), (17, 9)])
@pytest.mark.parametrize("norm", ["none", "group"])
def test_any_size_comes_back_with_all_heads(height, width, norm):
    model, images = small(norm=norm).eval(), torch.rand(2, 3, height, width)
    outputs = model(images)
    assert outputs.shape == (2, 1 + 3 + 6 + 9, height, width)
    assert [part.shape[1] for part in model.split(outputs)] == [1, 3, 6, 9]
    assert (model.split(outputs)[3] >= 0).all()
    assert torch.allclose(model(images, heads=(0, 1)), outputs[:, :4])
    assert model.cell_features(images).shape == (2, model.seen, height, width)


@pytest.fixture(scope="module")
def papers():
    """The network of the papers' configuration."""
    torch.manual_seed(0)
    return MCSpatNet(3, 5, 7, 1.0, "none", 0.2)


def convolutions(model):
    return [m for m in model.down.modules() if isinstance(m, nn.Conv2d)]


def test_the_papers_encoder_is_vgg16_he_initialised(papers):
    """13 convolutions with VGG-16's 14.7 million weights (Simonyan and Zisserman 2015)."""
    layers = convolutions(papers)
    assert len(layers) == 13
    assert sum(p.numel() for layer in layers for p in layer.parameters()) == 14_714_688
    assert papers.outputs == (1, 3, 15, 21)
    for layer in layers:
        assert layer.weight.std().item() == pytest.approx(np.sqrt(2 / (layer.out_channels * 9)), rel=0.05)


def test_every_parameter_takes_part():
    model = small().eval()
    model(torch.rand(1, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_sizes_that_make_no_network_are_refused():
    with pytest.raises(CellscaperError, match="0 clusters"):
        MCSpatNet(3, 0, 3, 0.125, "group", 0.2)


def test_the_first_layer_sees_the_image_normalised_as_torchvision_s_weights_expect():
    """An image of ImageNet's mean is 0, one deviation more is 1, also with He's initialisation."""
    model, seen = small(), []
    model.down[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    mean, deviation = (torch.tensor(one)[None, :, None, None].expand(1, 3, 16, 16) for one in (MEAN, DEVIATION))
    for grey, expected in ((mean, 0.0), (mean + deviation, 1.0)):
        model(2 * grey - 1)
        assert torch.allclose(seen[-1], torch.full((1, 3, 16, 16), expected), atol=1e-5)


# -- ImageNet weights -------------------------------------------------------------------------------------------


def fake_torchvision(monkeypatch, vgg16):
    package, models = types.ModuleType("torchvision"), types.ModuleType("torchvision.models")
    models.vgg16, models.VGG16_Weights = vgg16, types.SimpleNamespace(IMAGENET1K_V1="weights")
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)


@pytest.mark.parametrize("error", [ImportError("no module"), RuntimeError("operator nms"), OSError("no network")])
def test_without_imagenet_weights_it_says_so_and_goes_on(papers, monkeypatch, capsys, error):
    def fails(weights):
        raise error

    fake_torchvision(monkeypatch, fails)
    before = convolutions(papers)[0].weight.clone()
    assert not load_imagenet(papers)
    assert torch.equal(convolutions(papers)[0].weight, before)
    assert str(error) in capsys.readouterr().err


def test_imagenet_weights_come_in_the_order_of_the_layers(papers, monkeypatch):
    torch.manual_seed(5)
    channels = [3, *(c for c, n in VGG16 for _ in range(n))]
    features = nn.Sequential(*(one for a, b in pairwise(channels) for one in (nn.Conv2d(a, b, 3), nn.ReLU())))
    fake_torchvision(monkeypatch, lambda weights: types.SimpleNamespace(features=features))
    assert load_imagenet(papers)
    assert all(
        torch.equal(one.weight, other.weight) for one, other in zip(convolutions(papers), features[::2], strict=True)
    )
