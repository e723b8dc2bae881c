"""Topology losses by way of the cells: diagrams from their places, and gradients that move, raise or fade them.

The holes of the distance to the nearest cell are the holes between discs growing around the cells. So diagrams come
from the alpha complex of the cells' places (:mod:`cellscaper.topology.alpha`), without a distance map. A cell counts as
a point here, so births and deaths are about a pixel above those of the distance to its marker. The gradient has three
parts:

moving    births and deaths are exact functions of two and three places, and places are functions of pixels
          (:mod:`cellscaper.topology.cells`). The chain rule shifts cells: pixels in front rise, pixels behind fall.
raising   cells of the target rise where the prediction lacks them, with ``missing``
fading    predicted cells fade where they block a hole or are too many

A raised or faded cell takes a share of a hole's cost (:mod:`cellscaper.topology.shares`), and its pixels equal parts of
that share.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from cellscaper.topology.alpha import AlphaHoles, alpha_pairs_of_all, circumcentres
from cellscaper.topology.cells import CellHoles, Cells, find_cells
from cellscaper.topology.matching import assign, rotated
from cellscaper.topology.settings import Gradient, Topology
from cellscaper.topology.shares import shares
from cellscaper.topology.transport import Backend
from cellscaper.views.pixels import pixels_of

SPARE, MORE = 0.5, 32  # most cells of a prediction: (1 + SPARE) times the cells of the target, plus MORE
BORDER = 64  # places on each side of the map at which its largest distance is searched


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
        scale, void = float(holes.diagram[widest, 1]), circumcentres(points[holes.triangle[widest]][None])[0][0]
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
    costs, residual, each = _match_all(found, goals, rows, columns, settings.missing, settings.matching)
    fade, rise = np.zeros(len(cells.points)), []
    for i, (one, goal) in enumerate(zip(found, goals, strict=True)):
        own = slice(cells.first[i], cells.first[i + 1])
        rise.append(np.zeros(len(goal.points)))
        parts = residual[rows[i]], each[columns[i]], float(costs[i])
        for fades, rises in shares(one, goal, cells.mass[own], *parts, settings).values():
            fade[own] += fades
            rise[-1] += rises
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
    found: list[CellHoles],
    goals: list[CellHoles],
    rows: list[slice],
    columns: list[slice],
    missing: bool,
    matching: Backend,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Costs (M,) of the layers; errors (K, 2) of their births and deaths; costs (N,) of the goals' holes.

    Holes come layer after layer, in ``rows`` and ``columns``. A hole of a goal costs the squared distance to its match,
    or to the diagonal if nothing matches it; the layer's cost has the latter only with ``missing``.
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
        costs[i] = (residual[a] ** 2).sum() + (each[b].sum() if missing else 0)
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
    centre, weight = circumcentres(corner)
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
    place = pixels_of(points[rows], (height, width))[:, None] + steps
    inside = ((place >= 0) & (place < [height, width])).all(axis=2)
    pixel = (layer[rows, None] * height + place[..., 0]) * width + place[..., 1]
    return pixel[inside], np.repeat(slope[rows, None] / len(steps), len(steps), axis=1)[inside]
