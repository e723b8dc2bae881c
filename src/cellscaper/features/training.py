"""Training of a feature network: it learns to reconstruct random training layouts."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cellscaper.errors import CellscaperError
from cellscaper.features.protocol import FeatureSettings
from cellscaper.layouts import LayoutSet
from cellscaper.run.transfer import to_device
from cellscaper.training.contract import Drawn
from cellscaper.views.crops import CropSampler
from cellscaper.views.grid import Grid
from cellscaper.views.rasters import rasterise


def marker_weight(cells: LayoutSet, grid: Grid) -> Tensor:
    """(C,) the weight of a marker pixel (background: 1) with which both have an equal share in the loss.

    (1 − p) / p for a class whose markers cover a share p of the layouts (overlaps are ignored); 1 for a class
    without cells.
    """
    area = cells.size.astype("int64").prod(axis=1).sum() / grid.stride**2  # grid pixels
    covered = torch.from_numpy(cells.counts().sum(axis=0)).double() * grid.marker**2 / float(area)
    return torch.where(covered > 0, (1 - covered).clamp(min=0) / covered, 1).float()


def reconstruction_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of logits (B, C, H, W) and {0, 1} maps, markers weighted by ``weight`` (C,).

    Markers cover about 0.5 % of a map. Without weights, or with squared errors, an empty map would be nearly the best
    answer: the encoder would learn nothing, and a rare class would hardly count.
    """
    return F.binary_cross_entropy_with_logits(logits.float(), target, pos_weight=weight[:, None, None])


def batch_loss(settings: FeatureSettings, cells: LayoutSet, device: torch.device) -> Drawn:
    """The loss of random crops of ``cells``, rasterised on the grid of the settings, for a trainer: ``{"loss": …}``.

    Raises CellscaperError for layouts that do not fit the region and for batches of one crop, which have no variance.
    """
    grid, n = settings.grid, settings.training.batch
    if n < 2:
        raise CellscaperError(f"features: batch {n} must be at least 2 for the variance of the features; raise it")
    crops = CropSampler(cells, grid.region, small=settings.small)
    classes, weight = cells.n_classes, marker_weight(cells, grid).to(device)

    def draw(random: torch.Generator, step: int) -> Tensor:
        batch = crops.sample(n, random)
        return rasterise(batch.points, batch.labels, batch.index, batch.n, classes, grid)

    def loss(model: nn.Module, drawn: Tensor, step: int) -> dict[str, Tensor]:
        maps = to_device(drawn, device)
        return {"loss": reconstruction_loss(model(maps), (maps - grid.low) / (grid.high - grid.low), weight)}

    return Drawn(draw, loss)
