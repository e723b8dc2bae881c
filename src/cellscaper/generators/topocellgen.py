"""TopoCellGen (CVPR 2025): layout maps trained with losses on cell counts and on persistent homology.

``losses``: the weights of the three terms, and the fraction of the training after which they act. The losses compare
the predicted clean layout x̂0 with the true one, in px at 20× on every grid, so that a weight means the same on all.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from cellscaper.diffusion.objective import Extra
from cellscaper.diffusion.schedule import make_schedule
from cellscaper.diffusion.settings import MapSampling
from cellscaper.generators.maps.engine import PAPER_TRAINING, MapDiffusion, MapSettings
from cellscaper.generators.protocol import Recipe, grid_of, refuse_density
from cellscaper.run.begins import Begins, acts_from
from cellscaper.run.settings import Fraction, Positive
from cellscaper.run.settings import Settings as Block
from cellscaper.run.transfer import to_device
from cellscaper.topology.losses import Targets, count_loss, marker_counts, targets, topology_losses
from cellscaper.topology.settings import Topology
from cellscaper.topology.transport import Backend
from cellscaper.views.rasters import to_unit

DECODERS = ("components", "released", "peaks", "requested")
TRAINING = PAPER_TRAINING
BEGINS = Begins(like="adm", block="losses", after="after")


Inside = Annotated[float, Field(gt=0, lt=1)]  # between background and marker


class Weights(Block):
    """Factors of the three losses."""

    count: float = Field(5.0e-4, ge=0, description="weight of the count loss (TC Eq. 3)")
    intra: float = Field(5.0e-4, ge=0, description="weight of the topology of each class (TC Eq. 5)")
    inter: float = Field(5.0e-4, ge=0, description="weight of the topology of all classes together (TC Eq. 8)")


class Losses(Block):
    """The losses of TC section 5."""

    after: Fraction = Field(0.4167, description="fraction of the steps with the noise loss alone: 150 K of 360 K")
    weights: Weights = Weights()
    threshold: Inside = Field(0.5, description="0 background … 1 marker: a pixel above it is a cell (released: 0.7)")
    count_threshold: Inside | None = Field(
        None, description="threshold of the count loss; null: as threshold (released: 0.7 on −1…1, which is 0.85)"
    )
    clamp: bool = Field(True, description="x̂0 is clamped to the grid's range before all three losses (released)")
    width: Positive | None = Field(
        None, description="width of the logistic straight-through gradient of the count loss; null: the identity"
    )
    diagrams: Literal["alpha", "cubical"] = Field(
        "alpha", description="alpha: from the cells' places, cubical: from the pixels of the distance map"
    )
    filtration: Literal["sublevel", "superlevel"] = Field(
        "sublevel", description="sublevel: holes between cells; superlevel (released, cubical): every hole is a cell"
    )
    missing: bool = Field(
        True, description="holes of the clean layout that nothing matches cost their way to the diagonal (TC: nothing)"
    )
    normalise: Literal["none", "max"] = Field("max", description="max: distance maps divided by their largest value")
    distance: Literal["edt", "fastgeodis"] = Field(
        "edt", description="of cubical diagrams; edt: exact; fastgeodis: up to 8 % off, needs the package FastGeodis"
    )
    matching: Backend = Field(
        "own", description="own: scipy's assignment; pot: POT's exact transport; pot_sinkhorn: with entropy, rounded"
    )
    window: Annotated[int, Field(ge=1)] | None = Field(
        None, description="cubical, px: diagrams of square windows (released: 100), null for the whole map"
    )
    snr_limit: Annotated[float, Field(ge=0)] | None = Field(
        None, description="the losses act where the signal-to-noise ratio is above this, null for all steps"
    )


class Settings(MapSettings):
    """ADM's network and noise process, and the losses."""

    losses: Losses = Losses()


class Sampling(MapSampling):
    """DDIM sampling of maps."""


def channels(recipe: Recipe, classes: int) -> int:
    """Channels of the maps: one for each class. CellscaperError if the experiment names a density."""
    refuse_density(recipe)
    return classes


def compose(layout: Tensor, density: Tensor | None) -> Tensor:
    """The clean maps (B, C, side, side): the layout itself."""
    return layout


def ahead(recipe: Recipe, layout: Tensor, step: int) -> Targets | None:
    """The holes of the clean layouts (B, C, side, side) of a step; None before ``losses.after`` of the training."""
    weights = recipe.settings.losses.weights
    if not _started(recipe, step):
        return None
    return targets(to_unit(layout, grid_of(recipe)), _topology(recipe), weights.intra > 0, weights.inter > 0)


def _started(recipe: Recipe, step: int) -> bool:
    return step >= acts_from(recipe.settings.losses.after, recipe.training.steps)


def _topology(recipe: Recipe) -> Topology:
    losses, grid = recipe.settings.losses, grid_of(recipe)
    return Topology(
        threshold=losses.threshold,
        diagrams=losses.diagrams,
        filtration=losses.filtration,
        missing=losses.missing,
        marker=grid.marker,
        normalise=losses.normalise,
        backend=losses.distance,
        matching=losses.matching,
        window=None if losses.window is None else losses.window // grid.stride,
    )


def extra(recipe: Recipe, x0: Tensor, wanted: Targets | None, step: int) -> Extra:
    """Terms count, intra and inter of a training step, weighted; zero before ``losses.after`` of the training.

    x0 (B, C, side, side) are the clean maps, ``wanted`` is :func:`ahead` of them. The count loss takes their area (TC
    Eq. 4), not the number of cells. Also
    logged: ``count_error``, cells a class, and for each term the norm of its gradient with respect to x̂0, ``grad_…``,
    mean over the batch.
    """
    losses, grid, diffusion = recipe.settings.losses, grid_of(recipe), recipe.settings.diffusion
    weights, topology = losses.weights, _topology(recipe)
    area = 1.0 if losses.normalise == "max" else float(grid.stride**2)  # px² at 20× of a squared grid distance
    threshold = losses.threshold if losses.count_threshold is None else losses.count_threshold
    clean, marker = to_unit(x0, grid), float(grid.marker**2)

    def terms(x0_hat: Tensor, t: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        maps, zero = to_unit(x0_hat, grid), torch.zeros(len(x0), device=x0.device)
        if losses.clamp:
            maps = maps.clamp(0, 1)
        wanted_counts = marker_counts(clean, threshold, marker)
        error = count_loss(maps, wanted_counts, threshold, marker, losses.width)
        found = {"count": zero, "intra": zero, "inter": zero}
        if wanted is not None:
            active = None
            if losses.snr_limit is not None:
                snr = to_device(make_schedule(diffusion.schedule, diffusion.steps).snr, x0.device)
                active = snr[t] > losses.snr_limit
            found["count"] = weights.count * error * (1.0 if active is None else active.float())
            for name, value in topology_losses(maps, wanted, topology, active).items():
                found[name] = getattr(weights, name) * area * value
        shown = {f"grad_{name}": _gradient(value, x0_hat) for name, value in found.items()}
        return found, {"count_error": error, **shown}

    return terms


SYSTEM = MapDiffusion(channels, compose, extra, ahead)
prepare, generate = SYSTEM.prepare, SYSTEM.generate


def _gradient(value: Tensor, x0_hat: Tensor) -> Tensor:
    """(B,) norms of the gradient of each sample's loss with respect to its x̂0; 0 for a loss that is switched off."""
    if not value.requires_grad:
        return torch.zeros_like(value)
    (slope,) = torch.autograd.grad(value.sum(), x0_hat, retain_graph=True)
    return slope.flatten(1).norm(dim=1)
