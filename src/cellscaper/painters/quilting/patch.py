"""The shape of a patch, its eight symmetries, and the description of the cells around its centre."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cellscaper.views.symmetries import EIGHT, inverse

STEP = 3  # px between the samples of a description


class Patch:
    """A square of ``side`` = 2 · ``radius`` + 1 px; its pixels within ``radius`` of the centre are painted.

    ``reach``: px at which the influence of a cell on a description ends.
    """

    def __init__(self, radius: int, reach: float, classes: int):
        self.radius, self.side, self.reach, self.classes = radius, 2 * radius + 1, reach, classes
        self.y, self.x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
        self.away: NDArray[np.float32] = np.hypot(self.y, self.x)
        self.disc: NDArray[np.bool_] = self.away <= radius

    @cached_property
    def samples(self) -> NDArray[np.int64]:
        """(g,) places of the samples along an axis, px from the centre; symmetric."""
        most = self.radius // STEP * STEP
        return np.arange(-most, most + 1, STEP)

    @cached_property
    def weight(self) -> NDArray[np.float32]:
        """(g, g) root of the weight of each sample: neighbours count less the farther they lie from the centre."""
        squared = self.samples[:, None] ** 2 + self.samples[None] ** 2
        return np.exp(-squared / (2 * self.radius**2)).astype(np.float32)

    def describe(self, points: NDArray, labels: NDArray) -> NDArray[np.float32]:
        """(C, g, g) of cells (N, 2) px from the centre: for each class a cone around every cell, 1 at the cell and 0
        from ``reach`` on, times the samples' weight."""
        out = np.zeros((self.classes, len(self.samples), len(self.samples)), np.float32)
        cones = 1 - np.hypot(
            self.samples[None, :, None] - points[:, 0, None, None], self.samples[None, None] - points[:, 1, None, None]
        ) / np.float32(self.reach)
        for label in np.unique(labels):
            out[label] = cones[labels == label].max(axis=0).clip(0)
        return out * self.weight

    def in_eight(self, description: NDArray[np.float32]) -> NDArray[np.float32]:
        """(8, C · g · g): a candidate in symmetry s is like the description if its own is like row s."""
        return np.stack([turned(description, inverse(s)).reshape(-1) for s in EIGHT])


def turned(raster: NDArray, symmetry: int) -> NDArray:
    """A view of rasters (…, n, n) in one of the EIGHT symmetries, which turn points alike (`views.symmetries`)."""
    if symmetry & 1:
        raster = raster[..., ::-1, :]
    if symmetry & 2:
        raster = raster[..., ::-1]
    return np.swapaxes(raster, -1, -2) if symmetry & 4 else raster


def turned_image(image: NDArray, symmetry: int) -> NDArray:
    """The same for images (n, n, …)."""
    if symmetry & 1:
        image = image[::-1]
    if symmetry & 2:
        image = image[:, ::-1]
    return image.swapaxes(0, 1) if symmetry & 4 else image


def turned_offsets(offsets: NDArray, symmetry: int) -> NDArray:
    """Points (N, 2) px from the centre of a patch, turned with it."""
    signs = np.array([-1 if symmetry & 1 else 1, -1 if symmetry & 2 else 1], offsets.dtype)
    out = offsets * signs
    return out[:, ::-1] if symmetry & 4 else out
