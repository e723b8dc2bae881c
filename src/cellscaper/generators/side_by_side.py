"""Markov chains of many layouts side by side: each step moves a cell in every layout, so numpy works on whole stacks.

A layout has its own random numbers and its own number of steps, and padding never enters a sum. So a layout does not
depend on the others in its stack.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellscaper.generators.hard_core import add_points
from cellscaper.generators.protocol import Made, Request
from cellscaper.layouts import Layout, LayoutSet

FAR = np.inf  # px: where the padding lies
CELLS = 8192  # of a stack with its padding: larger stacks leave the processor's cache
BLOCK = 256  # steps whose random numbers are in memory


@dataclass(frozen=True)
class Stack:
    """B layouts of one size.

    points (2, B, N) float32: y and x, px; labels (B, N) and n (B,) int64. Layout b has its cells in ``[:n[b]]``; the
    padding is at FAR and has label 0. size: height and width, px. ``row``: 0 … B - 1.
    """

    points: NDArray[np.float32]
    labels: NDArray[np.int64]
    n: NDArray[np.int64]
    size: tuple[int, int]

    @classmethod
    def of(cls, layouts: Sequence[Layout]) -> "Stack":
        """One or more layouts of one size."""
        n = np.array([len(one) for one in layouts], np.int64)
        points = np.full((2, len(n), max(int(n.max()), 1)), FAR, np.float32)
        labels = np.zeros(points.shape[1:], np.int64)
        for row, one in enumerate(layouts):
            points[:, row, : len(one)], labels[row, : len(one)] = one.points.T, one.labels
        return cls(points, labels, n, layouts[0].size)

    @property
    def row(self) -> NDArray[np.int64]:
        return np.arange(len(self.n))

    def layouts(self) -> list[Layout]:
        """The layouts as they are now."""
        return [
            Layout(np.ascontiguousarray(self.points[:, row, :n].T), self.labels[row, :n].astype(np.uint8), self.size)
            for row, n in enumerate(self.n.tolist())
        ]

    def inside(self, places: NDArray) -> NDArray[np.float32]:
        """Places (2, m) as float32 px; who leaves on one side comes back on the other."""
        size = np.array(self.size, np.float64)[:, None]
        last = np.nextafter(size.astype(np.float32), np.float32(0))  # float32 may round up to the border
        return np.minimum((places % size).astype(np.float32), last)


def stacks(counts: NDArray, batch: int) -> Iterator[list[int]]:
    """The rows of layouts with ``counts`` (L,) cells, in stacks of similar counts, largest first: at most ``batch``
    layouts, and about CELLS cells."""
    order = np.argsort(-counts, kind="stable").tolist()
    while order:
        take = max(1, min(batch, CELLS // max(int(counts[order[0]]), 1)))
        yield order[:take]
        order = order[take:]


def steps_of(
    rngs: Sequence[np.random.Generator], steps: NDArray, uniforms: int
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """The steps of the chains: how many take part, (m, ``uniforms``) numbers in 0…1 and (m,) exponential ones.

    ``steps`` (B,) must not rise: the first m chains take part. Each chain reads its own generator.
    """
    for start in range(0, int(steps.max(initial=0)), BLOCK):
        going = int((steps > start).sum())
        uniform = np.stack([rng.random((BLOCK, uniforms)) for rng in rngs[:going]], axis=1)
        exponential = np.stack([rng.standard_exponential(BLOCK) for rng in rngs[:going]], axis=1)
        for step in range(min(BLOCK, int(steps[0]) - start)):
            m = int((steps > start + step).sum())
            yield m, uniform[step, :m], exponential[step, :m]


def generate_side_by_side(
    request: Request, distance: float, run: Callable[[Stack, list[np.random.Generator], NDArray], None]
) -> Made:
    """A layout for each target: its counts at random places ``distance`` px apart, then changed by ``run``.

    ``run`` gets the starts of a stack, a generator for each and their numbers of cells, and moves the cells of the
    stack. The settings have a ``batch``: the most layouts of a stack. CellscaperError for targets of several sizes.
    """
    targets, totals = request.targets, np.diff(request.targets.offsets)
    layouts: list[Layout] = list(targets)
    if layouts:
        targets.common_size()
    for rows in stacks(totals, request.settings.batch):
        rngs = [np.random.default_rng(request.seeds[row]) for row in rows]
        stack = Stack.of([_random(layouts[row], distance, rng) for row, rng in zip(rows, rngs, strict=True)])
        run(stack, rngs, totals[rows])
        for row, layout in zip(rows, stack.layouts(), strict=True):
            layouts[row] = layout
        request.advance(len(rows))
    made = LayoutSet.build(layouts, targets.classes, targets.mpp, {"target": np.arange(len(targets))})
    return Made({"points": made})


def _random(target: Layout, distance: float, rng: np.random.Generator) -> Layout:
    """The target's cells at random places, ``distance`` px apart where there is room."""
    points = add_points(np.zeros((0, 2), np.float32), len(target), distance, target.size, rng)
    return Layout(rng.permutation(points), target.labels, target.size)
