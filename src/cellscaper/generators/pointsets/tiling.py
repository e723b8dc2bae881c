"""Regions of any size by overlapping windows of the training size, denoised jointly.

A cell belongs to all windows that hold its current clean estimate. Each window sees the noisy positions of its cells
relative to its own centre, and its own class counts. A cell's new estimate is the mean of its windows' answers, with
weights that fall from 1 at a window's centre to 0 at its border. With windows half a side apart, these are the weights
of linear interpolation. At large noise each window's answer is near its own centre, and the mean is the cell's previous
place (:func:`sharpness` for less noise).
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cellscaper.generators.pointsets.batches import padded

PAIRS = 400_000  # most pairs of cells in one call of the network: bounds its memory
LEAST = 1e-3  # smallest weight, at a window's border: cells on the border of the region need a weight above 0


class Network(Protocol):
    """A point denoiser for squares of ``region`` px (see `network.PointDenoiser`)."""

    region: int
    classes: int

    def __call__(self, x: Tensor, sigma: Tensor, labels: Tensor, counts: Tensor, mask: Tensor, /) -> Tensor: ...


def starts(side: int, window: int) -> NDArray[np.int64]:
    """First px of windows along one side: half a window apart or less, evenly, flush with both ends."""
    if side <= window:
        return np.zeros(1, np.int64)
    number = int(np.ceil((side - window) / (window / 2))) + 1
    return np.linspace(0, side - window, number).round().astype(np.int64)


def windows(size: tuple[int, int], window: int) -> NDArray[np.int64]:
    """(W, 2) top-left corners of the windows of a region of at least ``window`` px a side."""
    axes = np.meshgrid(*(starts(side, window) for side in size), indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, 2)


def weights(offset: NDArray, window: int) -> NDArray:
    """(…) weight of a window for a cell at ``offset`` (…, 2) px from its top-left corner."""
    near = 1 - np.abs(2 * offset / window - 1)
    return near.clip(LEAST, 1).prod(axis=-1)


def sharpness(sigma: float, window: int) -> float:
    """Power of the weights at which uniform cells at noise ``sigma`` px do not drift between windows.

    At large noise a window pulls all its cells to its centre, in proportion, and the power is 1. At smaller noise it
    pulls only the cells near its border, by about σ, so its weight must be smaller there. For normal noise cut to
    windows of 256 px, the best powers are 1.1 at 60 px, 1.5 at 40, 2.5 at 30 and 4 at 20.
    """
    return min(4.0, 1 + (0.131 * window / sigma) ** 4)


class Tiles:
    """``denoise(x (L, N, 2), sigma)`` for L layouts of N cells each in a region of ``size`` px; x from its centre.

    labels (L, N); ``corners`` (W, 2) of the windows, which together hold all cells that matter. ``estimate``
    (L, N, 2), px from the region's top-left corner, decides which windows a cell belongs to: set it after each step.
    The answer for cells in no window is their estimate.
    """

    def __init__(
        self,
        network: Network,
        size: tuple[int, int],
        labels: NDArray[np.int64],
        corners: NDArray[np.int64],
        estimate: NDArray[np.float64],
        device: torch.device,
    ):
        self._network, self._corners, self._device = network, corners, device
        self._half = np.array(size) / 2
        self._labels, self.estimate = labels, estimate

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        noisy = x.double().cpu().numpy() + self._half
        total, weight = np.zeros_like(noisy), np.zeros(noisy.shape[:2])
        power = sharpness(sigma, self._network.region)
        for group in self._batches():
            answers = self._denoise(noisy, group, sigma)
            for (layout, corner, members, weight_of), answer in zip(group, answers, strict=True):
                share = weight_of**power
                total[layout, members] += share[:, None] * (answer[: len(members)] + corner)
                weight[layout, members] += share
        found = weight > 0
        total[found] /= weight[found][:, None]
        total[~found] = self.estimate[~found]
        return torch.from_numpy(total - self._half)

    def _batches(self) -> list[list[tuple[int, NDArray, NDArray, NDArray]]]:
        """Batches of (layout, window's centre, its cells, their weights) of windows with similar numbers of cells."""
        tiles = []
        side = self._network.region
        for layout, estimate in enumerate(self.estimate):
            for corner in self._corners:
                offset = estimate - corner
                members = np.flatnonzero(((offset >= 0) & (offset <= side)).all(axis=1))
                if len(members):
                    tiles.append((layout, corner + side / 2, members, weights(offset[members], side)))
        tiles.sort(key=lambda tile: len(tile[2]))
        groups: list[list] = [[]]
        for tile in tiles:
            width = padded(len(tile[2]))
            if groups[-1] and (len(groups[-1]) + 1) * width**2 > PAIRS:
                groups.append([])
            groups[-1].append(tile)
        return groups if tiles else []

    def _denoise(self, noisy: NDArray, group: Sequence[tuple], sigma: float) -> NDArray[np.float64]:
        """(B, N, 2) the network's answers, px from each window's centre."""
        width = padded(max(len(members) for _, _, members, _ in group))
        x = np.zeros((len(group), width, 2))
        labels, mask = np.zeros((len(group), width), np.int64), np.zeros((len(group), width), bool)
        counts = np.zeros((len(group), self._network.classes))
        for row, (layout, centre, members, _) in enumerate(group):
            n = len(members)
            x[row, :n] = noisy[layout, members] - centre
            labels[row, :n] = self._labels[layout, members]
            mask[row, :n] = True
            counts[row] = np.bincount(labels[row, :n], minlength=self._network.classes)
        to: Callable[[NDArray], Tensor] = lambda array: torch.from_numpy(array).to(self._device)  # noqa: E731
        level = torch.full((len(group),), float(sigma), dtype=torch.float64, device=self._device)
        with torch.no_grad():
            answer = self._network(to(x), level, to(labels), to(counts), to(mask))
        return answer.double().cpu().numpy()
