"""Gradients that raise and fade cells: a hole's cost is shared among the cells that have to change.

A step that raises or fades a cell has no exact derivative, so each such cell takes a share of a cost, as if the cost
fell in proportion. No share exceeds the cost that it belongs to, nor all shares of one kind the cost of the layer.

too_many  if the prediction has more cells than the target, its surplus cells (those with the smallest map sums) fade
          where they make a hole begin or end too early
missing   a hole of the target without a match has no exact derivative, and a match more than ``FAR`` away would move
          cells a long way: cells of the hole that the prediction lacks rise, and predicted cells inside the hole fade
void      a wrong largest distance moves every hole of a normalised diagram: cells in the target's largest void fade, or
          the target's cell nearest to the prediction's void rises
"""

import numpy as np
from numpy.typing import NDArray

from cellscaper.topology.alpha import AlphaHoles, circumcentres
from cellscaper.topology.cells import TIES, CellHoles
from cellscaper.topology.matching import rotated
from cellscaper.topology.settings import Topology

NEAR = 1.0  # pixels: a predicted cell nearer than this to a cell of the target counts as that cell
FAR = 1 / 3  # markers: matched holes further apart in the diagram have the gradient of missing holes as well
BLOT = 4  # markers: a larger component counts as lying inside every hole

# costs shared by the predicted cells that fade (n,), and by the target's cells that rise (m,)
Share = tuple[NDArray[np.float64], NDArray[np.float64]]


def shares(
    found: CellHoles,
    goal: CellHoles,
    mass: NDArray[np.float64],
    residual: NDArray[np.float64],
    each: NDArray[np.float64],
    cost: float,
    settings: Topology,
) -> dict[str, Share]:
    """The shares of a layer by kind: n predicted cells ``found`` with map sums ``mass`` (n,), m cells of the ``goal``.

    residual (k, 2): errors of the prediction's births and deaths; each (l,): costs of the goal's holes; cost: of the
    layer.
    """
    kinds = {}
    if len(found.points) > len(goal.points):
        fade = _too_many(found.holes, residual, mass, len(goal.points))
        kinds["too_many"] = fade, np.zeros(len(goal.points))
    if settings.missing:
        scale = found.scale if len(found.points) else goal.scale  # an empty layer has no distance to divide by
        chosen = (each > (FAR * settings.marker / scale) ** 2).nonzero()[0]
        if len(chosen):
            blot = mass > BLOT * settings.marker**2
            kinds["missing"] = _missing(goal, chosen, each[chosen], found.points, blot)
        if found.void is not None and goal.void is not None:
            kinds["void"] = _void(found, found.void, goal, goal.void, cost)
    return kinds


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
) -> Share:
    """Shares of the ``cost`` (k,) of holes ``chosen``: predicted cells inside them (n,), missing target cells (m,)."""
    holes = goal.holes[chosen]
    needs = np.zeros((len(holes), len(goal.points)), bool)
    rows = np.arange(len(holes))[:, None]
    needs[rows, holes.edge] = needs[rows, holes.triangle] = True
    stands = _square(goal.points, points) < NEAR**2  # (m, n)
    lacks = needs & ~stands.any(axis=1)
    centre, _ = circumcentres(goal.points[holes.triangle])
    inside = _square(centre, points) < np.maximum(holes.diagram[:, 1:] - NEAR, 0) ** 2  # (k, n)
    inside &= needs.astype(np.float32) @ stands.astype(np.float32) == 0
    inside |= blot
    share = cost / np.maximum(lacks.sum(axis=1) + inside.sum(axis=1), 1)
    return share @ inside, share @ lacks


def _void(
    found: CellHoles, void: NDArray[np.float64], goal: CellHoles, goal_void: NDArray[np.float64], cost: float
) -> Share:
    """Cost of the goal's holes from the scale alone, shared by the predicted cells in the goal's void.

    If the prediction's void is larger, the goal's cell nearest to that void takes it. Each hole takes part with the
    squared way that the wrong scale moves it in the diagram, at most its squared distance to the diagonal; all of them
    with the ``cost`` of the layer at most.
    """
    fade, rise = np.zeros(len(found.points)), np.zeros(len(goal.points))
    way = (goal.holes.diagram**2).sum(axis=1) * (1 / found.scale - 1 / goal.scale) ** 2
    part = min(float(np.minimum(way, rotated(goal.diagram)[0] ** 2).sum()), cost)
    if found.scale > goal.scale + NEAR:
        rise[_square(void[None], goal.points).argmin()] = part
    elif goal.scale > found.scale + NEAR:
        inside = _square(goal_void[None], found.points)[0] < (goal.scale - NEAR) ** 2
        fade[inside] = part / max(int(inside.sum()), 1)
    return fade, rise


def _square(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances of all points of ``first`` (k, 2) to all points of ``second`` (n, 2): (k, n)."""
    y, x = np.subtract.outer(first[:, 0], second[:, 0]), np.subtract.outer(first[:, 1], second[:, 1])
    y *= y
    x *= x
    y += x
    return y
