"""Topology losses by way of the cells: diagrams from their places, and gradients that move, raise or fade them.

The holes of the distance to the nearest cell are the holes between discs growing around the cells. So diagrams come
from the alpha complex of the cells' places (:mod:`cellscaper.topology.alpha`), without a distance map. A cell counts as
a point here, so births and deaths are about a pixel above those of the distance to its marker. The gradient has three
parts:

moving    births and deaths are exact functions of two and three places, and places are functions of pixels
          (:mod:`cellscaper.topology.cells`). The chain rule shifts cells: pixels in front rise, pixels behind fall.
raising   a hole of the target without a match has no exact derivative, and a match more than ``FAR`` away would move
          cells a long way. With ``missing``, the gradient then also acts where the clean layout has that hole: cells
          of the hole that the prediction lacks rise, and predicted cells inside the hole fade.
fading    if the prediction has more cells than the target, its surplus cells (those with the smallest map sums) fade
          where they make a hole begin or end too early.

Raising and fading share the cost of a hole equally among the cells that have to change, and a cell's share
among its pixels, as if the cost fell in proportion.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellscaper.topology.alpha import AlphaHoles, alpha_pairs_of_all
from cellscaper.topology.cells import TIES, Cells, find_cells
from cellscaper.topology.matching import assign, rotated
from cellscaper.topology.settings import Gradient, Topology
from cellscaper.topology.transport import Backend

NEAR = 1.0  # pixels: a predicted cell nearer than this to a cell of the target counts as that cell
FAR = 1 / 3  # markers: matched holes further apart in the diagram have the gradient of missing holes as well
BLOT = 4  # markers: a larger component counts as lying inside every hole
SPARE, MORE = 0.5, 32  # most cells of a prediction: (1 + SPARE) times the cells of the target, plus MORE
BORDER = 64  # places on each side of the map at which its largest distance is searched


@dataclass(frozen=True)
class CellHoles:
    """Cells (n, 2) of a layer, pixels, and their holes, pixels; losses compare the diagrams divided by ``scale``.

    If the scale is the largest distance on the map, ``void`` (2,) is the place with that distance to any cell.
    """

    points: NDArray[np.float64]
    holes: AlphaHoles
    scale: float = 1.0
    void: NDArray[np.float64] | None = None

    @property
    def diagram(self) -> NDArray[np.float64]:
        return self.holes.diagram / self.scale


def diagrams(maps: NDArray[np.float32], settings: Topology, intra: bool, inter: bool) -> list[list[CellHoles]]:
    """Holes of each sample of maps (B, C, H, W): of its classes (``intra``), then of their maximum (``inter``)."""
    _, found = _cell_holes(maps, settings, intra, inter)
    layers = intra * maps.shape[1] + inter
    return [found[i * layers : (i + 1) * layers] for i in range(len(maps))]


def _cell_holes(
    maps: NDArray[np.float32],
    settings: Topology,
    intra: bool,
    inter: bool,
    limit: NDArray[np.int64] | None = None,
) -> tuple[Cells, list[CellHoles]]:
    cells = find_cells(maps, settings.threshold, settings.marker == 1, intra, inter, limit)
    sets = [cells.points[a:b] for a, b in itertools.pairwise(cells.first.tolist())]
    found = alpha_pairs_of_all(sets)
    if settings.normalise == "none":
        return cells, [CellHoles(points, holes) for points, holes in zip(sets, found, strict=True)]
    border = _border(*maps.shape[2:])
    return cells, [
        CellHoles(points, holes, *_largest(points, holes, border)) for points, holes in zip(sets, found, strict=True)
    ]


def _border(height: int, width: int) -> NDArray[np.float64]:
    y, x = np.linspace(0, height - 1, BORDER), np.linspace(0, width - 1, BORDER)
    sides = [
        (y, np.zeros(BORDER)),
        (y, np.full(BORDER, width - 1)),
        (np.zeros(BORDER), x),
        (np.full(BORDER, height - 1), x),
    ]
    return np.concatenate([np.stack(side, axis=1) for side in sides])


def _largest(
    points: NDArray[np.float64], holes: AlphaHoles, border: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64] | None]:
    """Largest distance to the nearest cell on the map and its place, on the border or in a hole; (1, None) if empty."""
    if not len(points):
        return 1.0, None
    square = ((border**2).sum(axis=1)[:, None] - 2 * border @ points.T + (points**2).sum(axis=1)).min(axis=1)
    place = int(square.argmax())
    scale, void = float(np.sqrt(max(square[place], 1.0))), border[place]
    if len(holes) and holes.diagram[:, 1].max() > scale:
        widest = holes.diagram[:, 1].argmax()
        scale, void = float(holes.diagram[widest, 1]), _circles(points[holes.triangle[widest]][None])[0][0]
    return scale, void


def compare(
    maps: NDArray[np.float32], wanted: list[list[CellHoles]], settings: Topology, intra: bool, inter: bool
) -> tuple[NDArray[np.float64], Gradient]:
    """Costs (B, L) of the layers of maps (B, C, H, W) against their targets, B lists of L, and their gradient."""
    height, width = maps.shape[2:]
    goals = [one for sample in wanted for one in sample]
    limit = np.array([int((1 + SPARE) * len(goal.points)) + MORE for goal in goals])
    cells, found = _cell_holes(maps, settings, intra, inter, limit)
    number, wanted_number = ([len(one.holes) for one in side] for side in (found, goals))
    rows, columns = _ends(number), _ends(wanted_number)
    costs, residual, each = _match_all(found, goals, rows, columns, settings.matching)
    fade, rise = np.zeros(len(cells.points)), []
    for i, (one, goal) in enumerate(zip(found, goals, strict=True)):
        own = slice(cells.first[i], cells.first[i + 1])
        if len(one.points) > len(goal.points):
            fade[own] = _too_many(one.holes, residual[rows[i]], cells.mass[own], len(goal.points))
        rises = np.zeros(len(goal.points))
        if settings.missing:
            cost = each[columns[i]]
            chosen = (cost > (FAR * settings.marker / one.scale) ** 2).nonzero()[0]
            if len(chosen):
                blot = cells.mass[own] > BLOT * settings.marker**2
                blocked, rises = _missing(goal, chosen, cost[chosen], one.points, blot)
                fade[own] += blocked
            fade[own] += _void(one, goal, rises)
        rise.append(rises)
    scale = np.repeat([one.scale for one in found], number)
    slopes = residual * (2 / scale)[:, None]
    move = _moves(cells, [one.holes for one in found], slopes)
    slope = move[cells.cell, 0] * cells.offset[:, 0] + move[cells.cell, 1] * cells.offset[:, 1]
    slope += cells.own * fade[cells.cell]
    pixel, raised = _markers(np.concatenate(rise), goals, settings.marker, height, width)
    pixel = np.concatenate([cells.pixel, pixel])
    slope = np.concatenate([slope / cells.mass[cells.cell], -raised])
    return costs.reshape(len(maps), -1), _to_channels(maps, pixel, slope, intra, inter)


def _ends(sizes: list[int]) -> list[slice]:
    """Slices of consecutive parts of the given sizes."""
    ends = [0, *itertools.accumulate(sizes)]
    return [slice(a, b) for a, b in itertools.pairwise(ends)]


def _match_all(
    found: list[CellHoles], goals: list[CellHoles], rows: list[slice], columns: list[slice], matching: Backend
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Costs (M,) of the layers; errors (K, 2) of their births and deaths; costs (N,) of the goals' holes.

    Holes come layer after layer, in ``rows`` and ``columns``. A hole of a goal costs the squared distance to its match,
    or to the diagonal if nothing matches it.
    """
    mine, theirs = (np.concatenate([one.diagram for one in side]) for side in (found, goals))
    (u, v), (u_goal, v_goal) = rotated(mine), rotated(theirs)
    half = (mine[:, 1] - mine[:, 0]) / 2
    residual, each = np.stack([-half, half], axis=1), u_goal**2  # to the diagonal
    costs = np.zeros(len(found))
    for i, (a, b) in enumerate(zip(rows, columns, strict=True)):
        row, column = assign((v[a, None] - v_goal[b]) ** 2 - (2 * u[a, None]) * u_goal[b], matching).T
        row, column = row + a.start, column + b.start
        each[column] = 0
        residual[row] = mine[row] - theirs[column]
        costs[i] = (residual[a] ** 2).sum() + each[b].sum()
        each[column] = (residual[row] ** 2).sum(axis=1)
    return costs, residual, each


def _to_channels(
    maps: NDArray[np.float32], pixel: NDArray[np.int64], slope: NDArray[np.float64], intra: bool, inter: bool
) -> Gradient:
    """Gradient of the layers → of the channels: the largest channels at a pixel share the gradient of the maximum."""
    classes, size = maps.shape[1], maps[0, 0].size
    pixel, slope = pixel[slope != 0], slope[slope != 0]
    term = pixel // size
    sample = term // (intra * classes + inter)
    place, layer = pixel - term * size, term - sample * (intra * classes + inter)
    joint = layer == intra * classes
    single = ~joint
    base = (sample * (classes * size) + place)[joint]
    values = maps.reshape(-1)[base + np.arange(classes)[:, None] * size]
    largest = values == values.max(axis=0, initial=-np.inf)
    channel, row = np.nonzero(largest)
    where = (sample * classes + layer) * size + place
    return (
        np.concatenate([where[single], base[row] + channel * size]),
        np.concatenate([slope[single], (slope[joint] / largest.sum(axis=0))[row]]),
        np.concatenate([term[single], term[joint][row]]),
    )


def _too_many(
    holes: AlphaHoles, residual: NDArray[np.float64], mass: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """(n,) costs of early births and deaths, shared by their points; 0 for the ``count`` cells of largest ``mass``."""
    share: NDArray[np.float64] = np.zeros(len(mass))
    early = np.minimum(residual, 0) ** 2
    share += np.bincount(holes.edge.ravel(), np.repeat(early[:, 0] / 2, 2), len(mass))
    share += np.bincount(holes.triangle.ravel(), np.repeat(early[:, 1] / 3, 3), len(mass))
    order = np.lexsort((np.resize(TIES, len(mass)), -mass))
    share[order[:count]] = 0
    return share


def _missing(
    goal: CellHoles,
    chosen: NDArray[np.int64],
    cost: NDArray[np.float64],
    points: NDArray[np.float64],
    blot: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of the ``cost`` (k,) of holes ``chosen``: predicted cells inside them (n,), missing target cells (m,)."""
    holes = goal.holes[chosen]
    needs = np.zeros((len(holes), len(goal.points)), bool)
    rows = np.arange(len(holes))[:, None]
    needs[rows, holes.edge] = needs[rows, holes.triangle] = True
    stands = _square(goal.points, points) < NEAR**2  # (m, n)
    lacks = needs & ~stands.any(axis=1)
    centre, _ = _circles(goal.points[holes.triangle])
    inside = _square(centre, points) < np.maximum(holes.diagram[:, 1:] - NEAR, 0) ** 2  # (k, n)
    inside &= needs.astype(np.float32) @ stands.astype(np.float32) == 0
    inside |= blot
    share = cost / np.maximum(lacks.sum(axis=1) + inside.sum(axis=1), 1)
    return share @ inside, share @ lacks


def _void(found: CellHoles, goal: CellHoles, rise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cost of the goal's holes from the scale alone: shares (n,) of the predicted cells in the goal's void.

    If the prediction's void is larger, the cost goes to ``rise`` instead, of the goal's cell nearest to that void.
    """
    fade = np.zeros(len(found.points))
    if found.void is None or goal.void is None:
        return fade
    cost = float((goal.holes.diagram**2).sum()) * (1 / found.scale - 1 / goal.scale) ** 2
    if found.scale > goal.scale + NEAR:
        rise[_square(found.void[None], goal.points).argmin()] += cost
    elif goal.scale > found.scale + NEAR:
        inside = _square(goal.void[None], found.points)[0] < (goal.scale - NEAR) ** 2
        fade[inside] = cost / max(int(inside.sum()), 1)
    return fade


def _square(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances of all points of ``first`` (k, 2) to all points of ``second`` (n, 2): (k, n)."""
    y, x = np.subtract.outer(first[:, 0], second[:, 0]), np.subtract.outer(first[:, 1], second[:, 1])
    y *= y
    x *= x
    y += x
    return y


def _circles(triangle: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Circumcentres (k, 2) of triangles (k, 3, 2), and their barycentric coordinates (k, 3)."""
    side = ((triangle[:, [2, 0, 1]] - triangle[:, [1, 2, 0]]) ** 2).sum(axis=2)
    weight = side * (side.sum(axis=1, keepdims=True) - 2 * side)
    weight /= weight.sum(axis=1, keepdims=True)
    return (weight[:, :, None] * triangle).sum(axis=1), weight


def _moves(cells: Cells, holes: list[AlphaHoles], slope: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) derivative by the places of the cells, from the derivative by births and deaths.

    A birth is half the length of an edge. A death is a circumradius, whose derivative by a corner p is λ (p − o) / R
    with the circumcentre o = Σ λ p.
    """
    edge = np.concatenate([one.edge + k for one, k in zip(holes, cells.first, strict=False)])
    triangle = np.concatenate([one.triangle + k for one, k in zip(holes, cells.first, strict=False)])
    diagram = np.concatenate([one.diagram for one in holes])
    way = cells.points[edge[:, 0]] - cells.points[edge[:, 1]]
    way *= (slope[:, 0] / (4 * diagram[:, 0]))[:, None]
    corner = cells.points[triangle]
    centre, weight = _circles(corner)
    out = (corner - centre[:, None]) * (weight * (slope[:, 1] / diagram[:, 1])[:, None])[:, :, None]
    index = np.concatenate([edge[:, 0], edge[:, 1], triangle.ravel()])
    parts = np.concatenate([way, -way, out.reshape(-1, 2)])
    return np.stack([np.bincount(index, parts[:, k], len(cells.points)) for k in range(2)], axis=1)


def _markers(
    slope: NDArray[np.float64], goals: list[CellHoles], marker: int, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Flat pixels of the layers, and slopes: the slope of each cell of the targets, spread over its marker."""
    points = np.concatenate([goal.points for goal in goals])
    layer = np.repeat(np.arange(len(goals)), [len(goal.points) for goal in goals])
    rows = np.flatnonzero(slope)
    steps = np.indices((marker, marker)).reshape(2, -1).T - marker // 2
    place = np.rint(points[rows]).astype(np.int64)[:, None] + steps
    inside = ((place >= 0) & (place < [height, width])).all(axis=2)
    pixel = (layer[rows, None] * height + place[..., 0]) * width + place[..., 1]
    return pixel[inside], np.repeat(slope[rows, None] / len(steps), len(steps), axis=1)[inside]
