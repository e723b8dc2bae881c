"""1-dimensional persistence of discs growing around points, with the points that give each birth and death.

The persistence of the alpha complex (Edelsbrunner & Mücke 1994) without building it. By duality a hole of the union of
discs is a component of the free area between the discs. When the radius falls from large values, the component begins
at the circumcentre of an acute Delaunay triangle, and joins an older component through the middle of an edge. So:

1. An obtuse triangle's circumcentre lies beyond its longest edge. The triangle passes to the neighbour there, and so
   on until an acute triangle or the outside (the flow of Edelsbrunner 2003). Acute triangles are the maxima.
2. Every other edge is the diameter of an empty disc (Gabriel edge). It joins two maxima, or a maximum and the outside,
   at half its length. There the younger component, with the smaller circumradius, ends (elder rule): the edge gives the
   birth of the hole, the triangle its death.

Birth and death therefore depend on two and on three points only, smoothly until another edge or triangle takes their
place. Only scipy's Delaunay triangulation (Qhull) is used.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import Delaunay, QhullError
from torch import Tensor

from cellscaper.errors import CellscaperError
from cellscaper.topology.matching import match

ROUNDING = 1e-9  # relative to a squared length: smaller holes, and angles this near to 90°, are rounding errors


@dataclass(frozen=True)
class AlphaHoles:
    """1-dimensional pairs of a point set.

    edge (k, 2), triangle (k, 3): points of birth and death, int64; diagram (k, 2): birth < death, disc radii in px.
    """

    edge: NDArray[np.int64]
    triangle: NDArray[np.int64]
    diagram: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.edge)

    def __getitem__(self, rows: NDArray) -> "AlphaHoles":
        return AlphaHoles(self.edge[rows], self.triangle[rows], self.diagram[rows])


def alpha_pairs(points: NDArray) -> AlphaHoles:
    """Holes of the discs growing around ``points`` (N, 2) px; :func:`alpha_pairs_of_all` for one set."""
    return alpha_pairs_of_all([points])[0]


def alpha_pairs_of_all(sets: Sequence[NDArray]) -> list[AlphaHoles]:
    """Holes of the discs growing around the points (N, 2) px of each set, indices counted within the set.

    Of points that coincide, the result names only one. Fewer than three different points, or points on one line, have
    no hole. CellscaperError for NaN or infinity.
    """
    points = [np.asarray(one, np.float64).reshape(-1, 2) for one in sets]
    joint = np.concatenate([*points, np.zeros((0, 2))])
    if not np.isfinite(joint).all():
        raise CellscaperError(f"alpha_pairs: {len(joint)} points hold NaN or infinity; expected coordinates in px")
    meshes = [_delaunay(one) for one in points]
    sizes, faces = [len(one) for one in points], [len(mesh[0]) for mesh in meshes]
    first, start = [0, *itertools.accumulate(sizes)], [0, *itertools.accumulate(faces)]
    corners = np.empty((start[-1], 3), np.int64)
    beyond = np.empty((start[-1], 3), np.int64)
    for i, (triangles, neighbours) in enumerate(meshes):
        rows = slice(start[i], start[i + 1])
        np.add(triangles, first[i], out=corners[rows])
        np.add(neighbours, start[i], out=beyond[rows])
        beyond[rows][neighbours < 0] = start[-1] + i  # the outside of set i
    edge, triangle, diagram = _pairs(joint, corners, beyond, len(sets))
    cuts = np.searchsorted(edge[:, 0], first).tolist()  # pairs are in the order of the sets
    return [
        AlphaHoles(edge[a:b] - k, triangle[a:b] - k, diagram[a:b])
        for (a, b), k in zip(itertools.pairwise(cuts), first, strict=False)
    ]


def _delaunay(points: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """Triangles (F, 3) and, opposite to each corner, the neighbour or −1."""
    if len(points) >= 3:
        try:
            mesh = Delaunay(points)
            return mesh.simplices, mesh.neighbors
        except QhullError:  # points on one line or all at the same place
            pass
    return np.zeros((0, 3), np.int64), np.zeros((0, 3), np.int64)


def _pairs(
    points: NDArray[np.float64], corners: NDArray[np.int64], beyond: NDArray[np.int64], sets: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Edges (k, 2), triangles (k, 3) and diagram (k, 2) of all sets, in the order of the sets and their triangles."""
    corner = points[corners]  # (F, 3, 2)
    side = corner[:, [2, 0, 1]] - corner[:, [1, 2, 0]]  # (F, 3, 2), opposite to each corner
    square = (side**2).sum(axis=2)  # (F, 3)
    cosine = square.sum(axis=1, keepdims=True) - 2 * square  # negative: the angle at the corner is obtuse
    longest = square.argmax(axis=1)
    rows = np.arange(len(corners))
    obtuse = cosine[rows, longest] < -ROUNDING * square[rows, longest]
    area = side[:, 0, 0] * side[:, 1, 1] - side[:, 0, 1] * side[:, 1, 0]  # twice the triangle's
    value = np.full(len(corners) + sets, np.inf)  # squared circumradius
    acute = np.flatnonzero(~obtuse)
    value[acute] = square[acute].prod(axis=1) / (4 * area[acute] ** 2)

    node = np.arange(len(value))
    node[rows[obtuse]] = beyond[rows[obtuse], longest[obtuse]]
    while not np.array_equal(further := node[node], node):
        node = further

    f, k = np.nonzero(rows[:, None] < beyond)  # each edge once
    left, right = node[f], node[beyond[f, k]]
    joins = left != right
    f, k, left, right = f[joins], k[joins], left[joins], right[joins]
    maximum, taken = _elder(left, right, square[f, k] / 4, value)
    f, k = f[taken], k[taken]
    lasting = value[maximum] - square[f, k] / 4 > ROUNDING * value[maximum]
    maximum, f, k = maximum[lasting], f[lasting], k[lasting]
    order = np.argsort(maximum)
    maximum, f, k = maximum[order], f[order], k[order]
    edge = np.stack([corners[f, (k + 1) % 3], corners[f, (k + 2) % 3]], axis=1)
    return edge, corners[maximum], np.sqrt(np.stack([square[f, k] / 4, value[maximum]], axis=1))


def _elder(
    left: NDArray[np.int64], right: NDArray[np.int64], height: NDArray[np.float64], value: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Maxima that end, and the edge at which each ends.

    Edges join nodes ``left`` and ``right`` at ``height``; ``value`` is the nodes' age. In each round every component
    looks at its highest edge. No other component can reach it earlier, so it ends there if the one beyond is older.
    """
    order = np.argsort(height, kind="stable")
    left, right = left[order], right[order]
    rank = np.empty(len(value), np.int64)  # ages without ties
    rank[np.argsort(value, kind="stable")] = np.arange(len(value))
    ended, at = [], []
    while len(left):
        edge = np.full(len(value), -1)
        edge[np.stack([left, right], axis=1).ravel()] = np.repeat(np.arange(len(left)), 2)  # the last, highest, stays
        alive = np.flatnonzero(edge >= 0)
        best = edge[alive]
        other = np.where(left[best] == alive, right[best], left[best])
        ends = rank[other] > rank[alive]
        ended.append(alive[ends])
        at.append(order[best[ends]])
        into = np.arange(len(value))
        into[alive[ends]] = other[ends]
        while not np.array_equal(further := into[into], into):
            into = further
        left, right = into[left], into[right]
        apart = left != right
        left, right, order = left[apart], right[apart], order[apart]
    return np.concatenate([*ended, np.zeros(0, np.int64)]), np.concatenate([*at, np.zeros(0, np.int64)])


def births_and_deaths(points: Tensor, holes: AlphaHoles) -> Tensor:
    """(k, 2) births and deaths of ``holes`` as functions of the points (N, 2), differentiable.

    Half the length of an edge, and the circumradius a b c / (4 area) of a triangle. Values and gradient are exact as
    long as ``holes`` belong to the points.
    """
    edge = points[torch.from_numpy(holes.edge).to(points.device)]  # (k, 2, 2)
    triangle = points[torch.from_numpy(holes.triangle).to(points.device)]  # (k, 3, 2)
    side = triangle - triangle.roll(1, dims=1)
    area = side[:, 0, 0] * side[:, 1, 1] - side[:, 0, 1] * side[:, 1, 0]  # twice the triangle's
    birth = (edge[:, 0] - edge[:, 1]).norm(dim=1) / 2
    return torch.stack([birth, side.norm(dim=2).prod(dim=1) / (2 * area.abs())], dim=1)


def circumcentres(triangle: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Circumcentres (k, 2) of triangles (k, 3, 2), and their barycentric coordinates (k, 3)."""
    side = ((triangle[:, [2, 0, 1]] - triangle[:, [1, 2, 0]]) ** 2).sum(axis=2)
    weight = side * (side.sum(axis=1, keepdims=True) - 2 * side)
    weight /= weight.sum(axis=1, keepdims=True)
    return (weight[:, :, None] * triangle).sum(axis=1), weight


def alpha_losses(sets: Sequence[Tensor], targets: Sequence[NDArray]) -> Tensor:
    """(B,) squared Wasserstein-2 distances, px², of the diagrams of B point sets (N, 2) px to their targets (M, 2).

    The gradient in the coordinates is exact: matched births and deaths go to their targets, unmatched ones to the
    diagonal. An unmatched hole of a target costs its distance to the diagonal, without a gradient. A set without a hole
    has no gradient, and none acts on the number of points.
    """
    found = alpha_pairs_of_all([one.detach().cpu().double().numpy() for one in sets])
    losses = []
    for points, holes, target in zip(sets, found, targets, strict=True):
        target = np.asarray(target, np.float64).reshape(-1, 2)
        pairs = match(holes.diagram, target).pairs
        wished = np.repeat(holes.diagram.mean(axis=1, keepdims=True), 2, axis=1)
        wished[pairs[:, 0]] = target[pairs[:, 1]]
        lacking = np.delete(target, pairs[:, 1], axis=0)
        diagram = births_and_deaths(points, holes)
        middle = diagram.mean(dim=1, keepdim=True).expand(-1, 2)
        taken = torch.zeros(len(holes), 1, dtype=torch.bool, device=points.device)
        taken[torch.from_numpy(pairs[:, 0]).to(points.device)] = True
        goal = torch.where(taken, torch.from_numpy(wished).to(points), middle)
        losses.append(((diagram - goal) ** 2).sum() + float(((lacking[:, 1] - lacking[:, 0]) ** 2).sum() / 2))
    return torch.stack(losses)
