"""TMCCG-style: a conditional GAN over point sets, after Abousamra et al. (CVPR 2023), whose code is not public.

Published: layouts are generated from per-class counts, spatial statistics (cross K-functions) and topological
descriptors (1-dimensional persistence diagrams), which are both the condition and, with holes matched to those of the
reference, differentiable losses; a layout discriminator looks at the splatted map. Ours, where the papers leave it
open: the network that moves uniformly placed cells by pair forces, the form of the descriptors, L-functions in the
loss, the size and R1 penalty of the discriminator, and what is asked for at sampling: the statistics of the training
crop of the nearest counts (of a bank kept in the weights), never of the test patch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from cellscaper.errors import CellscaperError
from cellscaper.generators.gan.network import Discriminator, PointMover, splat
from cellscaper.generators.gan.statistics import (
    COUNT_SCALE,
    Pattern,
    condition_size,
    describe,
    diagrams,
    hole_loss,
    k_loss,
)
from cellscaper.generators.pointsets.batches import check_targets, crop_batch, pad_labels
from cellscaper.generators.registry import Training, refuse_maps
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run import launch
from cellscaper.run.progress import Progress
from cellscaper.views.crops import CropSampler


class Tmccg(nn.Module):
    """Generator, discriminator and the bank of conditions: counts (M, C) and descriptions (M, D) of training crops."""

    bank_counts: Tensor
    bank: Tensor

    def __init__(self, settings: Mapping[str, Any], classes: int, region: int):
        super().__init__()
        size = condition_size(classes, len(settings["radii"]))
        self.classes, self.region = classes, region
        self.generator = PointMover(classes, region, size, **settings["network"])
        self.discriminator = Discriminator(classes, size, settings["discriminator"]["width"])
        self.register_buffer("bank_counts", torch.zeros(settings["bank"], classes))
        self.register_buffer("bank", torch.zeros(settings["bank"], size))

    def forward(self, start: Tensor, noise: Tensor, condition: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        return self.generator(start, noise, condition, labels, mask)


class TmccgStyle:
    """The system of the registry (`registry.TrainedSystem`)."""

    def prepare(
        self, section: dict[str, Any], cells: LayoutSet, density: Sequence[Tensor] | None, device: torch.device
    ) -> Training:
        """The GAN and its losses on random crops. CellscaperError for a density, losses, or without ``tmccg``."""
        refuse_maps("tmccg", section, density)
        if section["tmccg"] is None:
            raise CellscaperError("generator tmccg needs the settings `tmccg`: network, discriminator, radii, weights")
        if launch.count() > 1:
            raise CellscaperError("generator tmccg trains its two players in one process; set gpu: 1 in `resources`")
        region, classes = section["grid"]["region"], cells.n_classes
        crops = CropSampler(cells, region, device, small=section["small"])
        model = Tmccg(section["tmccg"], classes, region).to(device)
        fill_bank(model, crops, section["tmccg"])
        return Training(model, batch_loss(model, section, crops), section)

    def draw(
        self,
        weights: Mapping[str, Tensor],
        facts: dict[str, Any],
        targets: LayoutSet,
        seeds: Sequence[int],
        config: dict[str, Any],
        device: torch.device,
        what: str,
    ) -> tuple[dict[str, LayoutSet], dict[str, NDArray]]:
        """One set, ``points``: cells with the targets' labels, placed."""
        section = facts["section"]
        model = Tmccg(section["tmccg"], targets.n_classes, section["grid"]["region"]).to(device).eval()
        model.load_state_dict(weights)
        return {"points": draw_layouts(model.double(), targets, seeds, config["sampling"]["batch"], what)}, {}


SYSTEM = TmccgStyle()


@torch.no_grad()
def fill_bank(model: Tmccg, crops: CropSampler, settings: Mapping[str, Any]) -> None:
    """Counts and descriptions of random training crops, the same for every seed."""
    generator, size = torch.Generator().manual_seed(0), len(model.bank)
    for start in range(0, size, 64):
        drawn = crops.sample(min(64, size - start), generator)
        rows = slice(start, start + drawn.n)
        labels = [drawn.labels[drawn.index == i].cpu().numpy() for i in range(drawn.n)]
        points = pad_labels(labels, model.classes)
        x = torch.zeros(*points.mask.shape, 2)
        x[points.mask] = drawn.points.cpu()
        pattern = Pattern(x, points.labels, points.mask)
        found = describe(pattern, diagrams(pattern, model.classes), model.classes, settings["radii"], model.region)
        model.bank_counts[rows], model.bank[rows] = points.counts.to(model.bank), found.to(model.bank)


def batch_loss(model: Tmccg, section: dict[str, Any], crops: CropSampler) -> Any:
    """The loss of one training step, as the trainer wants it: both players in one sum.

    ``discriminator`` trains the discriminator alone (generated cells are cut off), ``adversarial`` the generator
    alone (the discriminator's weights are held), ``k`` and ``holes`` are the distances to the crop whose counts and
    statistics are asked for. ``accuracy`` is the discriminator's, 0…1.
    """
    settings, n = section["tmccg"], section["training"]["batch"]
    classes, region, radii, weights = model.classes, model.region, settings["radii"], settings["weights"]
    stride, spread = settings["discriminator"]["stride"], settings["discriminator"]["spread"]

    def loss(called: nn.Module, random: torch.Generator, step: int) -> dict[str, Tensor]:
        clean, points = crop_batch(crops, n, classes, random)
        real = Pattern(clean + region / 2, points.labels, points.mask)
        wanted = diagrams(real, classes)
        condition = describe(real, wanted, classes, radii, region)
        start = region * torch.rand(clean.shape, generator=random).to(clean.device)
        noise = torch.randn((len(clean), model.generator.noise), generator=random).to(clean.device)
        placed = called(start, noise, condition, points.labels, points.mask).float()
        made = Pattern(placed, points.labels, points.mask)

        judge = model.discriminator
        seen = splat(real, classes, region, stride, spread).requires_grad_()
        shown = splat(made, classes, region, stride, spread)
        on_real, on_made = judge(seen, condition), judge(shown.detach(), condition)
        (slope,) = torch.autograd.grad(on_real.sum(), seen, create_graph=True)
        penalty = slope.square().sum(dim=(1, 2, 3)).mean()
        held = {name: one.detach() for name, one in judge.named_parameters()}
        fooled = functional_call(judge, held, (shown, condition))
        terms = {
            "discriminator": F.softplus(-on_real).mean() + F.softplus(on_made).mean() + weights["r1"] / 2 * penalty,
            "adversarial": weights["adversarial"] * F.softplus(-fooled).mean(),
            "k": weights["k"] * k_loss(made, real, classes, radii, region),
            "holes": weights["holes"] * hole_loss(made, wanted, classes),
        }
        accuracy = torch.cat([on_real > 0, on_made < 0]).float().mean()
        return {"loss": torch.stack(list(terms.values())).sum(), **terms, "accuracy": accuracy}

    return loss


@torch.no_grad()
def draw_layouts(model: Tmccg, targets: LayoutSet, seeds: Sequence[int], batch: int, what: str) -> LayoutSet:
    """Layouts with the labels of the targets, one seed each: places, noise and the choice among bank crops.

    The condition is that of a bank crop of the least L1 distance of counts, with the target's own counts in it.
    CellscaperError where a target is not of the model's region or has other classes.
    """
    side = check_targets("TMCCG-style", model.region, model.classes, targets)
    device, kind = model.bank.device, model.bank.dtype
    layouts: list[Layout] = []
    last = np.nextafter(np.float32(model.region), np.float32(0))
    with Progress(len(targets), what) as progress:
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
            progress.update(len(rows))
    return LayoutSet.build(layouts, targets.classes, targets.mpp)


def _condition(model: Tmccg, counts: Tensor, rng: np.random.Generator) -> Tensor:
    """(D,) the description of a bank crop with the nearest counts, and the counts (C,) themselves."""
    apart = (model.bank_counts.cpu() - counts).abs().sum(dim=1).numpy()
    row = rng.choice(np.flatnonzero(apart == apart.min()))
    condition = model.bank[row].cpu().double().clone()
    condition[: model.classes] = counts.double() / COUNT_SCALE
    return condition
