"""TopoCellGen's three losses on predicted clean layouts, with gradients (TC section 3.2, Eqs. 3–8).

Maps are (B, C, H, W) in unit range, 0 background … 1 marker. The topology losses binarise them at a threshold and match
the holes of the distance to the nearest cell optimally to the holes of the clean layout. The value is the squared
Wasserstein-2 distance of the two diagrams; TC Eq. 6 leaves out the target's unmatched holes (``missing``: False).
Diagrams and gradients are computed from the cells (:mod:`cellscaper.topology.by_cells`) or from the pixels
(:mod:`cellscaper.topology.by_pixels`).
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cellscaper.run.transfer import to_device
from cellscaper.topology import by_cells, by_pixels
from cellscaper.topology.by_pixels import Diagrams
from cellscaper.topology.cells import CellHoles
from cellscaper.topology.settings import Topology

METHODS: dict[str, ModuleType] = {"alpha": by_cells, "cubical": by_pixels}


@dataclass(frozen=True)
class Targets:
    """Holes of B clean layouts: of each class (B lists of C), of all classes together (B). None if not requested."""

    intra: list[list[CellHoles]] | list[list[Diagrams]] | None
    inter: list[CellHoles] | list[Diagrams] | None


def marker_counts(maps: Tensor, threshold: float = 0.5, area: float = 9.0) -> Tensor:
    """(B, C) Eq. 4: pixels of maps (B, C, H, W) above ``threshold``, divided by the ``area`` of a marker in pixels."""
    return (maps > threshold).to(maps.dtype).sum(dim=(2, 3)) / area


def count_loss(
    maps: Tensor, counts: Tensor, threshold: float = 0.5, area: float = 9.0, width: float | None = None
) -> Tensor:
    """(B,) Eq. 3–4: |cells − counts| averaged over classes; cells as in :func:`marker_counts`.

    maps (B, C, H, W) unit range, counts (B, C): with those of the clean maps the loss is exactly 0 at the truth. (The
    number of cells in a crop is another one: markers overlap, and the border cuts them.)

    The backward pass replaces the step function (straight-through). Without ``width`` it takes the identity: each pixel
    has the gradient ± 1 / (area · C). With ``width`` it takes a logistic function of this width in unit range and slope
    1 at the threshold: pixels near the threshold move, clear background hardly does.
    """
    hard = (maps.detach() > threshold).to(maps.dtype)
    soft = maps if width is None else 4 * width * ((maps - threshold) / width).sigmoid()
    cells = (hard + (soft - soft.detach())).sum(dim=(2, 3)) / area
    return (cells - counts.to(cells)).abs().mean(dim=1)


def targets(maps: Tensor, settings: Topology, intra: bool = True, inter: bool = True) -> Targets:
    """Diagrams of clean maps (B, C, H, W) in unit range, computed like the predictions' diagrams; no gradient."""
    if not (intra or inter):
        return Targets(None, None)
    found = METHODS[settings.diagrams].diagrams(_numpy(maps), settings, intra, inter)
    classes = maps.shape[1] if intra else 0
    return Targets([row[:classes] for row in found] if intra else None, [row[-1] for row in found] if inter else None)


def intra_loss(maps: Tensor, targets: Targets, settings: Topology) -> Tensor:
    """(B,) Eq. 5–7: squared Wasserstein-2 distance to the target of each class, averaged over classes."""
    return topology_losses(maps, Targets(targets.intra, None), settings)["intra"]


def inter_loss(maps: Tensor, targets: Targets, settings: Topology) -> Tensor:
    """(B,) Eq. 8: the same on the channel-wise maximum of all classes."""
    return topology_losses(maps, Targets(None, targets.inter), settings)["inter"]


def topology_losses(
    maps: Tensor, targets: Targets, settings: Topology, active: Tensor | None = None
) -> dict[str, Tensor]:
    """``intra`` and ``inter``, (B,) each, of maps (B, C, H, W) in unit range; only the losses that ``targets`` has.

    Both together are cheaper than one after the other.
    Samples where ``active`` (B,) is False are left out: loss and gradient are 0, without computation. A map without a
    cell has no holes: all holes of its target are unmatched, and only ``missing`` gives it a cost and a gradient.
    """
    if targets.intra is None and targets.inter is None:
        return {}
    terms = _Wasserstein.apply(maps, targets, settings, None if active is None else active.tolist())
    found = {}
    if targets.intra is not None:
        found["intra"] = terms[:, : maps.shape[1]].mean(dim=1)
    if targets.inter is not None:
        found["inter"] = terms[:, -1]
    return found


class _Wasserstein(torch.autograd.Function):
    """maps (B, C, H, W) → (B, L) matching costs of the layers; numpy on the CPU; the gradient is a sparse scatter."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, targets: Targets, settings: Topology, active: list[bool] | None) -> Tensor:
        intra, inter = targets.intra is not None, targets.inter is not None
        chosen = [i for i in range(len(maps)) if active is None or active[i]]
        wanted = [
            [*(targets.intra[i] if targets.intra else []), *([targets.inter[i]] if targets.inter else [])]
            for i in chosen
        ]
        arrays = _numpy(maps)
        arrays = arrays[chosen] if len(chosen) < len(maps) else arrays
        costs = np.zeros((len(maps), intra * maps.shape[1] + inter))
        ctx.shape = maps.shape
        gradient = (np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
        if chosen:
            costs[chosen], (where, slope, term) = METHODS[settings.diagrams].compare(
                arrays, wanted, settings, intra, inter
            )
            row = np.array(chosen)
            sample, layer = np.divmod(term, costs.shape[1])
            place = where - sample * arrays[0].size
            gradient = (row[sample] * arrays[0].size + place, slope, row[sample] * costs.shape[1] + layer)
        ctx.save_for_backward(*(to_device(torch.from_numpy(one), maps.device) for one in gradient))
        return to_device(torch.from_numpy(costs).to(maps.dtype), maps.device)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        where, slopes, terms = ctx.saved_tensors
        gradient = grads[0].new_zeros(ctx.shape.numel())
        gradient.index_add_(0, where, slopes.to(gradient) * grads[0].reshape(-1)[terms])
        return gradient.view(ctx.shape), None, None, None


def _numpy(maps: Tensor) -> NDArray[np.float32]:
    return maps.detach().float().cpu().numpy()
