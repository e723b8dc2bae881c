"""Training of the U-Net detector: targets, batches and loss (papers.md section 8)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cellscaper.crops import CropSampler, cut_maps
from cellscaper.detectors.unet import channels_first, to_input
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet

Pairs = tuple[Iterable[NDArray[np.uint8] | Tensor], LayoutSet]
BatchLoss = Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]

BACKGROUND_WEIGHT = (
    0.1  # of background pixels in the cross-entropy; discs of 3 px cover 3 % of the real training images
)
STAIN_JITTER = 0.08  # sd of the log factor on each channel's optical density
LIGHT_JITTER = 0.04  # sd of the log factor on brightness


def dot_targets(layout: Layout, radius: float) -> NDArray[np.uint8]:
    """Class map (H, W): 0 background, k + 1 on the disc of each cell of class k.

    A disc holds the pixels whose centres, at whole coordinates, are at most ``radius`` px from the cell.
    Where discs overlap the nearest cell has the pixel, at equal distance the first.
    """
    reach = np.arange(-int(radius) - 1, int(radius) + 2)
    shift = np.stack(np.meshgrid(reach, reach, indexing="ij"), -1).reshape(-1, 2)
    pixel = np.rint(layout.points)[:, None].astype(np.int64) + shift  # (N, K, 2)
    distance = ((pixel - layout.points[:, None].astype(np.float64)) ** 2).sum(-1)
    inside = (distance <= radius**2) & (pixel >= 0).all(-1) & (pixel < layout.size).all(-1)
    cell = np.nonzero(inside)[0]
    pixel = pixel[inside]
    order = np.lexsort((-cell, -distance[inside]))  # the nearest last: the last assignment stays
    target = np.zeros(layout.size, np.uint8)
    target[tuple(pixel[order].T)] = layout.labels[cell[order]] + 1
    return target


def make_batch_loss(real: Pairs, synthetic: Pairs | None, settings: Mapping[str, Any]) -> BatchLoss:
    """The loss of random batches, for a trainer: ``loss(model, generator, n)`` → ``loss`` = ``ce`` + ``dice``.

    real, synthetic: images (H, W, 3) uint8 of any size ≥ ``crop``, and their cells. Each of the n crops of a
    batch is synthetic with probability ``synthetic_fraction``. Crops are moved by the square's eight
    symmetries and jittered in stain and brightness.

    settings: ``crop`` px, ``dot_radius`` px, ``synthetic_fraction`` (read if there are synthetic pairs).
    Raises CellscaperError where images and layouts do not fit each other or the crop.
    """
    pools = [_Pool(*real, settings)]
    fraction = 0.0
    if synthetic is not None:
        pools.append(_Pool(*synthetic, settings))
        fraction = settings["synthetic_fraction"]
        if not 0 <= fraction <= 1:
            raise CellscaperError(f"detector: synthetic_fraction {fraction} must lie between 0 and 1")

    def batch_loss(model: nn.Module, generator: torch.Generator, n: int) -> dict[str, Tensor]:
        device = next(model.parameters()).device
        chosen = int((torch.rand(n, generator=generator, device=generator.device) < fraction).sum())
        parts = [pool.draw(m, generator) for pool, m in zip(pools, (n - chosen, chosen), strict=False) if m]
        images, target = (torch.cat(part).to(device) for part in zip(*parts, strict=True))
        images, target = _transpose_some(images, target, generator)
        logits = model(to_input(jitter(images, generator)))
        return segmentation_loss(logits, target[:, 0].long())

    return batch_loss


class _Pool:
    """Images and target maps of one kind in memory, and the sampler of their crops."""

    def __init__(self, images: Iterable[NDArray[np.uint8] | Tensor], cells: LayoutSet, settings: Mapping[str, Any]):
        self.images = [channels_first(image) for image in images]
        sizes = [tuple(image.shape[1:]) for image in self.images]
        if sizes != [tuple(size) for size in cells.size.tolist()]:
            raise CellscaperError(
                f"detector: {len(sizes)} images and {len(cells)} layouts differ in number or size; "
                "give the layouts of the same images in the same order"
            )
        self.targets = [torch.from_numpy(dot_targets(one, settings["dot_radius"]))[None] for one in cells]
        self.sampler = CropSampler(cells, settings["crop"])

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n crops: images (n, 3, crop, crop) and targets (n, 1, crop, crop), uint8."""
        batch = self.sampler.sample(n, generator)
        return cut_maps(self.images, batch), cut_maps(self.targets, batch)


def _transpose_some(images: Tensor, target: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Swap the axes of half of the pairs; with the sampler's flips that gives all rotations by 90°."""
    swap = torch.rand(len(images), generator=generator, device=generator.device) < 0.5
    where = swap.to(images.device)[:, None, None, None]
    return torch.where(where, images.mT, images), torch.where(where, target.mT, target)


def jitter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images (n, 3, H, W) on 0…255 in slightly other stains and light, float.

    Each channel's optical density −log(I / 255) is scaled (more or less dye, Beer–Lambert), then the whole
    image's brightness.
    """
    random = torch.randn((len(images), 4, 1, 1), generator=generator, device=generator.device).to(images.device)
    density = (STAIN_JITTER * random[:, :3]).exp()
    light = (LIGHT_JITTER * random[:, 3:]).exp()
    return ((images / 255) ** density * light * 255).clamp(0, 255)


def segmentation_loss(logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Weighted cross-entropy plus soft Dice loss (mean over the cell classes) of a batch.

    logits (B, C + 1, H, W); target (B, H, W) int64, 0 background. Returns ``loss``, ``ce``, ``dice`` (0 … 1).
    """
    logits = logits.float()
    weight = logits.new_ones(logits.shape[1])
    weight[0] = BACKGROUND_WEIGHT
    ce = F.cross_entropy(logits, target, weight)
    probability = logits.softmax(1)[:, 1:]
    wanted = F.one_hot(target, logits.shape[1]).movedim(-1, 1)[:, 1:].to(probability.dtype)
    shared, total = (x.sum((0, 2, 3)) for x in (probability * wanted, probability + wanted))  # (C,)
    dice = (1 - (2 * shared + 1) / (total + 1)).mean()
    return {"loss": ce + dice, "ce": ce, "dice": dice}
