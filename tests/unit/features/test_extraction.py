"""Features of layouts: shapes, independence of the batch, and which layouts a network refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.features.extraction import features, trained
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.methods import chosen

GRID = {"region": 64, "stride": 4, "marker": 1, "pad": 0, "low": 0.0, "high": 1.0}
SECTIONS = {
    "autoencoder": {"method": "autoencoder", "settings": {"width": 8, "depth": 3, "level": 2, "grid": GRID}},
    "resnet50": {"method": "resnet50", "settings": {"width": 16, "grid": GRID}},
}
FILE = Path("features.safetensors")
CPU = torch.device("cpu")


def layouts(n: int = 15, size: tuple[int, int] = (64, 64), classes: tuple[str, ...] = ("a", "b")) -> LayoutSet:
    rng = np.random.default_rng(0)
    items = [Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), size)]  # one without cells
    for _ in range(n - 1):
        points = rng.uniform(0, (size[0] - 0.1, size[1] - 0.1), (rng.integers(1, 40), 2)).astype(np.float32)
        items.append(Layout(points, rng.integers(0, len(classes), len(points)).astype(np.uint8), size))
    return LayoutSet.build(items, classes, 0.5)


def network(method: str) -> tuple[dict, dict]:
    """Weights and facts as train_features writes them, of a network that has seen a few batches."""
    torch.manual_seed(0)
    module, settings = chosen("features", SECTIONS[method])
    model = module.build(settings, 2)
    for _ in range(60):
        model((torch.rand(8, 2, 16, 16) < 0.1).float())
    return model.state_dict(), {"section": SECTIONS[method], "classes": ["a", "b"], "mpp": 0.5}


@pytest.mark.slow
@pytest.mark.parametrize("method", SECTIONS)
def test_features_do_not_depend_on_the_batch(method):
    data = layouts()
    model, grid = trained(FILE, *network(method), data)
    one, seven = (features(model, grid, data, batch, CPU) for batch in (1, 7))
    assert one.shape == (15, SECTIONS[method]["settings"]["width"]) and one.dtype == np.float64
    np.testing.assert_allclose(one, seven, atol=1e-4)
    assert one.std(axis=0).max() > 0.01


def test_features_equal_the_network_on_the_raster(nearest_centres):
    data = layouts()
    model, grid = trained(FILE, *network("autoencoder"), data)
    maps = torch.zeros(len(data), 2, 16, 16)
    for i, layout in enumerate(data):
        for (y, x), label in zip(nearest_centres(layout.points, 64, 4), layout.labels, strict=True):
            maps[i, label, y, x] = 1
    with torch.no_grad():
        expected = model.encode(maps).numpy()
    np.testing.assert_allclose(features(model, grid, data, 4, CPU), expected, atol=1e-4)


def test_no_layouts_have_no_features():
    data = layouts()
    model, grid = trained(FILE, *network("autoencoder"), data)
    assert features(model, grid, data[:0], 4, CPU).shape == (0, 8)


def test_a_network_of_other_classes_or_another_region_is_refused_with_one_line():
    weights, facts = network("autoencoder")
    with pytest.raises(CellscaperError, match=r"features.safetensors was trained on the classes a, b, .* has a, c"):
        trained(FILE, weights, facts, layouts(classes=("a", "c")))
    with pytest.raises(CellscaperError, match="64×64 px layouts: 15 of 15 have another size, the first 64×80"):
        trained(FILE, weights, facts, layouts(size=(64, 80)))
    model, grid = trained(FILE, weights, facts, layouts())
    with pytest.raises(CellscaperError, match="have another size") as told:
        features(model, grid, layouts(size=(32, 32)), 4, CPU)
    assert "\n" not in str(told.value)
