"""Annealing: cells are moved one at a time until a layout has the functions that it must meet.

The energy is the squared difference of the functions' values, each divided by its variance among independent cells
(`Wanted`). A move changes the values by the pairs of the moved cell alone. Moves that raise the energy are accepted
with Metropolis' probability at a temperature that falls from HOT to COLD by the same factor each step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellscaper.generators.reconstruction.functions import Bins, Functions, functions, nearest_distances, possible
from cellscaper.generators.side_by_side import Stack, steps_of
from cellscaper.layouts import Layout

HOT, COLD = 1.0, 0.05  # in units of the energy
FAR_SHARE = 0.3  # of the moves go anywhere, the others within REACH
REACH = 16.0  # px along an axis


@dataclass(frozen=True)
class Wanted:
    """What one layout must meet: values (M,) in the order of `Functions.values`, and the weight (M,) of each squared
    difference; 0 where nothing is known."""

    values: NDArray[np.float64]
    weights: NDArray[np.float64]


def wanted(counts: NDArray, size: tuple[int, int], models: Sequence[Sequence[Layout | None]], bins: Bins) -> Wanted:
    """The functions of ``models`` for ``counts`` (C,) cells in a window of ``size`` px.

    models[i][j], j ≥ i, is the real layout whose functions classes i and j must have; models[i][C] is the one of class
    i and any. K, the pair correlation and D are kept; so the numbers of pairs and of cells are scaled to the counts.
    The weight of a value is one over its variance (plus 1) if cells were independent: the expected number of pairs, or
    n / 4 of n cells. Values of the classes without a model have no weight.
    """
    classes, area = bins.classes, float(size[0] * size[1])
    pairs, expected = np.zeros((bins.pairs, bins.rings + 1)), np.zeros((bins.pairs, bins.rings))
    nearest = np.zeros((classes, classes + 1, len(bins.reaches) + 1))
    spread = np.zeros((classes, classes + 1, len(bins.reaches)))
    rings = np.pi * np.diff(bins.edges.astype(np.float64) ** 2) / area
    found: dict[int, tuple[Functions, NDArray]] = {}
    for i in range(classes):
        for j in range(i, classes + 1):
            model = models[i][j]
            if model is None:
                continue
            if id(model) not in found:
                found[id(model)] = functions(model, bins), np.bincount(model.labels, minlength=classes)
            its, n = found[id(model)]
            if j < classes:
                p = int(bins.pair[i, j])
                share = model.size[0] * model.size[1] / area
                pairs[p] = its.pairs[p] * (possible(counts)[p] / possible(n)[p] * share)
                expected[p] = possible(counts)[p] * rings
            for one, two in {(i, j), (j, i)} if j < classes else {(i, j)}:
                nearest[one, two] = its.nearest[one, two] * (counts[one] / n[one])
                spread[one, two] = counts[one] / 4
    parts = (expected, expected.cumsum(axis=1), spread)
    variance = np.concatenate([one.ravel() for one in parts])
    weights = np.where(variance > 0, 1 / (variance + 1), 0)
    return Wanted(Functions(pairs, nearest).values, weights)


class Annealing:
    """A stack of layouts on their way to the functions that they must meet."""

    def __init__(self, stack: Stack, goals: Sequence[Wanted], bins: Bins) -> None:
        self.stack, self.bins = stack, bins
        self.values, self.weights = np.stack([g.values for g in goals]), np.stack([g.weights for g in goals])
        start = [functions(one, bins) for one in stack.layouts()]
        self.now = Functions(np.stack([one.pairs for one in start]), np.stack([one.nearest for one in start]))
        self.energy = self._energy(self.now)
        self.near = np.zeros((*stack.labels.shape, bins.classes + 1), np.float32)  # the padding keeps 0
        for row, n in enumerate(stack.n.tolist()):
            y, x = stack.points[:, row, :n]
            apart = np.sqrt((y - y[:, None]) ** 2 + (x - x[:, None]) ** 2)
            self.near[row, :n] = nearest_distances(apart, stack.labels[row, :n], bins.classes)
        self._row, self._pair = stack.row, bins.pair
        self._place = np.arange(self.near.size // (bins.classes + 1)).reshape(stack.labels.shape) * (bins.classes + 1)

    def run(self, rngs: Sequence[np.random.Generator], steps: NDArray) -> None:
        """``steps`` (B,) moves of each layout, not rising; each layout draws from its own generator."""
        heat = np.full(len(steps), HOT)
        cool = np.array([(COLD / HOT) ** (1 / max(n, 1)) for n in steps.tolist()])
        for m, uniform, exponential in steps_of(rngs, steps, 4):
            self._step(m, uniform, heat[:m] * exponential)
            heat[:m] *= cool[:m]

    def _energy(self, now: Functions) -> NDArray[np.float64]:
        m = len(now.pairs)
        return (self.weights[:m] * (now.values - self.values[:m]) ** 2).sum(axis=1)

    def _step(self, m: int, uniform: NDArray, allowed: NDArray) -> None:
        """One move in each of the first m layouts, accepted where the energy rises by at most ``allowed`` (m,)."""
        row, stack = self._row[:m], self.stack
        cell = (uniform[:, 0] * stack.n[:m]).astype(np.int64)
        here, where = stack.points[:, row, cell], uniform[:, 1:3].T
        far = where * np.array(stack.size)[:, None]
        there = stack.inside(np.where(uniform[:, 3] < FAR_SHARE, far, here + (2 * where - 1) * REACH))
        gone, come = self._apart(m, cell, here), self._apart(m, cell, there)
        place, near = self._near(m, cell, gone[0], come[0])
        after = Functions(
            self.now.pairs[:m] + self._pair_change(m, cell, gone, come),
            self.now.nearest[:m] + self._nearest_change(m, place, near),
        )
        energy = self._energy(after)
        accepted = energy - self.energy[:m] <= allowed
        yes = np.flatnonzero(accepted)
        stack.points[:, yes, cell[yes]] = there[:, yes]
        self.energy[yes] = energy[yes]
        self.now.pairs[yes], self.now.nearest[yes] = after.pairs[yes], after.nearest[yes]
        kept = accepted[place // (self.near.size // len(self.near))]
        self.near.reshape(-1)[place[kept]] = near[kept]

    def _apart(self, m: int, cell: NDArray, at: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """(m, N) px from a place to all cells, inf for the moved one; the ring; the weight of the pair."""
        y, x = np.abs(self.stack.points[:, :m] - at[:, :, None])
        distance = np.sqrt(y * y + x * x)
        distance[self._row[:m], cell] = np.inf
        height, width = self.stack.size
        return distance, self.bins.ring(distance), height * width / ((height - y) * (width - x))

    def _pair_change(self, m: int, cell: NDArray, gone: tuple, come: tuple) -> NDArray[np.float64]:
        """Sums run over the cells in their order; the padding counts to the last bin, which no value reads."""
        bins, shape = self.bins, (m, self.bins.pairs, self.bins.rings + 1)
        row, labels = self._row[:m], self.stack.labels[:m]
        start = self._pair[labels[row, cell][:, None], labels] * shape[2] + row[:, None] * (shape[1] * shape[2])
        keys = np.concatenate([(start + gone[1]).ravel(), (start + come[1]).ravel()])
        weights = np.concatenate([-gone[2].ravel(), come[2].ravel()])
        change = np.bincount(keys, weights, minlength=m * bins.pairs * shape[2])
        return change.astype(np.float64).reshape(shape)

    def _near(self, m: int, cell: NDArray, gone: NDArray, come: NDArray) -> tuple[NDArray, NDArray]:
        """Which entries of ``near`` (flat) a move changes, and their new values, px."""
        classes, row, labels, near = self.bins.classes, self._row[:m], self.stack.labels[:m], self.near.reshape(-1)
        kind = labels[row, cell]
        mine = near[self._place[:m] + kind[:, None]]
        lost = mine == gone  # cells that lose their nearest neighbour
        layout, other = np.nonzero(lost | (come < mine))  # the padding's 0 never changes
        first = self._place[layout, other]
        new = np.where(lost[layout, other], np.inf, mine[layout, other]).astype(np.float32)
        search = np.flatnonzero(lost[layout, other])
        new[search] = self._nearest_other(layout[search], other[search], kind[layout[search]], cell[layout[search]])
        new = np.minimum(new, come[layout, other])
        beside = np.where(
            np.arange(classes) == kind[layout][:, None], np.inf, near[first[:, None] + np.arange(classes)]
        )
        each = [np.where(labels == label, come, np.inf).min(axis=1) for label in range(classes)]
        own = np.column_stack([*each, np.min(each, axis=0)]).astype(np.float32)
        place = [first + kind[layout], first + classes, self._place[row, cell][:, None] + np.arange(classes + 1)]
        values = [new, np.minimum(new, beside.min(axis=1)), own]
        return np.concatenate([one.ravel() for one in place]), np.concatenate([one.ravel() for one in values])

    def _nearest_other(self, layout: NDArray, cell: NDArray, kind: NDArray, moved: NDArray) -> NDArray[np.float32]:
        """(k,) px from cells to the nearest one of the class ``kind`` (k,) in their layouts, without the moved one."""
        y, x = self.stack.points[:, layout]
        each = np.arange(len(layout))
        y, x = y - y[each, cell][:, None], x - x[each, cell][:, None]
        distance = np.where(self.stack.labels[layout] == kind[:, None], np.sqrt(y * y + x * x), np.inf)
        distance[each, cell] = distance[each, moved] = np.inf
        return distance.min(axis=1)

    def _nearest_change(self, m: int, place: NDArray, near: NDArray) -> NDArray[np.float64]:
        classes, last = self.bins.classes, len(self.bins.reaches) + 1
        layout, cell = np.divmod(place // (classes + 1), self.stack.labels.shape[1])
        start = ((layout * classes + self.stack.labels[layout, cell]) * (classes + 1) + place % (classes + 1)) * last
        reach = self.bins.reach(np.concatenate([self.near.reshape(-1)[place], near]))
        n, shape = len(start), (m, classes, classes + 1, last)
        came, went = (np.bincount(start + part, minlength=int(np.prod(shape))) for part in (reach[n:], reach[:n]))
        return (came - went).astype(np.float64).reshape(shape)
