"""TMCCG-style: a conditional GAN over point sets, after Abousamra et al. (CVPR 2023), whose code is not public.

Published: layouts are generated from per-class counts, spatial statistics (cross K-functions) and topological
descriptors (1-dimensional persistence diagrams). They are the condition and also differentiable losses, with holes
matched to the holes of the reference. A layout discriminator looks at the splatted map. Ours, because the paper
leaves it open: the network that moves uniformly placed cells by pair forces, the form of the descriptors, L-functions
in the loss, the size and R1 penalty of the discriminator, and the condition at sampling. That condition has the
statistics of the training crop with the nearest counts (from a bank kept in the weights), never of the test patch.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from cellscaper.errors import CellscaperError
from cellscaper.generators.gan.network import Discriminator, PointMover, splat
from cellscaper.generators.gan.statistics import (
    COUNT_SCALE,
    Pattern,
    condition_labels,
    condition_size,
    describe,
    diagrams,
    hole_loss,
    k_loss,
)
from cellscaper.generators.pointsets.batches import check_targets, crop_batch, pad_labels
from cellscaper.generators.protocol import Made, Prepared, Recipe, Request, of_method, read_recipe, refuse_density
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run import launch
from cellscaper.run.settings import Count, Positive, read
from cellscaper.run.settings import Settings as Block
from cellscaper.run.transfer import to_device
from cellscaper.training.contract import Drawn
from cellscaper.training.initial import Anatomy
from cellscaper.training.settings import Training
from cellscaper.views.crops import CropSampler

DECODERS = ("points",)
GPU = False  # its statistics wait for the host some 190 times a step, so a GPU makes it no faster
TRAINING = Training(steps=50_000, batch=16, lr=1.0e-3, warmup=100, ema=0.999, precision="fp32", grad_clip=1.0)


class MoverNetwork(Block):
    """The generator's network (`gan.network.PointMover`)."""

    width: Count = Field(96, description="features of a cell")
    layers: Count = Field(5, description="rounds of pair forces and messages")
    radial: int = Field(16, ge=2, description="functions of distance in a pair force")
    step: Positive = Field(24.0, description="px that a cell moves at most in a layer")
    noise: Count = Field(8, description="random numbers a layout")


class DiscriminatorMaps(Block):
    """The discriminator and the maps that it sees."""

    width: Count = Field(32, description="channels of the discriminator's first layer")
    stride: Count = Field(4, description="px a pixel of the discriminator's maps")
    spread: Positive = Field(4.0, description="px: sd of a cell's bell in these maps")


class Weights(Block):
    """Factors of the losses."""

    adversarial: float = Field(0.1, ge=0, description="weight of the generator's adversarial term")
    k: float = Field(1.0, ge=0, description="weight of the cross-K term")
    holes: float = Field(0.2, ge=0, description="weight of the persistence term")
    r1: float = Field(1.0, ge=0, description="weight of the discriminator's gradient penalty")


class Settings(Block):
    """Networks, statistics and losses. What is published and what is ours: docs/methods.md, section 10.2."""

    network: MoverNetwork = MoverNetwork()
    discriminator: DiscriminatorMaps = DiscriminatorMaps()
    radii: tuple[Positive, ...] = Field(
        (4, 6, 8, 12, 16, 24, 32, 48, 64, 96),
        min_length=1,
        description="px, radii of the cross K-functions",
        json_schema_extra={"uniqueItems": True},
    )
    bank: Count = Field(2000, description="training crops whose statistics are available as conditions")
    weights: Weights = Weights()


class Sampling(Block):
    """Sampling of layouts with given counts."""

    batch: Count = Field(50, description="layouts at once")


class Tmccg(nn.Module):
    """Generator, discriminator and the bank of conditions: counts (M, C) and descriptions (M, D) of training crops."""

    bank_counts: Tensor
    bank: Tensor

    def __init__(self, settings: Settings, classes: int, region: int):
        super().__init__()
        size = condition_size(classes, len(settings.radii))
        self.classes, self.region = classes, region
        self.generator = PointMover(classes, region, size, **dict(settings.network))
        self.discriminator = Discriminator(classes, size, settings.discriminator.width)
        self.register_buffer("bank_counts", torch.zeros(settings.bank, classes))
        self.register_buffer("bank", torch.zeros(settings.bank, size))

    def forward(self, start: Tensor, noise: Tensor, condition: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        return self.generator(start, noise, condition, labels, mask)


def prepare(recipe: Recipe, cells: LayoutSet, density: Sequence[Tensor] | None, device: torch.device) -> Prepared:
    """The GAN and its losses on random crops. CellscaperError for a density or several processes."""
    refuse_density(recipe)
    if launch.count() > 1:
        raise CellscaperError("generator tmccg trains its two players in one process; set gpu: 1 in `resources`")
    crops = CropSampler(cells, recipe.region, small=recipe.small)
    model = Tmccg(recipe.settings, cells.n_classes, recipe.region).to(device)
    fill_bank(model, crops, recipe.settings)
    return Prepared(model, batch_loss(model, recipe, crops), recipe)


def generate(request: Request) -> Made:
    """One set, ``points``: the targets' labels at generated positions."""
    recipe = read_recipe(request.facts["section"])
    model = Tmccg(recipe.settings, request.targets.n_classes, recipe.region).to(request.device).eval()
    model.load_state_dict(request.weights)
    batch = request.settings.batch
    made = sample_layouts(model.double(), request.targets, request.seeds, batch, request.advance)
    return Made({"points": made})


def anatomy(recipe: Recipe, classes: Sequence[str]) -> Anatomy:
    """What the parameters of both networks belong to. The bank is of the training crops and never copied."""
    of_method(recipe, ["tmccg"])
    own = recipe.settings if isinstance(recipe.settings, dict) else recipe.settings.model_dump(mode="json")
    settings = read(Settings, own, "generators tmccg")
    told: list[object] = condition_labels(classes, len(settings.radii))
    noise = [("noise", k) for k in range(settings.network.noise)]
    axes: dict[str, dict[int, Sequence[object]]] = {
        "generator.of_class.weight": {0: classes},
        "generator.of_layout.0.weight": {1: [*told, *noise]},
        "discriminator.see.0.weight": {1: classes},
        "discriminator.ask.weight": {1: told},
    }
    alike = settings.model_dump(mode="json", include={"network", "discriminator", "radii"})
    return Anatomy({f"settings.{key}": value for key, value in alike.items()}, axes)


@torch.no_grad()
def fill_bank(model: Tmccg, crops: CropSampler, settings: Settings) -> None:
    """Counts and descriptions of random training crops, the same for every seed."""
    generator, size = torch.Generator().manual_seed(0), len(model.bank)
    for start in range(0, size, 64):
        drawn = crops.sample(min(64, size - start), generator)
        rows = slice(start, start + drawn.n)
        labels = [drawn.labels[drawn.index == i].numpy() for i in range(drawn.n)]
        points = pad_labels(labels, model.classes)
        x = torch.zeros(*points.mask.shape, 2)
        x[points.mask] = drawn.points
        pattern = Pattern(x, points.labels, points.mask)
        found = describe(pattern, diagrams(pattern, model.classes), model.classes, settings.radii, model.region)
        model.bank_counts[rows], model.bank[rows] = points.counts.to(model.bank), found.to(model.bank)


class Batch(NamedTuple):
    """One training batch on the host: real crops, the diagrams of their holes, start (B, N, 2) px and noise (B, …)."""

    real: Pattern
    wanted: list[NDArray[np.float64]]
    start: Tensor
    noise: Tensor


def batch_loss(model: Tmccg, recipe: Recipe, crops: CropSampler) -> Drawn:
    """The loss of one training step, in the form that `training.trainer.train` takes: both networks in one sum.

    ``discriminator`` trains the discriminator alone (no gradient reaches the generated cells), ``adversarial`` the
    generator alone (the discriminator's weights are held). ``k`` and ``holes`` are the distances to the crop whose
    counts and statistics are the condition. ``accuracy``: of the discriminator, 0…1.
    """
    settings, n = recipe.settings, recipe.training.batch
    classes, region, radii, weights = model.classes, model.region, settings.radii, settings.weights
    stride, spread = settings.discriminator.stride, settings.discriminator.spread

    def draw(random: torch.Generator, step: int) -> Batch:
        clean, points = crop_batch(crops, n, classes, random)
        real = Pattern(clean + region / 2, points.labels, points.mask)
        start = region * torch.rand(clean.shape, generator=random)
        noise = torch.randn((len(clean), model.generator.noise), generator=random)
        return Batch(real, diagrams(real, classes), start, noise)

    def loss(called: nn.Module, drawn: Batch, step: int) -> dict[str, Tensor]:
        device, wanted = model.bank.device, drawn.wanted
        real = Pattern(*(to_device(one, device) for one in drawn.real))
        start, noise = to_device(drawn.start, device), to_device(drawn.noise, device)
        condition = describe(real, wanted, classes, radii, region)
        placed = called(start, noise, condition, real.labels, real.mask).float()
        made = Pattern(placed, real.labels, real.mask)

        judge = model.discriminator
        seen = splat(real, classes, region, stride, spread).requires_grad_()
        shown = splat(made, classes, region, stride, spread)
        on_real, on_made = judge(seen, condition), judge(shown.detach(), condition)
        (slope,) = torch.autograd.grad(on_real.sum(), seen, create_graph=True)
        penalty = slope.square().sum(dim=(1, 2, 3)).mean()
        held = {name: one.detach() for name, one in judge.named_parameters()}
        fooled = functional_call(judge, held, (shown, condition))
        terms = {
            "discriminator": F.softplus(-on_real).mean() + F.softplus(on_made).mean() + weights.r1 / 2 * penalty,
            "adversarial": weights.adversarial * F.softplus(-fooled).mean(),
            "k": weights.k * k_loss(made, real, classes, radii, region),
            "holes": weights.holes * hole_loss(made, wanted, classes),
        }
        accuracy = torch.cat([on_real > 0, on_made < 0]).float().mean()
        return {"loss": torch.stack(list(terms.values())).sum(), **terms, "accuracy": accuracy}

    return Drawn(draw, loss)


@torch.no_grad()
def sample_layouts(
    model: Tmccg,
    targets: LayoutSet,
    seeds: Sequence[int],
    batch: int,
    advance: Callable[[int], None] = lambda layouts: None,
) -> LayoutSet:
    """Layouts with the labels of the targets, one seed each: places, noise and the choice among bank crops.

    The condition is that of the bank crop with the smallest L1 distance of counts, with the target's own counts in it.
    CellscaperError if a target has another size or other classes than the model.
    """
    side = check_targets("TMCCG-style", model.region, model.classes, targets)
    device, kind = model.bank.device, model.bank.dtype
    layouts: list[Layout] = []
    last = np.nextafter(np.float32(model.region), np.float32(0))
    for start in range(0, len(targets), batch):
        rows = range(start, min(start + batch, len(targets)))
        labels = [targets.layout(row).labels for row in rows]
        points = pad_labels(labels, model.classes)
        draws = [np.random.default_rng(seeds[row]) for row in rows]
        condition = torch.stack(
            [_condition(model, counts, rng) for counts, rng in zip(points.counts, draws, strict=True)]
        )
        noise = torch.from_numpy(np.stack([rng.normal(size=model.generator.noise) for rng in draws]))
        x = torch.zeros(*points.mask.shape, 2, dtype=torch.float64)
        for i, (rng, one) in enumerate(zip(draws, labels, strict=True)):
            x[i, : len(one)] = torch.from_numpy(rng.uniform(0, model.region, (len(one), 2)))
        placed = model(*(a.to(device, kind) for a in (x, noise, condition)),
                       points.labels.to(device), points.mask.to(device)).cpu().numpy()  # fmt: skip
        for one, where in zip(labels, placed, strict=True):
            layouts.append(Layout(where[: len(one)].astype(np.float32).clip(0, last), one, side))
        advance(len(rows))
    return LayoutSet.build(layouts, targets.classes, targets.mpp)


def _condition(model: Tmccg, counts: Tensor, rng: np.random.Generator) -> Tensor:
    """(D,) the description of a bank crop with the nearest counts, and the counts (C,) themselves."""
    apart = (model.bank_counts.cpu() - counts).abs().sum(dim=1).numpy()
    row = rng.choice(np.flatnonzero(apart == apart.min()))
    condition = model.bank[row].cpu().double().clone()
    condition[: model.classes] = counts.double() / COUNT_SCALE
    return condition
