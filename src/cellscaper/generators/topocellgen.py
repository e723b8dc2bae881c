"""TopoCellGen (CVPR 2025): layout maps trained with losses on cell counts and on persistent homology.

The experiment's ``losses``: weights of the three terms, and from which part of the training on they act. They are
taken on the predicted clean layout x̂0, in px at 20× whatever the grid, so that a weight means the same on all grids.
"""

from typing import Any

import torch
from torch import Tensor

from cellscaper.diffusion.objective import Extra
from cellscaper.diffusion.schedule import make_schedule
from cellscaper.errors import CellscaperError
from cellscaper.generators.maps.engine import MapDiffusion
from cellscaper.topology.losses import count_loss, targets, topology_losses
from cellscaper.topology.settings import Topology
from cellscaper.views.rasters import Grid, to_unit


def channels(section: dict[str, Any], classes: int) -> int:
    """Channels of the maps: one for each class. CellscaperError if the experiment names a density or no losses."""
    if section["density"] is not None or section["losses"] is None:
        raise CellscaperError("generator topocellgen takes losses and no density; set density: none and give losses")
    return classes


def compose(layout: Tensor, density: Tensor | None) -> Tensor:
    """The clean maps (B, C, side, side): the layout itself."""
    return layout


def extra(section: dict[str, Any], x0: Tensor, counts: Tensor, step: int) -> Extra:
    """Terms count, intra and inter of a training step, weighted; zero before their part of the training.

    x0 (B, C, side, side) are the clean maps, counts (B, C) their cells. Shown beside them: ``count_error``, cells a
    class, and for each term the norm of its gradient with respect to x̂0, ``grad_…``, mean over the batch.
    """
    settings, grid, diffusion = section["losses"], Grid(**section["grid"]), section["diffusion"]
    weights, started = settings["weights"], step >= settings["after"] * section["training"]["steps"]
    topology = Topology(
        threshold=settings["threshold"],
        diagrams=settings["diagrams"],
        marker=grid.marker,
        normalise=settings["normalise"],
        window=None if settings["window"] is None else settings["window"] // grid.stride,
    )
    area = 1.0 if settings["normalise"] == "max" else float(grid.stride**2)  # px² at 20× of a squared grid distance

    def terms(x0_hat: Tensor, t: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        maps, zero = to_unit(x0_hat, grid), torch.zeros(len(x0), device=x0.device)
        error = count_loss(maps, counts, settings["threshold"], grid.marker**2, settings["width"])
        found = {"count": zero, "intra": zero, "inter": zero}
        if started:
            active = torch.ones_like(zero)
            if settings["snr_limit"] is not None:
                snr = make_schedule(diffusion["schedule"], diffusion["steps"]).snr.to(x0.device)
                active = (snr[t] > settings["snr_limit"]).float()
            found["count"] = weights["count"] * error * active
            wanted = targets(to_unit(x0, grid), topology, weights["intra"] > 0, weights["inter"] > 0)
            for name, value in topology_losses(maps, wanted, topology, active > 0).items():
                found[name] = weights[name] * area * value
        shown = {f"grad_{name}": _gradient(value, x0_hat) for name, value in found.items()}
        return found, {"count_error": error, **shown}

    return terms


SYSTEM = MapDiffusion(channels, compose, extra)


def _gradient(value: Tensor, x0_hat: Tensor) -> Tensor:
    """(B,) norms of the gradient of each sample's loss with respect to its x̂0; 0 for a loss that is not taken."""
    if not value.requires_grad:
        return torch.zeros_like(value)
    (slope,) = torch.autograd.grad(value.sum(), x0_hat, retain_graph=True)
    return slope.flatten(1).norm(dim=1)
