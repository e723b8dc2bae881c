"""How cells of one class lie among cells of another: real against generated layouts, pooled, 0 is best.

TopoFD looks at one class at a time and hardly notices permuted classes; these metrics do. They compare sets of
layouts, not layouts row by row. Both sides should have windows of the same size, because neighbours outside a window
are invisible.

A pair or class that the real layouts do not contain is NaN and left out of the mean. A pair or class that only the
generated layouts lack makes the mean NaN too, so that a generator gains nothing by leaving a class out.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import wasserstein_distance

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.protocol import Column, Comparison, Scores, against_tests
from cellscaper.metrics.ripley import apart, k_rings, l_functions, pair_correlations
from cellscaper.run.settings import Settings as Block

RADII = (15, 30, 45, 60, 75, 90)  # px: MCSpatNet's
G_LIMIT, G_WIDTH = 60, 4  # px
SHORT_LIMIT, SHORT_WIDTH = 30, 2  # px


COLUMNS = {
    "cross_k": Column("cross-K, px"),
    "cross_k_test": Column("cross-K, px, test windows"),
    "pair_correlation": Column("pair correlation"),
    "pair_correlation_short": Column("pair correlation, r ≤ 30 px"),
    "nn_distance": Column("nearest neighbour, px"),
    "nn_mixing": Column("neighbour mixing"),
}


class Settings(Block):
    """Nothing to choose."""


def score(comparison: Comparison, settings: Settings) -> Scores:
    """All cross-class scores; cross-K also against the test windows."""
    found = cross_class(comparison.distribution, comparison.made)
    again = against_tests(comparison, "cross_k", 1, found["cross_k"], lambda real: cross_class(real, comparison.made))
    return found | again


def cross_class(real: LayoutSet, generated: LayoutSet) -> dict[str, dict[str, float]]:
    """All metrics: ``{metric: {class, "a-b" or "any": value, …, "mean": value}}``.

    cross_k           px: mean over the radii 15, 30, …, 90 px of |L_real - L_gen|, L = √(K/π), for each class pair
    pair_correlation  mean over 0…60 px (rings of 4 px) of |g_real - g_gen|, for each class pair
    pair_correlation_short  the same over 0…30 px in rings of 2 px: cores of nuclei and their neighbours
    nn_distance       px: Wasserstein-1 distance between distances to the nearest cell of the same class, for each
                      class; "any": from all cells to cells of any class, not included in the mean
    nn_mixing         0…1: total variation between the classes of nearest neighbours, for each class

    Radii beyond half the shortest side of a layout are left out. Pairs are unordered ("a-a", "a-b", …): with the
    translation correction both orders are equal. Raises CellscaperError if the classes differ, a side has no
    layouts, or the layouts are too small for any radius.
    """
    if real.classes != generated.classes:
        raise CellscaperError(
            f"cross-class metrics: classes {real.classes} against {generated.classes}; expected the same, in order"
        )
    for side, layouts in (("real", real), ("generated", generated)):
        if not len(layouts):
            raise CellscaperError(f"cross-class metrics: no {side} layouts; give at least one on each side")
    half = int(min(real.size.min(), generated.size.min())) // 2
    radii = np.array([r for r in RADII if r <= half])
    if not len(radii):
        raise CellscaperError(
            f"cross-class metrics: half the shortest side is {half} px, expected at least the first radius, "
            f"{RADII[0]} px; use larger layouts"
        )
    rings = [k_rings(side, int(max(radii[-1], min(G_LIMIT, half)))) for side in (real, generated)]
    k = [l_functions(one, radii) for one in rings]
    g = [pair_correlations(one, G_WIDTH, min(G_LIMIT, half))[1] for one in rings]
    short = [pair_correlations(one, SHORT_WIDTH, min(SHORT_LIMIT, half))[1] for one in rings]
    return {
        "cross_k": _by_pair(k[0], k[1], real.classes),
        "pair_correlation": _by_pair(g[0], g[1], real.classes),
        "pair_correlation_short": _by_pair(short[0], short[1], real.classes),
        **_neighbours(real, generated),
    }


def _by_pair(real: NDArray, generated: NDArray, classes: tuple[str, ...]) -> dict[str, float]:
    """Mean absolute difference of curves (C, C, R) for each unordered pair of classes, and its mean."""
    names, rows = [], []
    for i, first in enumerate(classes):
        for j in range(i, len(classes)):
            names.append(f"{first}-{classes[j]}")
            rows.append((real[i, j], generated[i, j]))
    values = {name: float(np.abs(a - b).mean()) for name, (a, b) in zip(names, rows, strict=True)}
    return _with_mean(values, [not np.isnan(a).any() for a, _ in rows])


def _with_mean(values: dict[str, float], in_real: list[bool]) -> dict[str, float]:
    counted = [value for value, defined in zip(values.values(), in_real, strict=True) if defined]
    return {**values, "mean": sum(counted) / len(counted) if counted else math.nan}


def _neighbours(real: LayoutSet, generated: LayoutSet) -> dict[str, dict[str, float]]:
    own = [[own_distances(side, label) for label in range(real.n_classes)] for side in (real, generated)]
    distance = dict(zip(real.classes, map(_wasserstein, *own), strict=True))
    any_real, any_generated = (nearest_neighbours(side)[0] for side in (real, generated))
    pooled = _wasserstein(*(d[np.isfinite(d)] for d in (any_real, any_generated)))
    rows = [mixing(side) for side in (real, generated)]
    variation = np.abs(rows[0] - rows[1]).sum(axis=1) / 2
    mixed = {name: float(value) for name, value in zip(real.classes, variation, strict=True)}
    return {
        "nn_distance": {**_with_mean(distance, [len(d) > 0 for d in own[0]]), "any": pooled},
        "nn_mixing": _with_mean(mixed, [not np.isnan(row).any() for row in rows[0]]),
    }


def _wasserstein(one: NDArray, two: NDArray) -> float:
    return float(wasserstein_distance(one, two)) if len(one) and len(two) else math.nan


def nearest_neighbours(layouts: LayoutSet) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each cell the distance (ΣN,) px to the nearest other cell of its layout, and that cell's number (ΣN,).

    inf and -1 for a cell alone in its layout.
    """
    return _nearest(layouts.points, layouts.index, layouts.size)


def own_distances(layouts: LayoutSet, label: int) -> NDArray[np.float64]:
    """Distances (M,) px of the cells of a class to the nearest other cell of that class, if the layout has one."""
    keep = layouts.labels == label
    distance = _nearest(layouts.points[keep], layouts.index[keep], layouts.size)[0]
    return distance[np.isfinite(distance)]


def _nearest(points: NDArray, index: NDArray, size: NDArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    n = len(points)
    if n < 2:
        return np.full(n, np.inf), np.full(n, -1)
    reach = float(np.hypot(*size.max(axis=0).tolist()))  # no two cells of a layout are farther apart
    tree = cKDTree(apart(points, index, 2 * reach + 1))
    distance, cell = tree.query(tree.data, k=2, distance_upper_bound=reach)
    second = cell[:, 0] == np.arange(n)  # cells at the same place may come before the cell itself
    nearest = np.where(second, cell[:, 1], cell[:, 0])
    return np.where(second, distance[:, 1], distance[:, 0]), np.where(nearest == n, -1, nearest)


def mixing(layouts: LayoutSet) -> NDArray[np.float64]:
    """(C, C): row i holds the shares of the classes among the nearest neighbours of class i; NaN without neighbours."""
    nearest = nearest_neighbours(layouts)[1]
    has = nearest >= 0
    pair = layouts.labels[has].astype(np.int64) * layouts.n_classes + layouts.labels[nearest[has]]
    found = np.bincount(pair, minlength=layouts.n_classes**2).reshape(layouts.n_classes, -1).astype(np.float64)
    total = found.sum(axis=1, keepdims=True)
    return np.where(total > 0, found / np.maximum(total, 1), np.nan)
