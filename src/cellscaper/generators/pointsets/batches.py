"""Padded batches of labelled points, and the sampling of layouts in such batches."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.network import PointDenoiser, in_precision
from cellscaper.generators.pointsets.sampler import Denoise, Noise, noise_levels, sample
from cellscaper.generators.pointsets.settings import LevelSampling
from cellscaper.layouts import LayoutSet
from cellscaper.views.crops import CropBatch, CropSampler

PAIRS = 300_000  # most pairs of cells in a call (unless one layout has more): its arrays then stay in the cache
KEPT = 31 * 2**20  # bytes; the C library asks the system for every block of 32 MiB or more
PAD = 16  # a batch is padded to a multiple of this number of cells, so that padding does not change the sums' rounding
POOL = 8  # a training batch of n crops is chosen from POOL · n crops, ordered by size


def padded(n: int) -> int:
    """Cells with padding: a multiple of PAD."""
    return max(-(-n // PAD) * PAD, PAD)


class Points(NamedTuple):
    """B layouts padded to N cells: labels (B, N) int64, counts (B, C) float32, mask (B, N) bool, True for cells."""

    labels: Tensor
    counts: Tensor
    mask: Tensor


def check_targets(who: str, region: int, classes: int, targets: LayoutSet) -> tuple[int, int]:
    """The size of the layouts of a model with this region and these classes; CellscaperError for other targets."""
    side = (region, region)
    if len(targets) and (targets.common_size() != side or targets.n_classes != classes):
        height, width = targets.size[0]
        raise CellscaperError(
            f"{who} was trained on {region} px regions of {classes} classes, "
            f"asked for {height}×{width} px of {targets.n_classes}"
        )
    return side


def pad_labels(labels: Sequence[NDArray], classes: int) -> Points:
    """Padded labels of layouts (N_i,), with their counts."""
    sizes = [len(one) for one in labels]
    width = padded(max(sizes, default=0))
    filled, mask = torch.zeros(len(sizes), width, dtype=torch.long), torch.zeros(len(sizes), width, dtype=torch.bool)
    for i, one in enumerate(labels):
        filled[i, : sizes[i]] = torch.from_numpy(np.asarray(one, np.int64))
        mask[i, : sizes[i]] = True
    counts = [np.bincount(np.asarray(one, np.int64), minlength=classes) for one in labels]
    return Points(filled, torch.from_numpy(np.stack(counts)).float(), mask)


def denoiser_of(model: PointDenoiser, points: Points) -> Denoise:
    """``denoise(x (B, N, 2), sigma)`` of a network for these layouts."""

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return model(x, torch.full((len(x),), sigma, dtype=torch.float64, device=x.device), *points)

    return denoise


def sample_points(
    model: PointDenoiser, labels: Sequence[NDArray], seeds: Sequence[int], sampling: LevelSampling
) -> list[NDArray[np.float32]]:
    """Positions (N_i, 2) px, y then x, in the model's region, for the labels (N_i,) of each layout; one seed each.

    Cells start uniform in the region, with the noise of the largest level. Only layouts of the same padded size are
    sampled together, so that a layout, down to its rounding, does not depend on the others.
    """
    model = in_precision(model, sampling.precision)
    _keep_memory()
    placed: list[NDArray] = [np.zeros((0, 2), np.float32)] * len(labels)
    sizes = np.array([len(one) for one in labels], np.int64)
    widths = np.array([padded(size) for size in sizes.tolist()], np.int64)
    for width in np.unique(widths[sizes > 0]).tolist():
        alike = np.flatnonzero((widths == width) & (sizes > 0)).tolist()
        together = max(PAIRS // width**2, 1)
        for first in range(0, len(alike), together):
            rows = alike[first : first + together]
            drawn = _sample_padded(model, [labels[row] for row in rows], [seeds[row] for row in rows], sampling)
            for row, points in zip(rows, drawn, strict=True):
                placed[row] = points
    return placed


def _keep_memory() -> None:
    """Let the process keep memory that it frees; otherwise glibc returns each large array to the system at once.

    Freeing one block of KEPT bytes raises the size from which glibc does that.
    """
    torch.empty(KEPT, dtype=torch.uint8)


def _sample_padded(
    model: PointDenoiser, labels: Sequence[NDArray], seeds: Sequence[int], sampling: LevelSampling
) -> list[NDArray[np.float32]]:
    device, region = next(model.parameters()).device, model.region
    points = Points(*(one.to(device) for one in pad_labels(labels, model.classes)))
    sizes = [len(one) for one in labels]
    noise = Noise(seeds, sizes, points.mask.shape[1])
    levels = noise_levels(sampling.steps, sampling.sigma_max, sampling.sigma_min, sampling.rho)
    start = region * noise.uniform() + levels[0] * noise.normal()
    half = region / 2
    x = sample(
        denoiser_of(model, points),
        start.to(device),
        levels,
        lambda: noise.normal().to(device),
        heun=sampling.heun,
        churn=sampling.churn,
        churn_above=sampling.churn_above,
        constrain=lambda x0, sigma: x0.clamp(-half, half),
    )
    last = np.nextafter(np.float32(region), np.float32(0))
    placed = (x + half).cpu().numpy().astype(np.float32).clip(0, last)
    return [one[:size] for one, size in zip(placed, sizes, strict=True)]


def crop_batch(crops: CropSampler, n: int, classes: int, generator: torch.Generator) -> tuple[Tensor, Points]:
    """Random crops of about equal numbers of cells, on the host: positions (B, N, 2) px from the centre, their points.

    POOL · n crops are ordered by their number of cells and split into POOL groups with equal total numbers of cells;
    the batch is one random group. So all crops and all cells stay equally likely. Besides the mirrors of ``crops``,
    the axes are swapped with probability ½.
    """
    pool = crops.sample(POOL * n, generator)
    sizes = torch.bincount(pool.index, minlength=pool.n)
    group = int(torch.randint(POOL, (1,), generator=generator))
    swap = torch.rand(pool.n, generator=generator) < 0.5
    order = sizes.argsort(stable=True)
    ends = sizes[order].cumsum(0)
    of_group = (ends * POOL - 1).div(max(int(ends[-1]), 1), rounding_mode="floor")
    rows = order[of_group == group]
    if not len(rows):  # few crops, one of them larger than a group
        rows = order[-1:]
    return _padded(pool, rows, sizes, swap[: len(rows)], classes)


def _padded(pool: CropBatch, rows: Tensor, sizes: Tensor, swap: Tensor, classes: int) -> tuple[Tensor, Points]:
    """The chosen crops of a pool, padded, with axes swapped where ``swap`` is True."""
    begin = sizes.cumsum(0) - sizes
    width = padded(int(sizes[rows].max()))
    place = torch.arange(width)
    mask = place < sizes[rows][:, None]
    cell = torch.where(mask, begin[rows][:, None] + place, 0)
    if not len(pool.points):
        return torch.zeros(*mask.shape, 2), Points(cell, torch.zeros(len(rows), classes), mask)
    x = torch.where(mask[..., None], pool.points[cell] - pool.region / 2, 0.0)
    x = torch.where(swap[:, None, None], x.flip(-1), x)
    labels = torch.where(mask, pool.labels[cell], 0)
    return x, Points(labels, pool.counts(classes)[rows], mask)
