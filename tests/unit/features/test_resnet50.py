"""ResNet-50 on layouts: its trunk is the published architecture."""

import pytest
import torch

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


def test_features_are_the_average_of_the_pooled_second_stage():
    model = build(settings(32), classes=2).eval()
    hidden = model.encoder(torch.rand(2, 2, 64, 64))
    padded = torch.nn.functional.pad(hidden, (1, 1, 1, 1), value=-torch.inf)
    pooled = torch.stack(
        [padded[:, :, i : i + 3, j : j + 3].amax((2, 3)) for i in range(0, 8, 2) for j in range(0, 8, 2)]
    )
    torch.testing.assert_close(model.pool(hidden), pooled.mean(0))


@pytest.mark.parametrize("width", [0, 4, 100])
def test_a_width_that_is_no_multiple_of_8_is_refused(width):
    with pytest.raises(CellscaperError, match=f"width = {width}: .*(greater than or equal to 8|multiple of 8)"):
        build(settings(width), classes=3)
