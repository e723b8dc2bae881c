"""The functions that a reconstruction meets, as numbers of pairs and of cells.

Multi-type K and pair correlation: the weighted numbers of pairs of two classes in rings of distance. The weight is the
translation correction of `metrics.ripley` (Ohser 1983), so that the rings, divided by what uniform cells would have,
are the metric's own pair correlations. Nearest-neighbour functions D: the numbers of cells of a class whose nearest
cell of another (the same, any) class is within a distance, without a correction: both windows have one size.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform

from cellscaper.layouts import Layout

FINE, FINE_WIDTH, COARSE_WIDTH = 30, 2, 4  # px: rings are fine up to FINE


@dataclass(frozen=True)
class Bins:
    """The distances at which functions of C classes are met.

    edges    (R + 1,) px: edges of the rings of pairs; bin R holds all beyond
    reaches  (Q,) px: distances of the nearest-neighbour functions; bin Q holds all beyond
    pair     (C, C): number of the unordered pair of two classes; there are C (C + 1) / 2
    """

    classes: int
    edges: NDArray[np.int64]
    reaches: NDArray[np.int64]

    @classmethod
    def up_to(cls, classes: int, pairs: int, nearest: int) -> "Bins":
        """Pairs up to ``pairs`` px, neighbours up to ``nearest`` px."""
        fine = np.arange(0, min(FINE, pairs), FINE_WIDTH)
        edges = np.append(fine, np.arange(fine[-1] + FINE_WIDTH, pairs + COARSE_WIDTH, COARSE_WIDTH).clip(max=pairs))
        return cls(classes, np.unique(edges), np.arange(FINE_WIDTH, nearest + 1, FINE_WIDTH))

    @cached_property
    def pair(self) -> NDArray[np.int64]:
        upper = np.triu_indices(self.classes)
        table = np.zeros((self.classes, self.classes), np.int64)
        table[upper] = table.T[upper] = np.arange(len(upper[0]))
        return table

    @property
    def pairs(self) -> int:
        return self.classes * (self.classes + 1) // 2

    @property
    def rings(self) -> int:
        return len(self.edges) - 1

    def ring(self, distance: NDArray) -> NDArray[np.int64]:
        """The ring of each distance."""
        return self._ring_of[_whole(distance, self.edges[-1])]

    def reach(self, distance: NDArray) -> NDArray[np.int64]:
        """The number of the smallest of ``reaches`` above each distance."""
        return self._reach_of[_whole(distance, self.reaches[-1])]

    @cached_property
    def _ring_of(self) -> NDArray[np.int64]:
        return _bin_table(self.edges[1:])

    @cached_property
    def _reach_of(self) -> NDArray[np.int64]:
        return _bin_table(self.reaches)


def _bin_table(uppers: NDArray) -> NDArray[np.int64]:
    """The bin of each whole distance 0 … the last upper edge."""
    return np.searchsorted(uppers, np.arange(int(uppers[-1]) + 1), side="right")


def _whole(distance: NDArray, limit: int) -> NDArray[np.int64]:
    return np.minimum(distance, limit).astype(np.int64)


@dataclass(frozen=True)
class Functions:
    """Functions of one layout or of a stack (leading axes …).

    pairs    (…, P, R + 1): weighted numbers of pairs in rings
    nearest  (…, C, C + 1, Q + 1): numbers of cells of a class (first axis) whose nearest cell of a class (second axis;
             the last is any) is in a bin
    """

    pairs: NDArray[np.float64]
    nearest: NDArray[np.float64]

    @property
    def values(self) -> NDArray[np.float64]:
        """(…, M): pairs in each ring, pairs up to its edge, and cells with a neighbour within each reach."""
        rings, lead = self.pairs[..., :-1], self.pairs.shape[:-2]
        parts = (rings, rings.cumsum(axis=-1), self.nearest[..., :-1].cumsum(axis=-1))
        return np.concatenate([one.reshape(*lead, -1) for one in parts], axis=-1)


def functions(layout: Layout, bins: Bins) -> Functions:
    """The functions of a layout, from scratch."""
    points, labels, classes = layout.points.astype(np.float64), layout.labels.astype(np.int64), bins.classes
    one, two = np.triu_indices(len(points), 1)
    shift, side = np.abs(points[one] - points[two]), np.array(layout.size, np.float64)
    distance = pdist(points) if len(points) > 1 else np.zeros(0)
    ring = bins.ring(distance)
    seen = ring < bins.rings  # beyond, the correction may have no finite weight
    weight = np.zeros(len(ring))
    weight[seen] = (side / (side - shift[seen])).prod(axis=1)
    key = bins.pair[labels[one], labels[two]] * (bins.rings + 1) + ring
    found = np.bincount(key, weight, minlength=bins.pairs * (bins.rings + 1)).reshape(bins.pairs, -1)
    near = nearest_distances(squareform(distance), labels, classes) if len(points) else np.zeros((0, classes + 1))
    last = len(bins.reaches) + 1
    key = (labels[:, None] * (classes + 1) + np.arange(classes + 1)) * last + bins.reach(near)
    cells = np.bincount(key.ravel(), minlength=classes * (classes + 1) * last)
    return Functions(found.astype(np.float64), cells.reshape(classes, classes + 1, last).astype(np.float64))


def nearest_distances(distance: NDArray, labels: NDArray, classes: int) -> NDArray[np.float64]:
    """(N, C + 1) px from each cell to its nearest other one of each class and of any; inf if there is none.

    distance (N, N) px, labels (N,).
    """
    apart = distance + np.diag(np.full(len(distance), np.inf))
    own = [apart[:, labels == label].min(axis=1, initial=np.inf) for label in range(classes)]
    return np.column_stack([*own, apart.min(axis=1, initial=np.inf)])


def possible(counts: NDArray) -> NDArray[np.float64]:
    """(…, P) unordered pairs of different cells for each pair of classes, from counts (…, C)."""
    one, two = np.triu_indices(counts.shape[-1])
    same = one == two
    return np.where(same, counts[..., one] * (counts[..., one] - 1) / 2, counts[..., one] * counts[..., two])
