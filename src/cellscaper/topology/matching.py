"""Optimal matching of two persistence diagrams, and the Wasserstein distances that it gives.

A point may stay unmatched, at the cost of its distance to the diagonal. With u = (death - birth) / √2, the distance
to the diagonal, and v = (birth + death) / √2, the place along it, the cost of a matched pair minus the cost of the two
points unmatched is

    |p - q|² - u² - u'² = (v - v')² - 2 u u'.

It is negative if the match saves cost. So the full problem over points and copies of the diagonal is an assignment over
the points alone with the cost min(0, saving): pairs that save nothing are unmatched. Points without a saving partner
are left out beforehand.

Backends: ``own`` is scipy's assignment of this reduced problem. ``pot`` and ``pot_sinkhorn`` take the full problem to
the package POT (:mod:`cellscaper.topology.transport`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from cellscaper.errors import CellscaperError
from cellscaper.topology.transport import Backend, lowest_cost, plan

ENTROPY = 3e-5  # of the largest saving: the regularisation of pot_sinkhorn
REG = 0.05  # px: the same for Wasserstein-1 distances


@dataclass(frozen=True)
class Matching:
    """Matched pairs (row of the first diagram, row of the second), (k, 2) int64; all other points go to the diagonal.

    ``cost`` is the squared Wasserstein-2 distance, including the cost of unmatched points.
    """

    pairs: NDArray[np.int64]
    cost: float


def rotated(diagram: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance u to the diagonal and place v along it, (n,) each, of the points of ``diagram`` (n, 2)."""
    diagram = np.asarray(diagram, np.float64).reshape(-1, 2)
    if not np.isfinite(diagram).all():
        raise CellscaperError(
            f"matching: a diagram of {len(diagram)} points holds NaN or infinity; expected finite births and deaths"
        )
    birth, death = diagram.T
    return (death - birth) / np.sqrt(2), (death + birth) / np.sqrt(2)


def match(first: NDArray, second: NDArray, backend: Backend = "own") -> Matching:
    """Optimal Wasserstein-2 matching of two diagrams (n, 2) and (m, 2), Euclidean ground distance."""
    (u1, v1), (u2, v2) = rotated(first), rotated(second)
    saving = (v1[:, None] - v2) ** 2 - (2 * u1)[:, None] * u2
    pairs = assign(saving, backend)
    cost = u1 @ u1 + u2 @ u2 + saving[pairs[:, 0], pairs[:, 1]].sum()
    return Matching(pairs, max(float(cost), 0.0))


def wasserstein1(first: NDArray, second: NDArray, backend: Backend = "own", reg: float = REG) -> float:
    """Wasserstein-1 distance of two diagrams, Euclidean ground distance, in the diagrams' unit.

    Backend pot_sinkhorn: the cost of the plan with entropy times ``reg``, in the diagrams' unit. It is never below the
    distance, and on diagrams of cells at most ``reg`` / 2 above it for each point of both (docs/methods.md, 11).
    """
    (u1, v1), (u2, v2) = rotated(first), rotated(second)
    saving = np.hypot(u1[:, None] - u2, v1[:, None] - v2) - u1[:, None] - u2
    if backend == "own":
        pairs = assign(saving)
        least = float(saving[pairs[:, 0], pairs[:, 1]].sum())
    else:
        least = lowest_cost(saving, reg if backend == "pot_sinkhorn" else 0.0)
    return max(float(u1.sum() + u2.sum()) + least, 0.0)


def assign(saving: NDArray, backend: Backend = "own") -> NDArray[np.int64]:
    """Pairs (k, 2) of rows and columns of ``saving`` (n, m), each used once at most, with the smallest sum.

    Only pairs with a negative entry are taken. The exact plan of backend ``pot`` moves whole points. That of
    ``pot_sinkhorn`` spreads them over several; the pairs are those that hold most of it, and their sum may be above the
    smallest.
    """
    if backend == "own":
        return _assign(saving)
    if not (saving < 0).any():
        return np.zeros((0, 2), np.int64)
    if backend == "pot":
        pairs = np.argwhere(plan(saving)[:-1, :-1] > 0.5)
    else:
        spread = plan(saving, -ENTROPY * float(saving.min()))[:-1, :-1]
        pairs = np.stack(linear_sum_assignment(spread, maximize=True), axis=1)
    return pairs[saving[pairs[:, 0], pairs[:, 1]] < 0]


def _assign(saving: NDArray) -> NDArray[np.int64]:
    negative = saving < 0
    rows, columns = np.nonzero(negative.any(axis=1))[0], np.nonzero(negative.any(axis=0))[0]
    if not len(rows):
        return np.zeros((0, 2), np.int64)
    reduced = np.minimum(saving[rows[:, None], columns], 0)
    row, column = linear_sum_assignment(reduced)
    kept = reduced[row, column] < 0
    return np.stack([rows[row[kept]], columns[column[kept]]], axis=1).astype(np.int64)
