"""Statistics of labelled cells in regions of any shape, as functions of the distance: cross-K, g, neighbours, mixing.

cross-K   L(r) - r with Besag's L = √(K/π): cells of one class around those of another, all up to r; 0 for independent
          uniform cells. Translation correction by the region (Ohser 1983): a pair h apart weighs |W| / |W ∩ (W + h)|.
pair correlation  g(r), the same in rings around r; 1 for independent uniform cells
neighbours  D(r), the share of the cells of a class whose nearest cell of another class is within r. A cell nearer to
          the border than to that neighbour is censored there (Kaplan-Meier; Baddeley and Gill 1997).
mixing    the shares of the classes among the nearest neighbours of a class; cells nearer to the border are left out

Several layouts are pooled: pairs are added before they are divided. A function that the counts leave undefined (cross-K
of a class with a single cell) does not exist for these counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cellscaper.envelopes.region import Region

Floats = NDArray[np.float64]
STATISTICS = ("cross-K", "pair correlation", "neighbours", "mixing")
RINGS = 30  # at most: 3 px each for 90 px


@dataclass(frozen=True)
class Radii:
    """``n`` rings of ``width`` px; cross-K and neighbours are taken at their outer ends."""

    n: int
    width: int

    @classmethod
    def up_to(cls, limit: int) -> "Radii":
        """Rings of whole px up to ``limit`` px, at most RINGS."""
        width = max(1, -(-limit // RINGS))
        return cls(limit // width, width)

    @property
    def ends(self) -> Floats:
        return np.arange(1, self.n + 1, dtype=np.float64) * self.width

    @property
    def middles(self) -> Floats:
        return np.asarray(self.ends - self.width / 2)


@dataclass(frozen=True)
class Function:
    """One function: a statistic of class ``first`` and class ``second`` (mixing: of ``first`` and all, -1)."""

    statistic: str
    first: int
    second: int


def functions(counts: NDArray[np.int64]) -> list[Function]:
    """The functions that layouts with these counts (L, C) have, statistic by statistic."""
    pairs = _possible(counts, np.ones(len(counts)))
    classes = range(counts.shape[1])
    both = [(i, j) for i in classes for j in classes if pairs[i, j] > 0]
    once = [(i, j) for i, j in both if i <= j]
    found = [Function(name, i, j) for name in STATISTICS[:2] for i, j in once]
    found += [Function(STATISTICS[2], i, j) for i, j in both]
    if (counts.sum(axis=0) > 0).sum() > 1:
        found += [Function(STATISTICS[3], i, -1) for i in dict.fromkeys(i for i, _ in both)]
    return found


def _possible(counts: NDArray[np.int64], area: Floats) -> Floats:
    """(C, C) ordered pairs of different cells per px², summed over the layouts."""
    pairs = counts[:, :, None] * (counts[:, None, :] - np.eye(counts.shape[1], dtype=np.int64))
    return np.asarray((pairs / area[:, None, None]).sum(axis=0))


class Geometry:
    """What does not depend on the classes: the positions (N, 2) of one layout, its near pairs and neighbours.

    Positions are sorted, ``order`` (N,) is their place in ``points``: a file sorted by class must not decide which of
    two equally near cells is the neighbour.
    """

    def __init__(self, points: NDArray, region: Region, radii: Radii):
        self.order = np.lexsort(np.asarray(points, np.float64).T[::-1])
        self.points = np.asarray(points, np.float64)[self.order]
        self.region = region
        self.border = region.to_border(self.points)
        tree = cKDTree(self.points)
        self.one, self.two = tree.query_pairs(float(radii.ends[-1]), output_type="ndarray").T
        shift = self.points[self.two] - self.points[self.one]
        self.weight = 1 / region.overlap(shift)
        self.ring = np.maximum(np.ceil(np.hypot(*shift.T) / radii.width).astype(np.int64) - 1, 0)
        self.nearest, self.way = _neighbour(tree)


def _neighbour(tree: cKDTree) -> tuple[NDArray[np.int64], Floats]:
    """The nearest other cell of each cell (N,) and the way to it (N,) px; -1 and inf for a cell alone."""
    if tree.n < 2:
        return np.full(tree.n, -1), np.full(tree.n, np.inf)
    way, cell = tree.query(tree.data, k=2)
    second = cell[:, 0] == np.arange(tree.n)  # cells at the same place may come before the cell itself
    return np.where(second, cell[:, 1], cell[:, 0]), np.where(second, way[:, 1], way[:, 0])


def measure(
    layouts: Sequence[Geometry], labels: Sequence[NDArray], wanted: Sequence[Function], radii: Radii, classes: int
) -> list[Floats]:
    """The values of each wanted function for layouts whose cells have ``labels`` (N,): (R,), for mixing (C,)."""
    labels = [label[one.order] for one, label in zip(layouts, labels, strict=True)]
    counts = np.stack([np.bincount(one, minlength=classes) for one in labels])
    rings = _rings(layouts, labels, radii, counts)
    k = rings.cumsum(axis=2)
    area = np.pi * np.diff(np.concatenate([[0.0], radii.ends]) ** 2)
    mixed = _mixing(layouts, labels, classes)
    values = []
    for one in wanted:
        i, j = one.first, one.second
        if one.statistic == "cross-K":
            values.append(np.sqrt(k[i, j] / np.pi) - radii.ends)
        elif one.statistic == "pair correlation":
            values.append(rings[i, j] / area)
        elif one.statistic == "neighbours":
            values.append(_neighbours(layouts, labels, i, j, radii))
        else:
            values.append(mixed[i])
    return values


def _rings(layouts: Sequence[Geometry], labels: Sequence[NDArray], radii: Radii, counts: NDArray[np.int64]) -> Floats:
    """The increment of K in each ring: (C, C, R) px²; 0 for pairs of classes that cannot be."""
    classes = counts.shape[1]
    found = np.zeros(classes * classes * radii.n)
    for one, label in zip(layouts, labels, strict=True):
        a, b = label[one.one].astype(np.int64), label[one.two].astype(np.int64)
        for i, j in ((a, b), (b, a)):
            found += np.bincount((i * classes + j) * radii.n + one.ring, one.weight, minlength=len(found))
    possible = _possible(counts, np.array([one.region.area for one in layouts]))[:, :, None]
    return found.reshape(classes, classes, radii.n) / np.where(possible > 0, possible, 1)


def _neighbours(layouts: Sequence[Geometry], labels: Sequence[NDArray], i: int, j: int, radii: Radii) -> Floats:
    """D_ij at the ends of the rings (R,): 1 - the product-limit estimate of the cells without a neighbour."""
    ways, borders = [], []
    for one, label in zip(layouts, labels, strict=True):
        here, there = one.points[label == i], one.points[label == j]
        if len(here) and len(there) > (i == j):
            way = cKDTree(there).query(here, k=[2 if i == j else 1])[0][:, 0]
            ways.append(way)
            borders.append(one.border[label == i])
    way, border = np.concatenate(ways), np.concatenate(borders)
    seen = way <= border
    at = np.minimum(way, border)
    order = np.lexsort([~seen, at])  # at equal distance, censored cells come last
    left = np.cumprod(1 - seen[order] / np.arange(len(at), 0, -1))
    return 1 - np.concatenate([[1.0], left])[np.searchsorted(at[order], radii.ends, side="right")]


def _mixing(layouts: Sequence[Geometry], labels: Sequence[NDArray], classes: int) -> Floats:
    """(C, C) the shares of the classes among the nearest neighbours of each class; NaN for a class without any."""
    found = np.zeros(classes * classes)
    for one, label in zip(layouts, labels, strict=True):
        seen = (one.nearest >= 0) & (one.way <= one.border)
        pair = label[seen].astype(np.int64) * classes + label[one.nearest[seen]]
        found += np.bincount(pair, minlength=len(found))
    rows = found.reshape(classes, classes)
    total = rows.sum(axis=1, keepdims=True)
    return np.where(total > 0, rows / np.maximum(total, 1), np.nan)
