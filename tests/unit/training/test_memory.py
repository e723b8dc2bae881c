"""The memory of the papers' trainings on a GPU, in live tensors on the meta device, as docs/gpu.md says it.

The casts are those of CUDA's bf16 autocast: products in bf16; group norm, layer norm and upsampling in float32, which
they hand on. Attention keeps what flash attention keeps. Not counted: CUDA's context, workspaces, fragmentation.
"""

import re
import weakref
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cellscaper.detectors.unet import segmentation_loss
from cellscaper.diffusion import unet
from cellscaper.diffusion.objective import losses
from cellscaper.diffusion.schedule import make_schedule
from cellscaper.features.training import reconstruction_loss
from cellscaper.generators.maps.engine import denoiser
from cellscaper.generators.protocol import read_recipe
from cellscaper.painters.diffusion import ImageNetwork
from cellscaper.plan.configuration import configuration, in_files
from cellscaper.plan.outputs import Outputs
from cellscaper.plan.sections import detector_section, features_section, painter_section
from cellscaper.run.methods import chosen

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[3] / "docs" / "gpu.md"
META = torch.device("meta")
CONTEXT = 3  # GB of CUDA's context, workspaces and fragmentation, at most
TOLERANCE = 0.15  # GB: the page has one decimal, and a network's own bf16 norms keep their cast affines


class Live(TorchDispatchMode):
    """Bytes of all tensors that are alive: ``now``, and ``peak`` of all times."""

    def __init__(self, static):
        super().__init__()
        self.now = self.peak = static
        self.known = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for one in tree_leaves(out):
            if isinstance(one, torch.Tensor):
                self._add(one.untyped_storage())
        return out

    def _add(self, storage):
        key = storage._cdata
        if key not in self.known:
            self.known[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._drop, key)

    def _drop(self, key):
        self.now -= self.known.pop(key)


class Flash(torch.autograd.Function):
    """What flash attention keeps: query, key, value, output and a float32 number a query."""

    @staticmethod
    def forward(ctx, q, k, v):
        out, sums = torch.empty_like(q), q.new_empty(q.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(q, k, v, out, sums)
        return out

    @staticmethod
    def backward(ctx, gradient):
        return tuple(torch.empty_like(one) for one in ctx.saved_tensors[:3])


class Autocast:
    """`torch.autocast` for the meta device, which has none of its own."""

    on = False

    def __init__(self, device_type, dtype=None, enabled=True):
        self.enabled = enabled

    def __enter__(self):
        self.before, Autocast.on = Autocast.on, self.enabled

    def __exit__(self, *_):
        Autocast.on = self.before


@pytest.fixture(autouse=True)
def cuda_casts(monkeypatch):
    def casting(function, dtype):
        def cast(*args, **named):
            if not Autocast.on:
                return function(*args, **named)
            args = [x.to(dtype) if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in args]
            return function(*args, **named)

        return cast

    for name in ("conv2d", "conv_transpose2d", "linear"):
        monkeypatch.setattr(F, name, casting(getattr(F, name), torch.bfloat16))
    for name in ("group_norm", "layer_norm", "interpolate"):
        monkeypatch.setattr(F, name, casting(getattr(F, name), torch.float32))
    flash = casting(Flash.apply, torch.bfloat16)
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda q, k, v, attn_mask=None: flash(q, k, v))
    monkeypatch.setattr(torch, "autocast", Autocast)


class Narrow(nn.GroupNorm):
    """A group norm outside autocast, in its input's type."""

    def forward(self, x):
        with Autocast("meta", enabled=False):
            return super().forward(x)


@contextmanager
def norms(kind):
    """ADM's U-Net with group norms in ``fp32`` (autocast decides), in ``bf16``, or as the code has them."""
    groups = {one: unet.norm(one).num_groups for one in (64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)}

    def norm(channels):
        number = groups.get(channels) or next(g for g in range(32, 0, -1) if channels % g == 0)
        return {"fp32": nn.GroupNorm, "bf16": Narrow}[kind](number, channels)

    def resample(x, how):
        if how == "down":
            return F.avg_pool2d(x, 2)
        with Autocast("meta", enabled=kind == "fp32" and Autocast.on):
            return F.interpolate(x, scale_factor=2.0, mode="nearest")

    with pytest.MonkeyPatch.context() as patch:
        if kind != "own":
            patch.setattr(unet, "norm", norm)
            patch.setattr(unet, "_resample", resample)
        yield


def peak(model, call, training):
    """GB of the live tensors in a training step that is not the first."""
    weights = sum(4 * one.numel() for one in model.parameters())
    live = Live(weights * (4 if training.ema else 3) + sum(one.nbytes for one in model.buffers()))
    with live:
        loss = call()
        with Autocast("meta", enabled=training.precision == "bf16"):  # `checkpoint` computes again in the backward pass
            loss.backward()
    assert sum(one.grad.nbytes for one in model.parameters() if one.grad is not None) == weights
    return live.peak / 1e9


@pytest.fixture(scope="module")
def papers():
    return Outputs(configuration())


@cache
def gpu_day():
    preset = PAGE.parents[1] / "workflow" / "presets" / "gpu-day.yaml"
    return Outputs(configuration(*(content for _, content in in_files([preset]))))


def diffusion_step(model, diffusion, x0, training, *condition):
    """One training step of a diffusion: its losses on the output of the network."""
    schedule = make_schedule(diffusion.schedule, diffusion.steps).to(META)
    t, noise, x_t = torch.zeros(len(x0), dtype=torch.int64, device=META), torch.empty_like(x0), torch.empty_like(x0)

    def call():
        with Autocast("meta", enabled=training.precision == "bf16"):
            output = model(x_t, t, *condition)
        terms, _, _ = losses(
            schedule, output, x0, x_t, t, noise, learn_variance=diffusion.learn_variance, p2_gamma=diffusion.p2_gamma
        )
        return terms["total"].mean()

    return call


def layout_model(papers, name, checkpoint):
    recipe = read_recipe(papers.experiments.recipe(name))
    network = recipe.settings.network.model_copy(update={"checkpoint": checkpoint})
    recipe = recipe.model_copy(update={"settings": recipe.settings.model_copy(update={"network": network})})
    n, side = recipe.training.batch, recipe.grid.side
    with META:
        model, x0, counts = denoiser(recipe, 3, 3), torch.empty(n, 3, side, side), torch.ones(n, 3)
    return peak(model, diffusion_step(model, recipe.settings.diffusion, x0, recipe.training, counts), recipe.training)


def painter(papers, name, checkpoint):
    _, settings = chosen("painters", painter_section(papers.config, name))
    network = settings.network.model_copy(update={"checkpoint": checkpoint})
    settings = settings.model_copy(update={"network": network})
    n, side = settings.training.batch, settings.grid.side
    with META:
        model, x0 = ImageNetwork(settings, 3), torch.empty(n, 3, side, side)
        layout = torch.empty(n, 3, side, side) if model.tokens is None else torch.ones(n, 128, 5)
    return peak(model, diffusion_step(model, settings.diffusion, x0, settings.training, layout), settings.training)


def features(papers, name):
    method, settings = chosen("features", features_section(papers.config, name))
    n, side = settings.training.batch, settings.grid.side
    with META:
        model, maps, weight = method.build(settings, 3), torch.empty(n, 3, side, side), torch.ones(3)

    def call():
        with Autocast("meta", enabled=settings.training.precision == "bf16"):
            logits = model(maps)
        return reconstruction_loss(logits, maps, weight)

    return peak(model, call, settings.training)


def detector(papers, name):
    method, settings = chosen("detectors", detector_section(papers.config, name, 0))
    n, side = settings.training.batch, settings.crop
    with META:
        model, images = method.build(settings, 3), torch.empty(n, 3, side, side)
        classes = torch.zeros(n, side, side, dtype=torch.int64)

    def call():
        with Autocast("meta", enabled=settings.training.precision == "bf16"):
            outputs = model(images)
        return segmentation_loss(outputs, classes)["loss"] if name == "unet" else outputs.square().mean()

    return peak(model, call, settings.training)


MAPS = {
    "layout 256 px": lambda papers, checkpoint: layout_model(papers, "adm_counts", checkpoint),
    "layout 64 px": lambda papers, checkpoint: layout_model(papers, "adm_compact", checkpoint),
    "image tc": lambda papers, checkpoint: painter(papers, "tc", checkpoint),
    "image sd": lambda papers, checkpoint: painter(papers, "sd", checkpoint),
    "`gpu-day`: layout 256 px": lambda papers, checkpoint: layout_model(gpu_day(), "adm_counts", checkpoint),
    "`gpu-day`: layout 64 px": lambda papers, checkpoint: layout_model(gpu_day(), "adm_compact", checkpoint),
    "`gpu-day`: image tc": lambda papers, checkpoint: painter(gpu_day(), "tc", checkpoint),
}
OTHERS = {
    "ResNet-50 features": lambda papers: features(papers, "tc_released"),
    "autoencoder": lambda papers: features(papers, "tc"),
    "U-Net": lambda papers: detector(papers, "unet"),
    "MCSpatNet": lambda papers: detector(papers, "mcspatnet"),
}
COLUMNS = ((("fp32", False), 0), (("bf16", False), 1), (("bf16", True), 2))


@pytest.fixture(scope="module")
def page():
    """{training: GB in the three columns of the page's table of memory, and of the card that it fits}."""
    part = PAGE.read_text(encoding="utf-8").split("## Memory")[1].split("\n## ")[0]
    rows = [re.split(r" +\| +", line.strip("| ")) for line in part.splitlines() if line.startswith("| ")]
    return {row[0]: row[2:6] for row in rows[1:]}


@pytest.mark.parametrize(("kind", "column"), COLUMNS, ids=["fp32", "bf16", "checkpoint"])
@pytest.mark.parametrize("name", MAPS)
def test_a_diffusion_takes_the_memory_of_the_page(papers, page, name, kind, column):
    with norms(kind[0]):
        assert MAPS[name](papers, kind[1]) == pytest.approx(float(page[name][column]), abs=TOLERANCE)


@pytest.mark.parametrize("name", OTHERS)
def test_a_small_network_takes_the_memory_of_the_page(papers, page, name):
    assert OTHERS[name](papers) == pytest.approx(float(page[name][0]), abs=TOLERANCE)
    assert page[name][1:3] == ["–", "–"]


def test_the_cards_of_the_page_have_room_for_the_context_and_checkpoint_makes_24_gb_enough(page):
    assert set(page) == {*MAPS, *OTHERS}
    for name, (_, bf16, checkpoint, card) in page.items():
        needed = float(page[name][0] if bf16 == "–" else bf16) + CONTEXT
        assert needed <= float(card.removesuffix(" GB")) and (needed > 24 or card == "24 GB")
        assert checkpoint == "–" or float(checkpoint) + CONTEXT <= 24


def test_the_network_has_its_norms_in_bf16(papers, page):
    assert MAPS["layout 256 px"](papers, False) == pytest.approx(float(page["layout 256 px"][1]), abs=TOLERANCE)
