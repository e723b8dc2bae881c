"""ResNet-50 on layouts: its trunk is the published architecture."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from cellscaper.errors import CellscaperError
from cellscaper.features.resnet50 import Settings, build
from cellscaper.run.settings import read


def settings(width):
    return read(Settings, {"width": width}, "features resnet50")


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def published(classes: int, base: int, stages: int) -> int:
    """Convolutions and batch norms of He et al., Table 1, counted by hand from conv1 to stage ``stages``."""

    def norm(channels: int) -> int:
        return 2 * channels

    total = 49 * classes * base + norm(base)
    inputs = base
    for stage, blocks in enumerate((3, 4, 6, 3)[:stages]):
        width = base * 2**stage
        for block in range(blocks):
            total += inputs * width + norm(width) + 9 * width**2 + norm(width) + 4 * width**2 + norm(4 * width)
            if block == 0:
                total += 4 * inputs * width + norm(4 * width)
            inputs = 4 * width
    return total


@pytest.mark.parametrize("classes", [3, 6])
def test_trunk_has_the_published_number_of_parameters(classes):
    model = build(settings(512), classes)
    assert parameters(model.encoder) == published(classes, 64, 2)
    assert parameters(model.encoder) + parameters(model.decoder[:2]) == published(classes, 64, 4)


def test_all_stages_on_rgb_are_the_known_resnet50():
    """25 557 032 parameters, the usual figure, less its classifier of 2048 × 1000 + 1000."""
    assert published(3, 64, 4) == 25_557_032 - 2_049_000


def test_shapes_at_another_width_and_any_size():
    model = build(settings(32), classes=3).eval()
    for size in ((64, 64), (50, 37)):
        maps = torch.rand(2, 3, *size)
        assert model(maps).shape == maps.shape
        assert model.encode(maps).shape == (2, 32)
    assert model.encoder(torch.rand(1, 3, 64, 64)).shape == (1, 32, 8, 8)  # stride 8 after the second stage


def bilinear(maps: np.ndarray, factor: int) -> np.ndarray:
    """(h, w) upsampled: pixel centres at (i + ½) · factor − ½, borders repeated, scipy's linear interpolation."""
    at = [np.clip((np.arange(n * factor) + 0.5) / factor - 0.5, 0, n - 1) for n in maps.shape]
    return map_coordinates(maps, np.meshgrid(*at, indexing="ij"), order=1)


def test_features_are_the_average_of_the_upsampled_and_pooled_second_stage():
    model = build(settings(32), classes=2).eval()
    maps = torch.rand(2, 2, 64, 64)
    hidden = model.encoder(maps).detach().numpy()
    for sample, features in zip(hidden, model.encode(maps).detach().numpy(), strict=True):
        for one, feature in zip(sample, features, strict=True):
            fine = bilinear(one, 8)
            pooled = [fine[i : i + 3, j : j + 3].max() for i in range(0, 62, 2) for j in range(0, 62, 2)]
            assert feature == pytest.approx(np.mean(pooled), rel=1e-4, abs=1e-6)


def test_features_are_raw_unless_they_are_asked_to_be_standardised():
    raw = build(settings(32), classes=2)
    assert raw.standardise is None and not any("standardise" in name for name in raw.state_dict())
    scaled = build(read(Settings, {"width": 32, "standardise": True}, "features resnet50"), classes=2)
    scaled(torch.rand(4, 2, 64, 64))
    assert scaled.standardise.num_batches_tracked == 1


@pytest.mark.parametrize("width", [0, 4, 100])
def test_a_width_that_is_no_multiple_of_8_is_refused(width):
    with pytest.raises(CellscaperError, match=f"width = {width}: .*(greater than or equal to 8|multiple of 8)"):
        build(settings(width), classes=3)
