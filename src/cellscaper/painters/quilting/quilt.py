"""One image: the order of its patches, and the choice of each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from cellscaper.layouts import Layout
from cellscaper.painters.quilting.canvas import EMPTY, Canvas
from cellscaper.painters.quilting.cells import Cells, Limits, shown
from cellscaper.painters.quilting.library import Found, Library
from cellscaper.painters.quilting.patch import Patch
from cellscaper.painters.quilting.sources import Image, best
from cellscaper.views.pixels import pixels_of

STRIP = 256  # rows whose cells are painted before those below
THIN = 1.5  # px: holes no deeper take the nearest painted pixel
ROUNDS = 60  # of patches for holes; what is then empty takes the nearest painted pixel


@dataclass(frozen=True)
class Choice:
    """How a patch is chosen: among the ``keep`` of nearest description, by description cost over its median plus
    ``overlap`` times the mean difference to what is there; at random among the ``top`` best. ``gradient``: see
    `canvas.seam_costs`."""

    keep: int
    overlap: float
    top: int
    gradient: float


@dataclass(frozen=True)
class Sources:
    """Which images an image is made of: see `Library.choose` and `Library.of_class`; ``area`` px² of it for each."""

    nearest: int
    area: float
    least: int
    own: bool


class Quilt:
    """The painting of one layout with one random generator."""

    def __init__(
        self,
        layout: Layout,
        library: Library,
        core: float,
        limits: Limits,
        choice: Choice,
        sources: Sources,
        rng: np.random.Generator,
    ):
        self.layout, self.library, self.limits, self.choice, self.rng = layout, library, limits, choice, rng
        self.least, self.barred = sources.least, "" if sources.own else layout.source
        margin = max(library.cell.radius, library.free.radius)
        self.canvas = Canvas(layout.size, margin)
        self.cells = Cells(layout, core, round(1.5 * margin + library.cell.reach))
        number = min(-(-layout.size[0] * layout.size[1] // int(sources.area)), sources.nearest)
        self.images = library.choose(layout, sources.nearest, number, rng, sources.own)
        self._found: dict[int | None, Found] = {}

    def paint(self) -> Image:
        """The image (H, W, 3): strip by strip the cells, then what is still empty."""
        height = self.layout.size[0]
        at = pixels_of(self.layout.points, self.layout.size)
        last: tuple[int, int] | None = None
        for top in range(0, height, STRIP):
            bottom = min(top + STRIP, height)
            rows = np.flatnonzero((at[:, 0] >= top) & (at[:, 0] < bottom))
            for row in self._order(rows, at, last):
                if not self.cells.done[row]:
                    last = (int(at[row, 0]), int(at[row, 1]))
                    self._place(last, self.library.cell, row)
            margin = 0 if bottom == height else self.library.free.radius
            self._fill(max(top - self.library.free.radius, 0), bottom - margin)
        return self.canvas.image()

    def _order(self, rows: NDArray, at: NDArray, last: tuple[int, int] | None) -> list[int]:
        """Rows from near to near: each the nearest to any before it, the first at random or near ``last``."""
        left, order = rows.copy(), []
        if not len(left):
            return []
        away = np.hypot(*(at[left] - last).T) if last is not None else self.rng.random(len(left))
        while len(left):
            i = int(away.argmin())
            order.append(int(left[i]))
            step = np.hypot(*(at[left] - at[left[i]]).T)
            away = step if last is None and len(order) == 1 else np.minimum(away, step)
            left, away = np.delete(left, i), np.delete(away, i)
        return order

    def _fill(self, top: int, bottom: int) -> None:
        """Patches without a cell for the holes of some rows: beside what is painted, one patch's reach apart."""
        patch = self.library.free
        deep = 0.4 * patch.radius
        for _ in range(ROUNDS):
            holes = self.canvas.owner[self.canvas.rows(top, bottom)] == EMPTY
            if not holes.any():
                return
            depth = distance_transform_edt(holes) if not holes.all() else np.full(holes.shape, deep)
            if depth.max() <= THIN or not self._sources(None):
                break
            for y, x in _spread(depth, deep, patch.radius):
                if self.canvas.owner[self.canvas.window((y + top, x), 0)].item() == EMPTY:
                    self._place((y + top, x), patch, None)
        self._close(top, bottom)

    def _close(self, top: int, bottom: int) -> None:
        """Give thin holes the colour of the nearest painted pixel."""
        where = self.canvas.rows(top, bottom)
        holes = self.canvas.owner[where] == EMPTY
        if holes.all():
            return
        y, x = distance_transform_edt(holes, return_distances=False, return_indices=True)
        self.canvas.pixels[where][holes] = self.canvas.pixels[where][y[holes], x[holes]]
        self.canvas.owner[where][holes] = EMPTY - 1

    def _sources(self, label: int | None) -> Found:
        if label not in self._found:
            self._found[label] = (
                self.library.without_cell(self.images)
                if label is None
                else self.library.of_class(self.images, label, self.least, self.barred)
            )
        return self._found[label]

    def _place(self, at: tuple[int, int], patch: Patch, row: int | None) -> None:
        found = self._sources(None if row is None else int(self.cells.labels[row]))
        near = self.cells.around(at, 1.5 * patch.radius + patch.reach)
        wanted = patch.in_eight(patch.describe(near.offsets, near.labels))
        candidates, costs = best(found, wanted, self.choice.keep)
        differences = self.canvas.differences(at, patch, candidates)
        total = costs / (np.median(costs) + 1e-6) + self.choice.overlap * differences
        top = np.argsort(total.round(6), kind="stable")[: self.choice.top]
        chosen = candidates[int(top[self.rng.integers(len(top))])]
        there = shown(patch, self.cells, near, *chosen.cells(1.5 * patch.radius), row, self.limits)
        done = self.canvas.place(at, patch, chosen, there, self.choice.gradient)
        self.cells.done[done] = True
        if row is not None:
            self.cells.done[row] = True


def _spread(depth: NDArray, deep: float, apart: int) -> list[tuple[int, int]]:
    """Pixels y, x of holes whose depth is near ``deep``, the nearest first, ``apart`` px or more from each other."""
    y, x = np.nonzero(depth > 0)
    order = np.argsort(np.abs(depth[y, x] - deep).round(3), kind="stable")
    free = np.ones(depth.shape, bool)
    chosen = []
    for i in order.tolist():
        a, b = int(y[i]), int(x[i])
        if free[a, b]:
            chosen.append((a, b))
            free[max(a - apart, 0) : a + apart + 1, max(b - apart, 0) : b + apart + 1] = False
    return chosen
