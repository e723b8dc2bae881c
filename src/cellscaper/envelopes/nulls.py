"""Null models: layouts with the counts of given cells, in the same regions, one for each seed.

csr        every cell independent and uniform in the region
labels     the positions stay; the classes are permuted among the cells of a layout
hard_core  uniform cells at least a distance apart, placed one after another (random sequential addition)
learned    the bundled point diffusion: the model that `cellscaper generate` uses

Every layout has exactly the counts of each class. Models with fitted parameters are composite: the data have been seen
by the fit, so p is not exact (see `ABOUT`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cellscaper.envelopes.region import Region
from cellscaper.errors import CellscaperError
from cellscaper.run.seeds import sample_seeds

NULLS = ("csr", "labels", "hard_core", "learned")
USE = 7  # of a run seed: null models
TRIES = 1000  # positions refused for each cell placed, before the region counts as full
ABOUT = {
    "csr": "cells independent and uniform in the region, with the counts of the data. Nothing is fitted: p is exact.",
    "labels": "the positions of the data, their classes permuted among the cells of each layout. Nothing is fitted: p "
    "is exact.",
    "hard_core": "uniform cells at least {distance:.3g} px apart, placed one by one, with the counts of the data.",
    "learned": "the bundled point diffusion (trained on BRCA-M2C, breast) with the counts of the data, cells at least "
    "{distance:.3g} px apart. Composite: its weights were fitted to training images; if the cells are from these, p "
    "tends to be too large.",
}
FITTED = " Composite: the distance is the smallest in the data, so p is not exact and tends to be too large."
GIVEN = " The distance was given, nothing is fitted: p is exact."


@dataclass(frozen=True, eq=False)
class Cells:
    """One layout: points (N, 2) float32, labels (N,) below the number of classes, and the region that holds them."""

    points: NDArray[np.float32]
    labels: NDArray[np.uint8]
    region: Region


Simulated = list[tuple[NDArray, NDArray]]  # points and labels of each layout


def simulate(null: str, data: Sequence[Cells], n: int, seed: int, distance: float) -> Iterator[Simulated]:
    """n times all layouts, by one of ``csr``, ``labels``, ``hard_core``; number k depends on ``seed`` and k alone.

    ``distance`` px is that of ``hard_core``. CellscaperError if the cells do not fit.
    """
    for own in sample_seeds(seed, n, USE):
        found: Simulated = []
        for number, one in enumerate(data):
            rng = np.random.default_rng([own, NULLS.index(null), number])
            if null == "labels":
                found.append((one.points, rng.permutation(one.labels)))
            elif null == "csr":
                found.append((one.region.uniform(len(one.points), rng), one.labels))
            else:
                found.append((apart(one.region, len(one.points), distance, rng), rng.permutation(one.labels)))
        yield found


def apart(region: Region, n: int, distance: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """n positions (n, 2), one by one uniform in the region among those ``distance`` px or more from all before.

    CellscaperError if TRIES · n positions are refused: the region is full.
    """
    placed, tried = np.zeros((0, 2), np.float32), 0
    while len(placed) < n:
        if tried > TRIES * n:
            raise CellscaperError(
                f"hard_core: only {len(placed)} of {n} cells find room {distance:.3g} px apart in {region.area:.0f} "
                "px²; give a smaller --min-distance"
            )
        new = region.uniform(max(64, 2 * (n - len(placed))), rng)
        tried += len(new)
        if len(placed):
            new = new[cKDTree(placed).query(new)[0] >= distance]
        new = new[_first_come(new, distance)]
        placed = np.concatenate([placed, new[: n - len(placed)]])
    return placed


def _first_come(points: NDArray, distance: float) -> NDArray[np.bool_]:
    """Which positions stay if each in turn is refused that is nearer than ``distance`` to one that stays."""
    stays = np.ones(len(points), bool)
    if distance <= 0 or len(points) < 2:
        return stays
    pairs = cKDTree(points).query_pairs(distance, output_type="ndarray")
    gap = points[pairs[:, 0]].astype(np.float64) - points[pairs[:, 1]]
    pairs = np.sort(pairs[np.hypot(*gap.T) < distance], axis=1)
    for earlier, later in pairs[np.lexsort(pairs.T)].tolist():  # by the later one: all before it are decided
        if stays[earlier]:
            stays[later] = False
    return stays


def smallest_distance(data: Sequence[Cells]) -> float:
    """px between the two nearest cells of any layout; inf where no layout has two."""
    ways = [cKDTree(one.points).query(one.points, k=2)[0][:, 1].min() for one in data if len(one.points) > 1]
    return float(min(ways, default=np.inf))
