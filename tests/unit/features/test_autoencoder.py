"""The autoencoder of spatial-FID: shapes, any size, and what its features do not depend on."""

import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.features.autoencoder import Settings, build
from cellscaper.run.settings import read


def settings(**changes):
    return read(Settings, {"width": 16, "depth": 3, "level": 2, **changes}, "features autoencoder")


@pytest.mark.parametrize("size", [(32, 32), (30, 45)])
@pytest.mark.parametrize("level", [1, 2])
def test_reconstructions_have_the_shape_of_the_maps_and_features_are_width_values(size, level):
    model = build(settings(level=level), classes=3).eval()
    maps = torch.rand(2, 3, *size)
    assert model(maps).shape == maps.shape
    assert model.encode(maps).shape == (2, 16)
    side = model.encoder(maps).shape[-1]
    assert side == -(-size[1] // 2**level)  # taken after `level` halvings, rounded up


def test_the_decoder_sees_the_layout_through_the_feature_maps_alone():
    model = build(settings(), classes=3).eval()
    maps = torch.rand(2, 3, 32, 32)
    hidden = model.encoder(maps)
    assert torch.equal(model.decoder(hidden), model(maps))
    assert torch.equal(model.pool(hidden), hidden.mean((2, 3)))


def test_features_of_shifted_layouts_are_equal_away_from_the_border():
    """Fully convolutional with a global average: a shift by whole feature pixels changes nothing inside."""
    torch.manual_seed(0)
    model = build(settings(), classes=2).eval()
    maps = torch.zeros(1, 2, 64, 64)
    maps[0, :, 24:36, 24:36] = (torch.rand(2, 12, 12) < 0.2).float()
    shifted = maps.roll((8, -4), (2, 3))
    torch.testing.assert_close(model.encode(maps), model.encode(shifted), atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_training_keeps_the_scale_of_its_features():
    """After steps on one distribution, features of its new maps have mean 0 and variance 1."""
    torch.manual_seed(0)
    model = build(settings(), classes=2)
    for _ in range(150):
        model((torch.rand(16, 2, 16, 16) < 0.02 + 0.1 * torch.rand(16, 1, 1, 1)).float())
    found = model.eval().encode((torch.rand(400, 2, 16, 16) < 0.02 + 0.1 * torch.rand(400, 1, 1, 1)).float())
    alive = found.std(0) > 1e-3
    assert alive.sum() >= 8
    assert found.mean(0)[alive].abs().max() < 0.3
    assert ((found.std(0)[alive] > 0.8) & (found.std(0)[alive] < 1.25)).all()


def test_raw_features_are_the_mean_maps():
    model = build(settings(standardise=False), classes=2)
    maps = torch.rand(3, 2, 32, 32)
    model(maps)  # in training
    assert torch.equal(model.eval().encode(maps), model.encoder(maps).mean((2, 3)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"level": 3}, "level 3, depth 3: expected a level below the depth"),
        ({"level": 0}, r"level = 0: .*greater than or equal to 1"),
        ({"width": 0}, r"width = 0: .*greater than or equal to 1"),
    ],
)
def test_a_level_outside_the_encoder_is_refused(change, words):
    with pytest.raises(CellscaperError, match=words):
        build(settings(**change), classes=3)
