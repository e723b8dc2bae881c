"""The diffusion on layout maps: what it is trained on, that it learns, what it samples."""

import numpy as np
import pytest
import torch

from cellscaper.diffusion.schedule import make_schedule
from cellscaper.diffusion.settings import MapSampling
from cellscaper.errors import CellscaperError
from cellscaper.generators import adm, spatial_diffusion
from cellscaper.generators.maps.engine import (
    TrainingData,
    batch_loss,
    bounds,
    denoiser,
    layout_maps,
    sample_maps,
)
from cellscaper.generators.protocol import read_recipe
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.plan.merging import overlay
from cellscaper.views.crops import CropSampler
from cellscaper.views.decoding import decode
from cellscaper.views.rasters import Grid, rasterise

CPU = torch.device("cpu")
CLASSES = 3
SECTION = {
    "method": "adm",
    "region": 64,
    "grid": {"region": 64, "stride": 4, "marker": 1, "pad": 0, "low": -1, "high": 1},
    "density": None,
    "condition": {"kind": "class_counts", "scale": 10.0},
    "settings": {
        "network": {"channels": 16, "blocks": 1, "multipliers": [1, 2], "attention": [], "head_channels": 16},
        "diffusion": {
            "schedule": "cosine", "steps": 100, "prediction": "noise", "learn_variance": True, "p2_gamma": 0.0,
            "p2_k": 1.0, "density_prediction": None, "density_weight": 1.0,
        },
    },
    "training": {"steps": 10, "batch": 8, "lr": 1e-3},
    "small": "error",
}  # fmt: skip


DENSITY = {"method": "gmm", "settings": {}}


def recipe(settings=None, **changes):
    """The recipe of SECTION with keys of its blocks replaced: recipe(grid={"pad": 2})."""
    return read_recipe(overlay(SECTION, {**changes, "settings": settings or {}}))


def tissue(seed=0):
    rng = np.random.default_rng(seed)
    items = [
        Layout(rng.uniform(0, 96, (60, 2)).astype(np.float32), rng.integers(0, CLASSES, 60).astype(np.uint8), (96, 104))
        for _ in range(4)
    ]
    return LayoutSet.build(items, ("a", "b", "c"), 0.5)


def data(stride=4, density=None):
    return TrainingData(CropSampler(tissue(), 64, align=stride), CLASSES, density)


def random_model(wanted, channels, seed=0):
    """A network whose output is not zero, as it is before training."""
    torch.manual_seed(seed)
    model = denoiser(wanted, channels, CLASSES).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


# -- training batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [Grid(64, 4, 1), Grid(64, 2, 3, pad=5, low=-1)])
def test_a_batch_holds_rasters_of_crops_with_their_counts(grid):
    layout, density, counts = data(grid.stride).batch(6, grid, torch.Generator().manual_seed(3))
    drawn = CropSampler(tissue(), 64, align=grid.stride).sample(6, torch.Generator().manual_seed(3))
    expected = rasterise(drawn.points, drawn.labels, drawn.index, 6, CLASSES, grid)
    assert torch.equal(layout, expected)
    assert density is None
    for i in range(6):
        for k in range(CLASSES):
            assert counts[i, k] == ((drawn.index == i) & (drawn.labels == k)).sum()


def test_density_maps_are_cut_from_the_window_of_their_layout():
    """Maps that say where they are: row, column and image of each pixel."""
    grid = Grid(64, 4, 1, pad=2, low=-1)
    maps = [
        torch.stack(
            [torch.arange(24.0)[:, None].expand(24, 26), torch.arange(26.0).expand(24, 26), torch.full((24, 26), i)]
        )
        for i in range(4)
    ]
    _, density, _ = data(4, maps).batch(20, grid, torch.Generator().manual_seed(0))
    drawn = CropSampler(tissue(), 64, align=4).sample(20, torch.Generator().manual_seed(0))
    assert density.shape == (20, 3, 20, 20)
    for i in range(20):
        inner = density[i, :, 2:18, 2:18]
        rows = int(drawn.corner[i, 0]) // 4 + torch.arange(16.0)
        columns = int(drawn.corner[i, 1]) // 4 + torch.arange(16.0)
        if drawn.flip[i, 0]:
            rows = rows.flip(0)
        if drawn.flip[i, 1]:
            columns = columns.flip(0)
        assert torch.equal(inner[0], rows[:, None].expand(16, 16))
        assert torch.equal(inner[1], columns.expand(16, 16))
        assert (inner[2] == drawn.layout_index[i]).all()
    rim = density.clone()
    rim[:, :, 2:18, 2:18] = -1
    assert (rim == -1).all()


def test_bounds_are_the_grids_for_the_layout_and_minus_one_to_one_for_the_density():
    low, high = bounds(Grid(64, 4, 1, low=-0.2, high=4), 6, 3, CPU)
    assert low.flatten().tolist() == pytest.approx([-0.2] * 3 + [-1] * 3)
    assert high.flatten().tolist() == [4] * 3 + [1] * 3
    assert low.shape == high.shape == (6, 1, 1)


# -- learning ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("prediction", ["noise", "v"])
@pytest.mark.parametrize("generator", [adm, spatial_diffusion], ids=["adm", "spatial_diffusion"])
def test_a_few_steps_bring_the_loss_down(generator, prediction):
    wanted, density = recipe({"diffusion": {"prediction": prediction}}), None
    if generator is spatial_diffusion:
        wanted = recipe({"diffusion": {"prediction": prediction}}, method="spatial_diffusion", density=DENSITY)
        density = [torch.linspace(-1, 1, 24 * 26).view(1, 24, 26).expand(3, -1, -1) for _ in range(4)]
    torch.manual_seed(0)
    model = denoiser(wanted, generator.channels(wanted, CLASSES), CLASSES)
    loss = batch_loss(wanted, generator.SYSTEM, data(4, density), CPU)

    def mean():
        with torch.no_grad():
            return np.mean([loss(model, torch.Generator().manual_seed(1000 + k), k)["noise"].item() for k in range(8)])

    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    before = mean()
    for k in range(25):
        terms = loss(model, torch.Generator().manual_seed(k), k)
        assert set(terms) == {"loss", "noise", "vlb"}
        torch.testing.assert_close(terms["loss"], terms["noise"] + terms["vlb"])
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
    assert mean() < 0.8 * before


def test_an_untrained_noise_prediction_costs_the_variance_of_the_noise():
    model = denoiser(recipe(), CLASSES, CLASSES)  # its output is zero
    loss = batch_loss(recipe(training={"batch": 64}), adm.SYSTEM, data(), CPU)
    assert loss(model, torch.Generator().manual_seed(0), 0)["noise"].item() == pytest.approx(1, abs=0.02)


def test_the_loss_of_a_step_depends_on_its_generator_alone():
    model = random_model(recipe(), CLASSES)
    loss = batch_loss(recipe(), adm.SYSTEM, data(), CPU)
    values = [loss(model, torch.Generator().manual_seed(seed), 0)["loss"].item() for seed in (1, 2, 1)]
    assert values[0] == values[2] != values[1]


def test_the_model_is_asked_for_the_counts_of_the_crops():
    asked = []

    class Spy(torch.nn.Module):
        def forward(self, x, t, counts):
            asked.append((x.shape, counts))
            return torch.zeros(len(x), 2 * CLASSES, *x.shape[2:])

    batch_loss(recipe(), adm.SYSTEM, data(), CPU)(Spy(), torch.Generator().manual_seed(5), 0)
    _, _, counts = data().batch(8, recipe().grid, torch.Generator().manual_seed(5))
    assert asked[0][0] == (8, CLASSES, 16, 16)
    assert torch.equal(asked[0][1], counts)


# -- sampling ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prediction", ["noise", "v"])
def test_a_sample_is_the_same_whatever_the_batch(prediction):
    wanted = recipe({"diffusion": {"prediction": prediction}})
    model, grid = random_model(wanted, CLASSES), wanted.grid
    counts, seeds = torch.tensor([[3.0, 0, 9], [20, 1, 4], [0, 0, 0], [7, 7, 7]]), [11, 5, 8, 2**62]
    sampling = MapSampling(steps=6, eta=0.5, precision="fp32")
    together = sample_maps(wanted, model, CLASSES, counts, seeds, sampling, CPU)
    for i in range(4):
        alone = sample_maps(wanted, model, CLASSES, counts[[i]], seeds[i : i + 1], sampling, CPU)
        torch.testing.assert_close(alone[0], together[i], atol=1e-4, rtol=1e-4)
        unit = [layout_maps(grid, maps, CLASSES) for maps in (alone, together[[i]])]
        cells = [decode(one, grid, "requested", counts[[i]].numpy())[0] for one in unit]
        for mine, theirs in zip(*cells, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert (together[0] - together[1]).abs().max() > 0.1


def test_bf16_samples_are_fp32s_but_for_its_rounding():
    wanted = recipe({"diffusion": {"prediction": "v"}})
    model, counts, seeds = random_model(wanted, CLASSES), torch.tensor([[3.0, 0, 9], [20, 1, 4]]), [11, 5]
    exact, rounded = (
        sample_maps(wanted, model, CLASSES, counts, seeds, MapSampling(steps=6, eta=0.0, precision=precision), CPU)
        for precision in ("fp32", "bf16")
    )
    assert rounded.dtype == torch.float32
    assert 0 < (exact - rounded).abs().mean() < 0.02 < 0.1 < (exact[0] - exact[1]).abs().mean()


def test_samples_stay_in_the_bounds_of_their_channels():
    wanted = recipe(grid={"low": -0.2, "high": 4}, density=DENSITY)
    model = random_model(wanted, 6)
    sampling = MapSampling(steps=4, eta=0.0, precision="fp32")
    maps = sample_maps(wanted, model, 6, torch.ones(3, CLASSES), [1, 2, 3], sampling, CPU)
    assert maps.shape == (3, 6, 16, 16)
    for channels, low, high in ((slice(0, 3), -0.2, 4), (slice(3, 6), -1, 1)):
        assert maps[:, channels].min() >= low - 1e-5
        assert maps[:, channels].max() <= high + 1e-5


@pytest.mark.parametrize("prediction", ["noise", "v"])
def test_a_model_that_knows_the_layout_samples_it_exactly(prediction):
    """Closed form: for known data x0 the best noise is (x_t - √ᾱ x0) / √(1-ᾱ), the best v is √ᾱ ε - √(1-ᾱ) x0."""
    asked = recipe({"diffusion": {"prediction": prediction}}, grid={"pad": 2})
    grid, schedule = asked.grid, make_schedule("cosine", 100)
    drawn = CropSampler(tissue(), 64, align=4).sample(2, torch.Generator().manual_seed(1))
    x0 = rasterise(drawn.points, drawn.labels, drawn.index, 2, CLASSES, grid)

    def model(x, t, counts):
        bar = schedule.alphas_bar[t].float().view(-1, 1, 1, 1)
        eps = (x - bar.sqrt() * x0) / (1 - bar).sqrt()
        wanted = eps if prediction == "noise" else bar.sqrt() * eps - (1 - bar).sqrt() * x0
        return torch.cat([wanted, torch.full_like(wanted, 7.0)], dim=1)  # the variance is not used

    sampling = MapSampling(steps=5, eta=0.0, precision="fp32")
    maps = sample_maps(asked, model, CLASSES, drawn.counts(CLASSES), [0, 1], sampling, CPU)
    unit = layout_maps(grid, maps, CLASSES)
    plain = rasterise(drawn.points, drawn.labels, drawn.index, 2, CLASSES, Grid(64, 4, 1))
    torch.testing.assert_close(unit, plain, atol=1e-3, rtol=0)


def test_only_layout_channels_are_read():
    grid = recipe(grid={"pad": 1}, density=DENSITY).grid
    maps = torch.rand(2, 6, 18, 18) * 2 - 1
    unit = layout_maps(grid, maps, CLASSES)
    torch.testing.assert_close(unit, (maps[:, :3, 1:-1, 1:-1] + 1) / 2)


# -- guidance ---------------------------------------------------------------------------------------------------------


def told(drop):
    """A recipe whose condition withholds a share of the counts."""
    return recipe(condition={"kind": "class_counts", "scale": 10.0, "drop": drop})


def sampled(wanted, model, **options):
    counts = torch.tensor([[3.0, 9.0, 1.0], [20.0, 0.0, 5.0]])
    return sample_maps(wanted, model, CLASSES, counts, [5, 6], MapSampling(steps=4, **options), CPU)


def test_guidance_is_the_told_prediction_moved_away_from_the_untold_one():
    wanted = told(0.1)
    model = random_model(wanted, CLASSES)
    plain = sampled(wanted, model)
    assert torch.equal(sampled(wanted, model, guidance=0.0), plain)
    assert not torch.allclose(sampled(wanted, model, guidance=1.5), plain, atol=1e-3)

    class Mixed(torch.nn.Module):
        def forward(self, x, t, counts):
            return 2.5 * model(x, t, counts) - 1.5 * model(x, t, torch.full_like(counts, -1.0))

    torch.testing.assert_close(sampled(wanted, model, guidance=1.5), sampled(wanted, Mixed()), atol=1e-4, rtol=1e-4)


def test_guidance_needs_a_training_that_withheld_counts():
    wanted = told(0.0)
    with pytest.raises(CellscaperError, match="guidance = 2: the training withheld no counts"):
        sampled(wanted, random_model(wanted, CLASSES), guidance=2.0)


def test_a_training_withholds_its_share_of_the_counts():
    seen = []

    class Watched(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.own = random_model(told(0.5), CLASSES)

        def forward(self, x, t, counts):
            seen.append(counts)
            return self.own(x, t, counts)

    loss = batch_loss(told(0.5), adm.SYSTEM, data(), CPU)
    for step in range(8):
        loss(Watched(), torch.Generator().manual_seed(step), step)
    gone = (torch.cat(seen) == -1).all(1)
    assert 0.3 < gone.float().mean() < 0.7
    assert (torch.cat(seen)[~gone] >= 0).all()
