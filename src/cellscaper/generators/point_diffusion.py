"""Point diffusion (ours): labelled cells are moved from noise to a layout by a small transformer.

The model moves as many cells as were requested, so counts are exact. It denoises positions as EDM does (Karras et al.
2022). Noise levels are uniform in the logarithm, so that each octave of scale, down to the spacing of nuclei, gets its
share of the training. ``topology`` adds losses on the holes of the denoised positions.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from cellscaper.generators.pointsets.batches import Points, check_targets, crop_batch, sample_points
from cellscaper.generators.pointsets.network import DATA_SCALE, PointDenoiser, class_axes, network
from cellscaper.generators.pointsets.settings import LevelSampling, PointNetwork
from cellscaper.generators.pointsets.topology import topology_terms
from cellscaper.generators.protocol import Made, Prepared, Recipe, Request, of_method, read_recipe, refuse_density
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.settings import Fraction, Positive, read
from cellscaper.run.settings import Settings as Block
from cellscaper.run.transfer import to_device
from cellscaper.training.contract import Drawn
from cellscaper.training.initial import Anatomy
from cellscaper.training.settings import Training
from cellscaper.views.crops import CropSampler

DECODERS = ("points",)
TRAINING = Training(  # about an hour of one core
    steps=16_500,
    batch=16,
    lr=1.0e-3,
    warmup=200,
    cooldown=0.36,
    ema=0.999,
    precision="bf16",
    grad_clip=1.0,
    save_every=120,
    snapshot_every=2000,
)


class NoiseLevels(Block):
    """Noise levels of the training, uniform in the logarithm below and above the middle."""

    smallest: Positive = Field(0.5, description="px: smallest noise level")
    middle: Positive = Field(150.0, description="px: between near and far levels")
    largest: Positive = Field(800.0, description="px: largest noise level")
    far_share: Fraction = Field(0.15, description="fraction of the training at far levels")


class TopologyWeights(Block):
    """Factors of the losses on holes."""

    intra: float = Field(ge=0, description="weight of the holes of each class")
    inter: float = Field(ge=0, description="weight of the holes of all cells together")


class TopologyLosses(Block):
    """Losses on the holes of the denoised positions."""

    weights: TopologyWeights
    below: Positive = Field(description="px: noise level below which these losses act")


class Settings(Block):
    """Network, noise levels, losses on holes."""

    network: PointNetwork = PointNetwork()
    noise: NoiseLevels = NoiseLevels()
    topology: TopologyLosses | None = Field(
        None, description="losses on the holes of the denoised positions, null for none"
    )


class Sampling(LevelSampling):
    """Sampling of layouts with given counts."""


def prepare(recipe: Recipe, cells: LayoutSet, density: Sequence[Tensor] | None, device: torch.device) -> Prepared:
    """The network and its loss on random crops. CellscaperError for a density."""
    refuse_density(recipe)
    crops = CropSampler(cells, recipe.region, small=recipe.small)
    model = network(recipe.settings.network, cells.n_classes, recipe.region)
    return Prepared(model, batch_loss(recipe, crops, cells.n_classes, device), recipe)


def generate(request: Request) -> Made:
    """One set, ``points``: the targets' labels at generated positions."""
    recipe = read_recipe(request.facts["section"])
    model = network(recipe.settings.network, request.targets.n_classes, recipe.region)
    model.load_state_dict(request.weights)
    model.to(request.device).eval()
    return Made({"points": sample_layouts(model, request.targets, request.seeds, request.settings, request.advance)})


def anatomy(recipe: Recipe, classes: Sequence[str]) -> Anatomy:
    """What the network's parameters belong to."""
    of_method(recipe, ["point_diffusion"])
    own = recipe.settings if isinstance(recipe.settings, dict) else recipe.settings.model_dump(mode="json")
    settings = read(PointNetwork, own["network"], "generators point_diffusion.network")
    return Anatomy({"settings.network": settings.model_dump(mode="json")}, class_axes(settings.layers, classes))


class Batch(NamedTuple):
    """One training batch on the host: clean positions (B, N, 2) px from the centre, their points, noise levels (B,) px
    and standard normal noise (B, N, 2)."""

    clean: Tensor
    points: Points
    sigma: Tensor
    noise: Tensor


def batch_loss(recipe: Recipe, crops: CropSampler, classes: int, device: torch.device) -> Drawn:
    """The loss of one training step, in the form that `training.trainer.train` takes.

    ``loss``: squared error of the denoised positions, mean over the cells of the batch. EDM's weight scales it so that
    an untrained network has about 1 at every noise level. ``fine`` and ``coarse``: the same at noise levels below and
    above 32 px. With ``topology``, ``intra`` and ``inter`` are added (`topology_terms`): per cell, with the same
    weight, at noise levels below ``topology.below`` px.
    """
    noise, topology, n = recipe.settings.noise, recipe.settings.topology, recipe.training.batch

    def draw(random: torch.Generator, step: int) -> Batch:
        clean, points = crop_batch(crops, n, classes, random)
        sigma = random_levels(len(clean), noise, random)
        return Batch(clean, points, sigma, torch.randn(clean.shape, generator=random))

    def loss(model: nn.Module, drawn: Batch, step: int) -> dict[str, Tensor]:
        clean, sigma, normal = (to_device(one, device) for one in (drawn.clean, drawn.sigma, drawn.noise))
        points = Points(*(to_device(one, device) for one in drawn.points))
        noisy = clean + sigma[:, None, None] * normal
        found = model(noisy, sigma, *points)
        scale = DATA_SCALE * recipe.region
        weight = (sigma**2 + scale**2) / (sigma * scale) ** 2
        error = (weight[:, None] * (found - clean).square().mean(dim=-1)) * points.mask
        cells, fine = points.mask.sum().clamp(min=1), (sigma < 32)[:, None]
        losses = {
            "loss": error.sum() / cells,
            "fine": (error * fine).sum() / (points.mask & fine).sum().clamp(min=1),
            "coarse": (error * ~fine).sum() / (points.mask & ~fine).sum().clamp(min=1),
        }
        if topology:
            acting = weight * (sigma < topology.below) / cells
            for name, term in zip(("intra", "inter"), topology_terms(found, clean, points), strict=True):
                losses[name] = getattr(topology.weights, name) * (acting * term).sum()
                losses["loss"] = losses["loss"] + losses[name]
        return losses

    return Drawn(draw, loss)


def random_levels(n: int, noise: NoiseLevels, random: torch.Generator) -> Tensor:
    """(n,) noise levels px, uniform in the logarithm: a fraction ``far_share`` in ``middle``…``largest``, the others in
    ``smallest``…``middle``."""
    low, middle, high = (math.log(one) for one in (noise.smallest, noise.middle, noise.largest))
    where, far = torch.rand(n, generator=random), torch.rand(n, generator=random) < noise.far_share
    return torch.where(far, middle + where * (high - middle), low + where * (middle - low)).exp()


def sample_layouts(
    model: PointDenoiser,
    targets: LayoutSet,
    seeds: Sequence[int],
    sampling: LevelSampling,
    advance: Callable[[int], None] = lambda layouts: None,
) -> LayoutSet:
    """Layouts with the labels of the targets, one seed each, in batches of ``sampling.batch`` of about equal size.

    ``advance`` is told the number of layouts after each batch.
    CellscaperError if a target has another size or other classes than the model.
    """
    side = check_targets("the point diffusion", model.region, model.classes, targets)
    order = np.argsort(np.diff(targets.offsets), kind="stable")
    placed: list[NDArray] = [np.zeros((0, 2), np.float32)] * len(targets)
    for start in range(0, len(targets), sampling.batch):
        rows = order[start : start + sampling.batch].tolist()
        labels = [targets.layout(row).labels for row in rows]
        drawn = sample_points(model, labels, [seeds[row] for row in rows], sampling)
        for row, points in zip(rows, drawn, strict=True):
            placed[row] = points
        advance(len(rows))
    layouts = [Layout(points, target.labels, side) for points, target in zip(placed, targets, strict=True)]
    return LayoutSet.build(layouts, targets.classes, targets.mpp)
