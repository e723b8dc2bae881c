"""Properties of a dataset: distances, counts, density, doubles, class balance, shift between splits, image sizes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cellscaper.disk.formats.doubts import DOUBLE, doubled

WINDOW = 256  # px at 20×


@dataclass(frozen=True, eq=False)
class Cells:
    """One image: points (N, 2) y, x px, labels (N,), size (height, width) px, name, split."""

    points: NDArray[np.float64]
    labels: NDArray[np.int64]
    size: tuple[int, int]
    name: str
    split: str

    @property
    def outside(self) -> NDArray[np.bool_]:
        """(N,) the dots that do not lie in the image."""
        y, x = self.points.T
        return (y < 0) | (x < 0) | (y >= self.size[0]) | (x >= self.size[1])


def nearest_distance(images: Sequence[Cells]) -> float | None:
    """Median distance in px from a cell to the nearest other; None for under 50 cells with a neighbour."""
    found = []
    for one in images:
        points = np.unique(one.points, axis=0)
        if len(points) > 1:
            found.append(cKDTree(points).query(points, 2)[0][:, 1])
    distances = np.concatenate(found) if found else np.zeros(0)
    return float(np.median(distances)) if len(distances) >= 50 else None


def doubles(images: Sequence[Cells], factor: float) -> int:
    """Cells within DOUBLE px (at 20×; ``factor`` px of the file are one) of an earlier cell of their class."""
    return sum(doubled(one.points, one.labels, DOUBLE * factor) for one in images)


def counts(images: Sequence[Cells], classes: int) -> NDArray[np.int64]:
    """(C,) cells of each class."""
    return sum((np.bincount(one.labels, minlength=classes) for one in images), np.zeros(classes, np.int64))


def per_window(images: Sequence[Cells], factor: float) -> float:
    """Cells on the area of a WINDOW × WINDOW px region at 20×; ``factor`` px of the file are one at 20×."""
    area = sum(one.size[0] * one.size[1] for one in images) / factor**2
    return sum(len(one.labels) for one in images) * WINDOW**2 / area if area else math.nan


def windows(images: Sequence[Cells], factor: float, region: int, stride: int) -> int:
    """Number of windows of a region that lie inside the images at 20×."""
    number = 0
    for one in images:
        along = [(round(side / factor) - region) // stride + 1 for side in one.size]
        number += max(along[0], 0) * max(along[1], 0)
    return number


def shares(counted: NDArray[np.int64]) -> NDArray[np.float64]:
    """(C,) share of each class among the cells; 0 if there are no cells."""
    return counted / max(int(counted.sum()), 1)
