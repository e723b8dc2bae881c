"""The formulas of `plan.flops` against the networks themselves and torch's own counter, on the meta device."""

import copy
import subprocess
import sys
from contextlib import nullcontext
from functools import partial

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cellscaper.generators import point_diffusion, tmccg
from cellscaper.generators.maps.engine import denoiser
from cellscaper.generators.pointsets.network import network
from cellscaper.generators.protocol import read_recipe
from cellscaper.painters.diffusion import ImageNetwork
from cellscaper.plan import flops, flops_points
from cellscaper.plan.configuration import configuration, in_files
from cellscaper.plan.flops_sizes import cells
from cellscaper.plan.house import ROOT
from cellscaper.plan.outputs import Outputs
from cellscaper.plan.sections import detector_section, features_section, painter_section
from cellscaper.run.methods import chosen, load

pytestmark = pytest.mark.slow

META = torch.device("meta")
PRESETS = ("", "brca-small")


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch):
    """The meta device has no autocast; FLOPs do not depend on it."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


@pytest.fixture(scope="module", params=PRESETS)
def outputs(request):
    files = [ROOT / "workflow" / "presets" / f"{request.param}.yaml"] if request.param else []
    return Outputs(configuration(*(content for _, content in in_files(files))))


def counted(call, mapping=None):
    """FLOPs of a call; attention as two products, which the counter knows on every device."""
    counter = FlopCounterMode(display=False, custom_mapping=mapping or {})
    with sdpa_kernel(SDPBackend.MATH), counter:
        call()
    return counter.get_total_flops()


def sizes(model):
    """Parameters, and what the weights file holds besides them, elements."""
    parameters = sum(one.numel() for one in model.parameters())
    return [parameters, sum(one.numel() for one in model.state_dict().values()) - parameters]


def check(work, model, call, batch, checkpoint=False, mapping=None, exact=1e-9):
    """Parameters and buffers exactly, FLOPs of the forward pass exactly, of a training step within 1 %."""
    assert [work.parameters, work.buffers] == sizes(model)
    with torch.no_grad():
        assert counted(call, mapping) == pytest.approx(batch * work.forward, rel=exact)

    def step():
        result = call()
        (result if isinstance(result, torch.Tensor) else result[0]).sum().backward()

    assert counted(step, mapping) == pytest.approx(batch * work.training(checkpoint), rel=0.01)


def recipes(outputs, *names):
    """The recipes of experiments, limits of count categories filled in."""
    for name in names:
        recipe = copy.deepcopy(outputs.experiments.recipe(name))
        if recipe.get("condition", {}).get("kind") == "count_category":
            recipe["condition"]["edges"] = list(range(1, recipe["condition"]["categories"]))
        yield recipe


LONG = [pytest.param(*one, marks=pytest.mark.long) for one in (("adm_counts", False), ("adm_category", False))]
CASES = [("adm_counts", True), ("sd_gmm", False), ("adm_compact", True), *LONG]


@pytest.mark.parametrize(("name", "checkpoint"), CASES)
def test_diffusions_on_maps(outputs, name, checkpoint):
    (plain,) = recipes(outputs, name)
    plain["settings"]["network"]["checkpoint"] = checkpoint
    work, recipe = flops.NETWORKS["generators", plain["method"]](plain, 3), read_recipe(plain)
    channels, side = 6 if "density" in plain else 3, recipe.grid.side
    with META:
        model = denoiser(recipe, channels, 3)
        x, t, counts = torch.empty(2, channels, side, side), torch.zeros(2, dtype=torch.int64), torch.ones(2, 3)
    check(work, model, partial(model, x, t, counts), 2, checkpoint)


@pytest.mark.parametrize("name", ["sd", "tc"])
def test_painters(outputs, name):
    """Markers and cross-attention in the papers' configuration, distance maps in brca-small."""
    section = painter_section(outputs.config, name)
    work = flops.NETWORKS["painters", section["method"]](section["settings"], 3)
    _, settings = chosen("painters", section)
    side = settings.grid.side
    with META:
        model = ImageNetwork(settings, 3)
        layout = (
            torch.empty(2, 3, side, side) if model.tokens is None else torch.ones(2, cells(settings.grid.region), 5)
        )
        x, t = torch.empty(2, 3, side, side), torch.zeros(2, dtype=torch.int64)
    check(work, model, partial(model, x, t, layout), 2)


def test_feature_networks(outputs):
    for name in outputs.config["features"]:
        section = features_section(outputs.config, name)
        work = flops.NETWORKS["features", section["method"]](section["settings"], 3)
        method, settings = chosen("features", section)
        with META:
            model, maps = method.build(settings, 3), torch.empty(2, 3, settings.grid.side, settings.grid.side)
        check(work, model, partial(model, maps), 2)


def test_detectors(outputs):
    for name in outputs.config["detectors"]:
        section = detector_section(outputs.config, name, 0)
        work = flops.NETWORKS["detectors", section["method"]](section["settings"], 3)
        method, settings = chosen("detectors", section)
        with META:
            model = method.build(settings, 3)
            images = torch.empty(2, 3, settings.crop, settings.crop)
        check(work, model, partial(model, images), 2)


def _in_place(shape, *others, out_shape=None, **_):
    """FLOPs of products that add to a tensor in place, which the counter leaves out."""
    (*batch, rows, inner), (*_, columns) = others[:2]
    return 2 * rows * inner * columns * (batch[0] if batch else 1)


IN_PLACE = {torch.ops.aten.addmm_: _in_place, torch.ops.aten.baddbmm_: _in_place}


def test_point_diffusion(outputs):
    """One call joins the two layers of the edges by a product of weights, 2 e³ for each layer: less than 1 %."""
    for plain in recipes(outputs, "point_diffusion"):
        batch, n = 16, 64
        work, recipe = flops_points.point_diffusion(plain, 3, n), read_recipe(plain)
        with META:
            model = network(recipe.settings.network, 3, recipe.region)
            x, sigma, labels = torch.empty(batch, n, 2), torch.ones(batch), torch.zeros(batch, n, dtype=torch.int64)
            counts, mask = torch.ones(batch, 3), torch.ones(batch, n, dtype=torch.bool)
        call = partial(model, x, sigma, labels, counts, mask)
        check(work, model, call, batch, mapping=IN_PLACE, exact=0.01)


def test_the_gan(outputs):
    for plain in recipes(outputs, "tmccg", "tmccg_sd"):
        batch, n, recipe = 4, 64, read_recipe(plain)
        placing, judging = flops_points.mover(plain, 3, n), flops_points.discriminator(plain, 3)
        side = recipe.region // recipe.settings.discriminator.stride
        with META:
            model = tmccg.Tmccg(recipe.settings, 3, recipe.region)
            start, noise = torch.empty(batch, n, 2), torch.empty(batch, recipe.settings.network.noise)
            condition = torch.empty(batch, model.bank.shape[1])
            labels, mask = torch.zeros(batch, n, dtype=torch.int64), torch.ones(batch, n, dtype=torch.bool)
            maps = torch.empty(batch, 3, side, side)
        check(placing, model.generator, partial(model, start, noise, condition, labels, mask), batch)
        with torch.no_grad():
            assert counted(partial(model.discriminator, maps, condition)) == batch * judging.forward
        whole = flops_points.tmccg(plain, 3)
        assert sizes(model) == [whole.parameters, whole.buffers]


def test_planning_knows_work_without_torch():
    code = "import sys; import cellscaper.plan.flops; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_every_network_of_the_package_has_a_formula():
    """A method of your own needs none: `cellscaper plan` names it as not counted."""
    for kind, name in flops.NETWORKS:
        load(kind, name)
    assert point_diffusion.TRAINING.steps
