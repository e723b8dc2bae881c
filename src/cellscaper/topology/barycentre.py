"""Wasserstein-2 barycentre of persistence diagrams: the Fréchet mean of Turner et al. (2014), for thousands of them.

The barycentre minimises the mean squared Wasserstein-2 distance to N diagrams. Descent: match every diagram to the
barycentre, then move each of its points to the mean of its partners, the diagonal included. Let u be the distance to
the diagonal and v the place along it. A point with partners in n diagrams moves to (Σu / N, Σv / n), and lowers N times
the objective by

    gain = (Σu)² / N - Σ(v - v̄)²;

a point of negative gain is dropped. The objective is not convex and the descent adds no points, so the result depends
on the start. Two steps add points. *Insertion* is the running mean of the diagrams in random order: the i-th diagram
moves the mean by 1/i and adds its unmatched points, i times nearer to the diagonal. *Births* insert the points that are
unmatched in all diagrams once the descent has settled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.topology.matching import assign, rotated
from cellscaper.topology.transport import Backend

Points = tuple[NDArray[np.float64], NDArray[np.float64]]  # distances u to the diagonal, places v along it

_TRIAL = 3  # sweeps of each start before the best is chosen
_SWEEPS = 200  # bound on the sweeps of one descent; 10 to 20 are usual
_ROUNDS = 5  # bound on the rounds of births


@dataclass(frozen=True)
class Barycentre:
    """The barycentre and its quality.

    ``diagram`` (K, 2) in order of birth and then of death. ``objective``: mean squared Wasserstein-2 distance of
    the diagrams to it, in squared units. ``starts``: the objective of each start after the same few sweeps.
    """

    diagram: NDArray[np.float64]
    objective: float
    starts: dict[str, float]


@dataclass(frozen=True)
class _Sweep:
    """All diagrams matched to one barycentre: the objective, the new places of its points, and unmatched points."""

    objective: float
    moved: Points
    loose: list[Points]


def barycentre(
    diagrams: Sequence[NDArray],
    insertions: int = 12,
    seed: int = 0,
    initial: NDArray | None = None,
    prune: float = 0.02,
    tolerance: float = 1e-4,
    matching: Backend = "own",
) -> Barycentre:
    """Wasserstein-2 barycentre of N diagrams (K, 2), by descent from the best of several starts.

    The starts are ``insertions`` random orders of insertion, the largest diagram and the diagram of median size; or
    only ``initial`` if it is given. On 1550 diagrams of 60 points, different seeds with 3 insertions differed by 0.7 %
    in the objective and by 13 px² in the landscape (TopoFD cannot be more exact than this); with 12, by 0.1 % and 1 to
    3 px². ``prune``: inserted points nearer to the diagonal than this are dropped, in the diagrams' unit.
    ``tolerance``: relative decrease of the objective at which a descent, and the rounds of births, end. ``matching``:
    solver of the matchings (:func:`cellscaper.topology.matching.assign`). The result depends on ``seed`` and not on the
    order of the diagrams. Raises CellscaperError if there is no diagram.
    """
    if not diagrams:
        raise CellscaperError("barycentre: 0 diagrams; expected at least one")
    data = [rotated(one) for one in sorted(diagrams, key=lambda one: (len(one), np.asarray(one).tobytes()))]
    rng = np.random.default_rng(seed)
    if initial is not None:
        starts = {"initial": rotated(initial)}
    else:
        starts = {f"insertion {i}": _insert(data, rng, prune, matching) for i in range(insertions)}
        starts |= {"largest": data[-1], "median": data[len(data) // 2]}
    tried = {name: _descend(data, one, tolerance, _TRIAL, matching) for name, one in starts.items()}
    reached = {name: sweep.objective for name, (_, sweep) in tried.items()}
    points, sweep = _descend(data, tried[min(reached, key=reached.__getitem__)][0], tolerance, _SWEEPS, matching)
    for _ in range(_ROUNDS):
        more = _joined(points, _insert(sweep.loose, rng, prune, matching))
        more, after = _descend(data, more, tolerance, _SWEEPS, matching)
        gained = sweep.objective - after.objective
        if gained > 0:
            points, sweep = more, after
        if gained <= tolerance * sweep.objective:
            break
    return Barycentre(_diagram(points), sweep.objective, reached)


def _descend(
    data: list[Points], points: Points, tolerance: float, sweeps: int, matching: Backend
) -> tuple[Points, _Sweep]:
    """Points after at most ``sweeps`` moves, fewer once the objective settles, and the sweep over them."""
    sweep = _match_all(data, points, matching)
    for _ in range(sweeps):
        after = _match_all(data, sweep.moved, matching)
        settled = sweep.objective - after.objective <= tolerance * sweep.objective
        if after.objective <= sweep.objective:
            points, sweep = sweep.moved, after
        if settled:
            break
    return points, sweep


def _match_all(data: list[Points], points: Points, matching: Backend) -> _Sweep:
    u, v = points
    count, sum_u, sum_v, sum_vv = np.zeros((4, len(u)))
    objective, loose = len(data) * (u @ u), []
    for a, b in data:
        saving = (v[:, None] - b) ** 2 - (2 * u)[:, None] * a
        row, column = assign(saving, matching).T
        objective += a @ a + saving[row, column].sum()
        count[row] += 1
        sum_u[row] += a[column]
        sum_v[row] += b[column]
        sum_vv[row] += (b[column] - v[row]) ** 2
        free = np.ones(len(a), bool)
        free[column] = False
        loose.append((a[free], b[free]))
    n, kept = len(data), count > 0
    centre = sum_v[kept] / count[kept]
    spread = sum_vv[kept] - count[kept] * (centre - v[kept]) ** 2
    gain = sum_u[kept] ** 2 / n - spread
    return _Sweep(float(objective) / n, (sum_u[kept][gain > 0] / n, centre[gain > 0]), loose)


def _insert(data: list[Points], rng: np.random.Generator, prune: float, matching: Backend) -> Points:
    """Running mean of the diagrams in random order."""
    u, v = np.zeros(0), np.zeros(0)
    for seen, index in enumerate(rng.permutation(len(data))):
        a, b = data[index]
        row, column = assign((v[:, None] - b) ** 2 - (2 * u)[:, None] * a, matching).T
        weight = 1 / (seen + 1)
        u, v = u * (1 - weight), v.copy()
        u[row] += a[column] * weight
        v[row] += (b[column] - v[row]) * weight
        free = np.ones(len(a), bool)
        free[column] = False
        u, v = _joined((u, v), (a[free] * weight, b[free]))
        kept = u > prune
        u, v = u[kept], v[kept]
    return u, v


def _joined(first: Points, second: Points) -> Points:
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


def _diagram(points: Points) -> NDArray[np.float64]:
    u, v = points
    pairs = np.stack([v - u, v + u], axis=1) / np.sqrt(2)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
