"""Cross-K and pair-correlation functions of sets of layouts, from one count of all near pairs.

Translation correction (Ohser 1983): a pair at displacement h weighs |W| / |W ∩ (W + h)|. It is unbiased for a
homogeneous process in a rectangle and uses every pair; border correction at 90 px would keep 9 % of the cells of
a 256 px patch. It also makes K symmetric, K_ij = K_ji. Each layout has its own intensities, so that K and g do not
depend on the counts: cells placed independently and uniformly have K(r) = πr² and g(r) = 1 for any counts.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cellscaper.layouts import LayoutSet

_BLOCK = 20_000  # cells searched at once, a bound on memory


def k_rings(layouts: LayoutSet, limit: int) -> NDArray[np.float64]:
    """Increment of the cross-K functions in each 1 px ring: (C, C, limit), in px².

    Entry [i, j, r] is K_ij(r + 1) - K_ij(r), pooled over the layouts: the weighted number of ordered pairs of
    different cells, one of class i and one of class j, at a distance in (r, r + 1] (ring 0: [0, 1]), divided by the
    sum over layouts of n_i n_j / area (n_i (n_i - 1) / area for i = j). NaN where no layout holds such a pair.
    ``limit`` must be below the shortest side of the layouts: no pair is seen at greater displacements.
    """
    classes = layouts.n_classes
    found = np.zeros(classes * classes * limit)
    for one, two, distance, weight in _pairs(layouts, limit):
        ring = np.maximum(np.ceil(distance).astype(np.int64) - 1, 0)
        a, b = layouts.labels[one].astype(np.int64), layouts.labels[two].astype(np.int64)
        for i, j in ((a, b), (b, a)):
            found += np.bincount((i * classes + j) * limit + ring, weight, minlength=len(found))
    counts, area = layouts.counts(), layouts.size.prod(axis=1, dtype=np.float64)
    pairs = counts[:, :, None] * (counts[:, None, :] - np.eye(classes, dtype=np.int64))  # (L, C, C)
    possible = (pairs / area[:, None, None]).sum(axis=0)[:, :, None]
    return np.where(possible > 0, found.reshape(classes, classes, limit) / np.where(possible > 0, possible, 1), np.nan)


def _pairs(layouts: LayoutSet, limit: int) -> Iterator[tuple[NDArray, NDArray, NDArray, NDArray]]:
    """Unordered pairs of cells of the same layout, at most ``limit`` px apart, in blocks.

    A block has the indices of both cells, the distance in px, and the weight |W| / |W ∩ (W + h)|.
    """
    size = layouts.size.astype(np.float64)
    points = layouts.points.astype(np.float64)
    block = layouts.offsets[1:] // _BLOCK
    for rows in np.split(np.arange(len(layouts)), np.flatnonzero(np.diff(block)) + 1):
        if not len(rows):
            continue
        begin, end = layouts.offsets[rows[0]], layouts.offsets[rows[-1] + 1]
        index = layouts.index[begin:end]
        tree = cKDTree(apart(points[begin:end], index - rows[0], float(size[rows].max()) + limit + 1))
        one, two = tree.query_pairs(limit, output_type="ndarray").T + begin
        shift = np.abs(points[one] - points[two])
        side = size[index[one - begin]]
        yield one, two, np.hypot(*shift.T), (side / (side - shift)).prod(axis=1)


def apart(points: NDArray, index: NDArray, gap: float) -> NDArray[np.float64]:
    """Points (N, 2), with layout number i (``index``) moved down by i gaps, so that one tree can hold all layouts."""
    moved = points.astype(np.float64)
    moved[:, 0] += index * gap
    return moved


def k_functions(rings: NDArray, radii: NDArray) -> NDArray[np.float64]:
    """K_ij at whole radii (R,) px ≤ limit: (C, C, R) px², from the rings (C, C, limit)."""
    cumulated = np.concatenate([np.zeros((*rings.shape[:2], 1)), rings.cumsum(axis=2)], axis=2)
    return np.where(np.isnan(rings[:, :, :1]), np.nan, cumulated[:, :, np.asarray(radii, np.int64)])


def l_functions(rings: NDArray, radii: NDArray) -> NDArray[np.float64]:
    """Besag's L_ij = √(K_ij/π) at whole radii (R,): (C, C, R) px; r for independent uniform cells."""
    return np.sqrt(k_functions(rings, radii) / np.pi)


def pair_correlations(rings: NDArray, width: int, limit: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean pair correlation g_ij in rings of ``width`` px: their middle radii (B,) px and values (C, C, B).

    g = ΔK / (area of the ring), unbiased without a kernel; 1 for independent uniform cells. B = limit // width.
    """
    edges = np.arange(0, limit + 1, width)
    area = np.pi * np.diff(edges.astype(np.float64) ** 2)
    return (edges[:-1] + edges[1:]) / 2, np.diff(k_functions(rings, edges), axis=2) / area
