"""Point diffusion: its loss, its layouts, its settings."""

import numpy as np
import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.generators import point_diffusion
from cellscaper.generators.point_diffusion import Sampling, batch_loss, random_levels, sample_layouts
from cellscaper.generators.pointsets.network import network
from cellscaper.generators.protocol import Request, read_recipe
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.training.trainer import train
from cellscaper.views.crops import CropSampler

CPU = torch.device("cpu")
SECTION = {
    "method": "point_diffusion",
    "region": 64,
    "small": "error",
    "settings": {
        "network": {"width": 32, "layers": 2, "heads": 2, "neighbours": 4, "edge_width": 16, "expansion": 2},
        "noise": {"smallest": 5.0, "middle": 40.0, "largest": 200.0, "far_share": 0.2},
    },
    "training": {"steps": 80, "batch": 8, "lr": 5e-3, "ema": 0.9},
}
RECIPE = read_recipe(SECTION)
SAMPLING = Sampling(
    steps=8, sigma_max=200.0, sigma_min=5.0, rho=7.0, heun=True, churn=0.0, churn_above=0.0, batch=5, precision="fp32"
)


def recipe(**settings):
    return read_recipe({**SECTION, "settings": {**SECTION["settings"], **settings}})


def new_network():
    return network(RECIPE.settings.network, 2, RECIPE.region)


def nests(n=6):
    """Class a within 8 px of the middle, class b more than 22 px from it: the same in all eight symmetries."""
    layouts = []
    for seed in range(n):
        rng = np.random.default_rng(seed)
        many = rng.uniform(0, 64, (60, 2))
        away = np.abs(many - 32).max(axis=1)
        points = np.concatenate([rng.uniform(24, 40, (6, 2)), many[away > 22][:10]]).astype(np.float32)
        layouts.append(Layout(points, np.repeat([0, 1], [6, len(points) - 6]).astype(np.uint8), (64, 64)))
    return LayoutSet.build(layouts, ("a", "b"), 0.5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    torch.manual_seed(0)
    prepared = point_diffusion.prepare(RECIPE, nests(), None, CPU)
    weights = train(prepared.model, prepared.loss, RECIPE.training, tmp_path_factory.mktemp("s"), "f", 0)
    prepared.model.load_state_dict(weights)
    return prepared.model.eval(), weights


def mean_loss(model):
    """On forty batches, always the same."""
    loss, random = batch_loss(RECIPE, CropSampler(nests(), 64), 2, CPU), torch.Generator().manual_seed(8)
    with torch.no_grad():
        return np.mean([loss(model, random, step)["loss"].item() for step in range(40)])


@pytest.mark.slow
def test_the_loss_falls(trained):
    assert mean_loss(trained[0]) < 0.92 * mean_loss(new_network())


def test_an_untrained_network_has_the_loss_of_one_that_knows_nothing():
    random = torch.Generator().manual_seed(0)
    loss = batch_loss(RECIPE, CropSampler(nests(), 64), 2, CPU)
    assert loss(new_network(), random, 0)["loss"].item() == pytest.approx(1, abs=0.25)


def test_counts_are_exact_and_classes_find_their_places(trained):
    targets = nests(12)
    made = sample_layouts(trained[0], targets, list(range(12)), SAMPLING)
    assert np.array_equal(made.counts(), targets.counts())
    assert np.array_equal(made.labels, targets.labels)
    away = np.abs(made.points - 32).max(axis=1)
    assert (away[made.labels == 0] < 12).mean() > 0.7
    assert (away[made.labels == 1] > 16).mean() > 0.7


def test_generate_uses_the_weights(trained):
    targets, seeds = nests(3), [4, 5, 6]
    model, weights = trained
    facts = {"section": RECIPE.model_dump(mode="json")}
    made = point_diffusion.generate(Request(targets, seeds, SAMPLING, nests(), 64, weights=weights, facts=facts))
    assert made.arrays == {}
    assert list(made.sets) == ["points"]
    expected = sample_layouts(model, targets, seeds, SAMPLING)
    assert np.abs(made.sets["points"].points - expected.points).max() < 1e-4


def test_noise_levels_are_even_in_the_logarithm_below_and_above_the_middle():
    noise = RECIPE.settings.noise
    drawn = random_levels(40_000, noise, torch.Generator().manual_seed(0))
    far = drawn > 40
    assert far.float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert drawn.min() >= 5 and drawn.max() <= 200
    for part, low, high in ((drawn[~far], 5, 40), (drawn[far], 40, 200)):
        assert part.log().mean().item() == pytest.approx(np.log(low * high) / 2, abs=0.03)


def test_topology_losses_are_added_where_they_act():
    crops, random = CropSampler(nests(), 64), torch.Generator()
    found = {}
    for below in (0.1, 1000.0):
        topology = {"weights": {"intra": 0.1, "inter": 0.2}, "below": below}
        torch.manual_seed(0)
        losses = batch_loss(recipe(topology=topology), crops, 2, CPU)(new_network(), random.manual_seed(3), 0)
        found[below] = {name: value.item() for name, value in losses.items()}
    assert found[0.1]["intra"] == found[0.1]["inter"] == 0
    assert found[1000.0]["intra"] > 0 and found[1000.0]["inter"] > 0
    added = found[1000.0]["intra"] + found[1000.0]["inter"]
    assert found[1000.0]["loss"] == pytest.approx(found[0.1]["loss"] + added, rel=1e-5)


def test_settings_that_do_not_fit_are_refused(trained):
    cells = nests()
    density = read_recipe({**SECTION, "density": {"method": "kde", "settings": {}}})
    with pytest.raises(CellscaperError, match="generator point_diffusion takes no density"):
        point_diffusion.prepare(density, cells, None, CPU)
    with pytest.raises(CellscaperError, match="point_diffusion.losses = .*: this key is unknown"):
        recipe(losses={"after": 0})
    with pytest.raises(CellscaperError, match="point_diffusion = None: Input should be a valid dictionary"):
        read_recipe({**SECTION, "settings": None})
    larger = LayoutSet.build([Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), (64, 80))], ("a", "b"), 0.5)
    with pytest.raises(CellscaperError, match="trained on 64 px regions of 2 classes, asked for 64×80 px of 2"):
        sample_layouts(trained[0], larger, [0], SAMPLING)
