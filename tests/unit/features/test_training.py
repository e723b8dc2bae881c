"""Weights, batches and loss of the feature networks, and that they learn."""

import numpy as np
import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.features.training import batch_loss, marker_weight, reconstruction_loss
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.methods import method as module_of
from cellscaper.run.settings import Settings, read
from cellscaper.views.rasters import Grid

GRID = {"region": 64, "stride": 4, "marker": 1, "pad": 0, "low": -0.2, "high": 4}
SECTIONS = {
    "autoencoder": {"width": 8, "depth": 2, "level": 1},
    "resnet50": {"width": 16},
}


def section(method: str, batch: int = 8) -> Settings:
    training = {"steps": 30, "lr": 5e-3, "batch": batch}
    block = {**SECTIONS[method], "grid": GRID, "small": "error", "training": training}
    return read(module_of("features", method).Settings, block, f"features {method}")


def cells(n: int = 6, size: int = 80, classes: int = 2) -> LayoutSet:
    rng = np.random.default_rng(0)
    layouts = []
    for _ in range(n):
        points = rng.uniform(0, size - 0.1, (rng.integers(10, 40), 2)).astype(np.float32)
        layouts.append(Layout(points, rng.integers(0, classes, len(points)).astype(np.uint8), (size, size)))
    return LayoutSet.build(layouts, tuple("abcdef"[:classes]), 0.5)


def test_the_weight_gives_markers_and_background_equal_shares():
    """On a map where each class has its average coverage, the weighted loss of zero logits is half from markers."""
    points = np.array([[2, 2], [2, 10], [10, 2], [30, 30]], np.float32)
    layouts = LayoutSet.build([Layout(points, np.array([0, 0, 0, 1], np.uint8), (32, 32))], ("a", "b", "none"), 0.5)
    weight = marker_weight(layouts, Grid(32, 4, 1))  # 64 pixels: 3 of class a, 1 of class b
    torch.testing.assert_close(weight, torch.tensor([61 / 3, 63.0, 1.0]))


def test_loss_is_weighted_cross_entropy():
    rng = np.random.default_rng(1)
    logits, target = rng.normal(size=(2, 3, 4, 5)), (rng.random((2, 3, 4, 5)) < 0.3).astype(float)
    weight = np.array([2.0, 5.0, 0.5])
    chance = 1 / (1 + np.exp(-logits))
    each = -(weight[:, None, None] * target * np.log(chance) + (1 - target) * np.log(1 - chance))
    found = reconstruction_loss(torch.tensor(logits), torch.tensor(target), torch.tensor(weight))
    assert found.item() == pytest.approx(each.mean(), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", SECTIONS)
def test_a_few_steps_lower_the_loss(method):
    torch.manual_seed(0)
    settings = section(method)
    data = cells()
    model, loss = module_of("features", method).build(settings, 2), batch_loss(settings, data, torch.device("cpu"))
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    values = []
    for step in range(30):
        value = loss(model, torch.Generator().manual_seed(0), step)["loss"]  # the same crops at each step
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.8 * values[0]


def test_the_network_sees_the_grid_values_and_the_loss_unit_targets():
    class Oracle(torch.nn.Module):
        def forward(self, maps):
            assert set(maps.unique().tolist()) == {torch.tensor(-0.2).item(), 4.0}
            return torch.where(maps == 4, 30.0, -30.0)

    loss = batch_loss(section("autoencoder"), cells(), torch.device("cpu"))
    assert loss(Oracle(), torch.Generator().manual_seed(0), 0)["loss"].item() < 1e-6


def test_the_generator_decides_the_batch():
    settings = section("autoencoder")
    model = module_of("features", "autoencoder").build(settings, 2)
    loss = batch_loss(settings, cells(), torch.device("cpu"))
    one, same, other = (loss(model, torch.Generator().manual_seed(seed), 0)["loss"].item() for seed in (4, 4, 5))
    assert one == same != other


def test_small_layouts_and_batches_of_one_are_refused():
    with pytest.raises(CellscaperError, match="smaller than the 64×64 px region"):
        batch_loss(section("autoencoder"), cells(size=60), torch.device("cpu"))
    with pytest.raises(CellscaperError, match="batch 1 must be at least 2"):
        batch_loss(section("autoencoder", batch=1), cells(), torch.device("cpu"))


def test_unknown_methods_are_refused():
    with pytest.raises(CellscaperError, match="'vgg' is no method of features; there are autoencoder, resnet50"):
        module_of("features", "vgg")
