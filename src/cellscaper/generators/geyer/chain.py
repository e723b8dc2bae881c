"""Metropolis chain of a Geyer saturation process on a torus, with the counts of each class fixed.

Two steps of three move a cell, near or anywhere; the third swaps the classes of two cells. Each proposal is as likely
as its way back, so a step is accepted with probability min(1, exp(Δ)), Δ being the change of θ · s. On the torus a cell
near the border has neighbours on the other side, as a cell of the training images has beyond a window's border.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cellscaper.generators.geyer.model import Shape, count_neighbours, neighbours, statistics
from cellscaper.generators.side_by_side import Stack, steps_of

FAR_SHARE = 0.5  # of the moves go anywhere, the others within REACH
REACH = 12.0  # px along an axis
SWAP = 3  # every third step


class Chain:
    """A stack of layouts; ``statistics`` (B, P, K) are those of the layouts as they are."""

    def __init__(self, stack: Stack, shape: Shape, theta: NDArray) -> None:
        self.stack, self.shape, self.theta = stack, shape, theta.ravel()
        layouts = stack.layouts()
        self.statistics = np.stack([statistics(shape, one, torus=True) for one in layouts]).astype(np.float64)
        self.around = np.zeros((*stack.labels.shape, shape.classes, shape.annuli + 1), np.int64)
        for row, one in enumerate(layouts):
            self.around[row, : len(one)] = neighbours(shape, one.points, one.labels, one.size)
        self._row, self._done = stack.row, 0
        cell = np.arange(stack.labels.size).reshape(stack.labels.shape)
        self._start = cell * (shape.classes * (shape.annuli + 1))

    def run(self, rngs: Sequence[np.random.Generator], steps: NDArray) -> None:
        """``steps`` (B,) of each layout, not rising; each layout draws from its own generator."""
        for m, uniform, exponential in steps_of(rngs, steps, 4):
            self._done += 1
            if self._done % SWAP:
                self.move(m, uniform, exponential)
            else:
                self.swap(m, uniform, exponential)

    def move(self, m: int, uniform: NDArray, allowed: NDArray) -> None:
        """Move a cell in each of the first m layouts, where θ · s falls by at most ``allowed`` (m,)."""
        row, stack, shape = self._row[:m], self.stack, self.shape
        cell = (uniform[:, 0] * stack.n[:m]).astype(np.int64)
        here, where = stack.points[:, row, cell], uniform[:, 1:3].T
        far = where * np.array(stack.size)[:, None]
        there = stack.inside(np.where(uniform[:, 3] < FAR_SHARE, far, here + (2 * where - 1) * REACH))
        gone, come = self._squared(m, here), self._squared(m, there)
        gone[row, cell] = come[row, cell] = np.inf
        lose, gain = shape.annulus(gone), shape.annulus(come)
        labels = stack.labels[:m]
        kind = labels[row, cell]
        own = count_neighbours(shape, labels, gain)
        change = (
            self._shifts(m, kind, lose, gain) + self._owns(m, kind, own) - self._owns(m, kind, self.around[row, cell])
        )
        yes = self._accept(change, allowed, come.min(axis=1) >= shape.core**2)
        stack.points[:, yes, cell[yes]] = there[:, yes]
        self._shift(yes, kind, lose, gain)
        self.around[yes, cell[yes]] = own[yes]

    def swap(self, m: int, uniform: NDArray, allowed: NDArray) -> None:
        """Swap the classes of two cells in each of the first m layouts, where θ · s falls by at most ``allowed``."""
        row, labels, annuli = self._row[:m], self.stack.labels[:m], self.shape.annuli
        one, two = (uniform[:, :2].T * self.stack.n[:m]).astype(np.int64)
        a, b = labels[row, one], labels[row, two]
        near_one, near_two = (
            self.shape.annulus(self._squared(m, self.stack.points[:, row, cell])) for cell in (one, two)
        )
        between = near_one[row, two]
        for near in (near_one, near_two):  # the two themselves are counted below
            near[row, one] = near[row, two] = annuli
        before = self.around[row, one], self.around[row, two]
        after = before[0].copy(), before[1].copy()
        for own, leaves, comes in ((after[0], b, a), (after[1], a, b)):
            own[row, leaves, between] -= 1
            own[row, comes, between] += 1
        change = self._shifts(m, a, near_one, near_two) + self._shifts(m, b, near_two, near_one)
        change += self._owns(m, b, after[0]) - self._owns(m, a, before[0])
        change += self._owns(m, a, after[1]) - self._owns(m, b, before[1])
        yes = self._accept(change, allowed, a != b)
        self._shift(yes, a, near_one, near_two)
        self._shift(yes, b, near_two, near_one)
        self.around[yes, one[yes]], self.around[yes, two[yes]] = after[0][yes], after[1][yes]
        labels[yes, one[yes]], labels[yes, two[yes]] = b[yes], a[yes]

    def _squared(self, m: int, at: NDArray) -> NDArray[np.float64]:
        """(m, N) px² on the torus from a place (2, m) to all cells; the padding is far."""
        shift = np.abs(self.stack.points[:, :m].astype(np.float64) - at[:, :, None].astype(np.float64))
        y, x = np.minimum(shift, np.array(self.stack.size, np.float64)[:, None, None] - shift)
        return y * y + x * x

    def _shifts(self, m: int, kind: NDArray, lose: NDArray, gain: NDArray) -> NDArray[np.float64]:
        """(m, P, K + 1): the change of the statistics of all cells for which a cell of class ``kind`` (m,) goes from
        annulus ``lose`` (m, N) to ``gain``. In place K stands what nothing reads."""
        shape, slots = self.shape, self.shape.annuli + 1
        start, counts = self._start[:m] + kind[:, None] * slots, self.around.reshape(-1)
        moved = lose != gain
        falls = moved & (counts[start + lose] <= shape.limits[lose])
        rises = moved & (counts[start + gain] < shape.limits[gain])
        key = (self._row[:m, None] * shape.pairs + shape.pair[kind[:, None], self.stack.labels[:m]]) * slots
        size = m * shape.pairs * slots
        down, up = np.bincount((key + lose)[falls], minlength=size), np.bincount((key + gain)[rises], minlength=size)
        return (up - down).astype(np.float64).reshape(m, shape.pairs, slots)

    def _owns(self, m: int, kind: NDArray, own: NDArray) -> NDArray[np.float64]:
        """(m, P, K + 1): what a cell of class ``kind`` (m,) with the neighbours ``own`` (m, C, K + 1) counts."""
        found = np.zeros((m, self.shape.pairs, self.shape.annuli + 1))
        found[self._row[:m, None], self.shape.pair[kind]] = np.minimum(own, self.shape.limits)
        return found

    def _accept(self, change: NDArray, allowed: NDArray, possible: NDArray) -> NDArray[np.int64]:
        """The layouts that take the step; their statistics are brought up to date."""
        added = np.ascontiguousarray(change[..., :-1])
        rise = (added.reshape(len(added), -1) * self.theta).sum(axis=1)
        yes = np.flatnonzero(possible & (-rise <= allowed))
        self.statistics[yes] += added[yes]
        return yes

    def _shift(self, yes: NDArray, kind: NDArray, lose: NDArray, gain: NDArray) -> None:
        """Count a cell of class ``kind`` in annulus ``gain`` of each cell and no longer in ``lose``."""
        start, counts = self._start[yes] + kind[yes, None] * (self.shape.annuli + 1), self.around.reshape(-1)
        counts[start + lose[yes]] -= 1
        counts[start + gain[yes]] += 1
