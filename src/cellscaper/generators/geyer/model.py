"""The multi-type Geyer saturation process with a hard core: what a layout's density is (Geyer 1999).

Density of a layout, up to a constant: exp(Σ θ[p, k] s[p, k]) if no two cells are nearer than the hard core, else 0.
The statistic of classes a, b (pair p) and annulus k is

    s[p, k] = Σ over cells i of a: min(c_k, t_i) + Σ over cells j of b: min(c_k, t_j)   (one sum if a = b)

where t_i is the number of cells of the other class (of the own one if a = b) in the annulus around i, and c_k is the
saturation. A Strauss process has none: its attraction would put all cells in one clump, so it can have no nests.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cellscaper.layouts import Layout

PAIRS = 1_000_000  # of a place and a cell, at once


@dataclass(frozen=True)
class Shape:
    """Classes, and annuli of the interaction.

    core        px: hard core; radii: outer radii of the K annuli, px, rising, the first annulus begins at the core
    saturation  (K,): most neighbours that count in an annulus
    """

    classes: int
    core: float
    radii: tuple[int, ...]
    saturation: tuple[int, ...]

    @property
    def annuli(self) -> int:
        return len(self.radii)

    @property
    def pairs(self) -> int:
        return self.classes * (self.classes + 1) // 2

    @cached_property
    def pair(self) -> NDArray[np.int64]:
        """(C, C): number of the unordered pair of two classes."""
        upper = np.triu_indices(self.classes)
        table = np.zeros((self.classes, self.classes), np.int64)
        table[upper] = table.T[upper] = np.arange(len(upper[0]))
        return table

    @cached_property
    def limits(self) -> NDArray[np.int64]:
        """(K + 1,): the saturations, and 0 for the place K, where cells beyond the last annulus are counted."""
        return np.array([*self.saturation, 0], np.int64)

    def annulus(self, squared: NDArray) -> NDArray[np.int64]:
        """The annulus (0 … K - 1) of each squared distance, px²; K beyond the last. Inside the core it is 0."""
        return self._annulus_of[np.minimum(np.sqrt(squared), self.radii[-1]).astype(np.int64)]

    @cached_property
    def _annulus_of(self) -> NDArray[np.int64]:
        """The annulus of each whole distance 0 … the last radius."""
        return np.searchsorted(self.radii, np.arange(self.radii[-1] + 1), side="right")


def squared_distances(one: NDArray, two: NDArray, size: tuple[int, int] | None) -> NDArray[np.float64]:
    """(M, N) px² between places (M, 2) and (N, 2); on the torus of ``size`` where one is given."""
    shift = np.abs(one.astype(np.float64)[:, None] - two.astype(np.float64))
    if size is not None:
        shift = np.minimum(shift, np.array(size, np.float64) - shift)
    return (shift**2).sum(axis=2)


def count_neighbours(shape: Shape, labels: NDArray, annulus: NDArray) -> NDArray[np.int64]:
    """(M, C, K + 1): cells of each class in each annulus, from labels (N,) or (M, N) and annuli (M, N)."""
    places, slots = len(annulus), shape.annuli + 1
    key = (np.arange(places)[:, None] * shape.classes + labels) * slots + annulus
    return np.bincount(key.ravel(), minlength=places * shape.classes * slots).reshape(places, shape.classes, slots)


def neighbours(
    shape: Shape, points: NDArray, labels: NDArray, size: tuple[int, int] | None = None
) -> NDArray[np.int64]:
    """(N, C, K + 1): cells of each class in each annulus of each cell (N, 2), without itself; on a torus if given."""
    found = [np.zeros((0, shape.classes, shape.annuli + 1), np.int64)]
    for part in _parts(len(points), len(points)):
        annulus = shape.annulus(squared_distances(points[part], points, size))
        annulus[np.arange(len(annulus)), np.arange(len(points))[part]] = shape.annuli
        found.append(count_neighbours(shape, labels, annulus))
    return np.concatenate(found)


def _parts(places: int, cells: int) -> list[slice]:
    """The places in parts of at most PAIRS pairs, a bound on memory."""
    step = max(1, PAIRS // max(cells, 1))
    return [slice(start, start + step) for start in range(0, places, step)]


def statistics(shape: Shape, layout: Layout, torus: bool) -> NDArray[np.int64]:
    """The statistics s (P, K) of a layout; on the torus, or in a window that sees no cells outside."""
    around = neighbours(shape, layout.points, layout.labels, layout.size if torus else None)
    counted = np.minimum(around, shape.limits)[..., :-1]
    found = np.zeros((shape.pairs, shape.annuli), np.int64)
    for label in range(shape.classes):
        np.add.at(found, shape.pair[label], counted[layout.labels == label].sum(axis=0))
    return found


def added(
    shape: Shape,
    points: NDArray,
    labels: NDArray,
    at: NDArray,
    label: int,
    around: NDArray,
    taken: NDArray | None = None,
) -> NDArray[np.float64]:
    """(M, P, K): what a cell of class ``label`` at each place ``at`` (M, 2) adds to the statistics of the cells (N, 2).

    around (N, C, K + 1): the neighbours of the cells. taken (M,): the number of the cell that each place is (it is
    there already, and counts as taken away), or None for places without one. No torus.
    """
    found = [np.zeros((0, shape.pairs, shape.annuli))]
    for part in _parts(len(at), len(points)):
        annulus = shape.annulus(squared_distances(at[part], points, None))
        if taken is not None:
            annulus[np.arange(len(annulus)), taken[part]] = shape.annuli
        found.append(_added(shape, labels, label, around, annulus, int(taken is not None)))
    return np.concatenate(found)


def _added(
    shape: Shape, labels: NDArray, label: int, around: NDArray, annulus: NDArray, itself: int
) -> NDArray[np.float64]:
    """As `added`, from the annuli (M, N); ``itself``: 1 if each place is a cell that its neighbours count already."""
    own = np.minimum(count_neighbours(shape, labels, annulus), shape.limits)
    found = np.zeros((len(annulus), shape.pairs, shape.annuli + 1))
    found[:, shape.pair[label]] = own
    gains = around[np.arange(len(labels)), label, annulus] - itself < shape.limits[annulus]  # (M, N)
    key = np.arange(len(annulus))[:, None] * shape.pairs + shape.pair[label, labels]
    key = key * (shape.annuli + 1) + annulus
    more = np.bincount(key.ravel(), gains.ravel(), minlength=found.size)
    return (found + more.reshape(found.shape))[..., :-1]
