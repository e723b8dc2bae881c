"""Cross K-functions around single cells: the targets of MCSpatNet's fourth head (ICCV 2021, section 3.2).

For a cell at x and a class j the function counts the cells of class j within r px of x, with Ripley's isotropic
edge correction: a pair at distance d weighs 1 / (the share of the circle of radius d around x that lies inside
the image) (Ripley 1977). The expected count is then that of a window without borders. The reference calls
R's spatstat (``Kcross`` with the cell as its own class, divided by area / n_j); here all pairs come from one KD-tree.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

LARGEST_WEIGHT = 100.0  # as in spatstat: a circle that is almost all outside the window must not dominate the sum


def edge_weights(points: NDArray, distance: NDArray, size: tuple[int, int]) -> NDArray[np.float64]:
    """2π over the angle of the circle of radius ``distance`` (N,) around each point (N, 2) inside [0, h] × [0, w].

    The arc beyond a side at distance e < d is 2·acos(e/d). If a corner lies inside the circle, the arcs of its two
    sides overlap by acos(e₁/d) + acos(e₂/d) − π/2. At most LARGEST_WEIGHT; 1 for distance 0.
    """
    points, distance = np.asarray(points, np.float64).reshape(-1, 2), np.asarray(distance, np.float64)
    sides = np.concatenate([points, np.array(size, np.float64) - points], axis=1)  # up, left, down, right
    radius = np.where(distance > 0, distance, 1.0)[:, None]
    half = np.arccos(np.clip(sides / radius, 0, 1))  # half of the arc beyond each side
    corners = [half[:, a] + half[:, b] - np.pi / 2 for a, b in ((0, 1), (1, 2), (2, 3), (3, 0))]
    outside = 2 * half.sum(axis=1) - np.maximum(np.stack(corners, axis=1), 0).sum(axis=1)
    inside = np.where(distance > 0, 2 * np.pi - outside, 2 * np.pi)
    return 2 * np.pi / np.maximum(inside, 2 * np.pi / LARGEST_WEIGHT)


def cross_k(
    points: NDArray, labels: NDArray, classes: int, size: tuple[int, int], radii: Sequence[float]
) -> NDArray[np.float64]:
    """Edge-corrected number of cells of each class within each radius of each cell: (N, classes, R).

    points (N, 2) px inside ``size``, labels (N,), radii rising. A cell counts itself, with weight 1, in its own class,
    as in the reference: at radius 0 its own class has 1 (more if cells share a place) and the others 0.
    """
    points, labels = np.asarray(points, np.float64).reshape(-1, 2), np.asarray(labels, np.int64)
    edges = np.asarray(radii, np.float64)
    found = np.zeros((len(points), classes, len(edges)))
    if not len(points):
        return found
    pairs = cKDTree(points).query_pairs(float(edges[-1]) * (1 + 1e-9), output_type="ndarray")
    own = np.arange(len(points))
    centre, other = (np.concatenate([pairs[:, a], pairs[:, 1 - a], own]) for a in (0, 1))
    distance = np.hypot(*(points[centre] - points[other]).T)
    ring = np.searchsorted(edges, distance)  # the first radius that holds the pair
    keep = ring < len(edges)
    centre, other, distance, ring = centre[keep], other[keep], distance[keep], ring[keep]
    np.add.at(found, (centre, labels[other], ring), edge_weights(points[centre], distance, size))
    return found.cumsum(axis=2)
