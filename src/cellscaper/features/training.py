"""Training of a feature network: it learns to draw random training layouts again."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.views.crops import CropSampler
from cellscaper.views.rasters import Grid, rasterise

BatchLoss = Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]


def marker_weight(cells: LayoutSet, grid: Grid) -> Tensor:
    """(C,) the weight of a marker pixel, background being 1, at which both have an equal share in the loss.

    (1 − p) / p for a class whose markers cover a share p of the layouts (overlaps not looked at); 1 for a class
    without cells.
    """
    area = cells.size.astype("int64").prod(axis=1).sum() / grid.stride**2  # grid pixels
    covered = torch.from_numpy(cells.counts().sum(axis=0)).double() * grid.marker**2 / float(area)
    return torch.where(covered > 0, (1 - covered).clamp(min=0) / covered, 1).float()


def reconstruction_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of logits (B, C, H, W) and {0, 1} maps, markers weighted by ``weight`` (C,).

    Markers cover about 0.5 % of a map. Without weights, or with squared errors, an empty map is nearly the best
    answer and the encoder has nothing to learn; and a rare class would hardly count.
    """
    return F.binary_cross_entropy_with_logits(logits.float(), target, pos_weight=weight[:, None, None])


def batch_loss(section: dict[str, Any], cells: LayoutSet, device: torch.device) -> BatchLoss:
    """The loss of random crops of ``cells``, rasterised on the section's grid, for a trainer: ``{"loss": …}``.

    Raises CellscaperError for layouts that do not fit the region and for batches of one crop, which have no variance.
    """
    grid, n = Grid(**section["grid"]), section["training"]["batch"]
    if n < 2:
        raise CellscaperError(f"features: batch {n} must be at least 2 for the variance of the features")
    crops = CropSampler(cells, grid.region, device, small=section["small"])
    classes, weight = cells.n_classes, marker_weight(cells, grid).to(device)

    def loss(model: nn.Module, random: torch.Generator, step: int) -> dict[str, Tensor]:
        batch = crops.sample(n, random)
        maps = rasterise(batch.points, batch.labels, batch.index, batch.n, classes, grid)
        return {"loss": reconstruction_loss(model(maps), (maps - grid.low) / (grid.high - grid.low), weight)}

    return loss
