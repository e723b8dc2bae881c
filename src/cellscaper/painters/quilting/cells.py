"""The cells of a layout while it is painted, and which of them a patch shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cellscaper.layouts import Layout
from cellscaper.painters.quilting.patch import Patch


class Cells:
    """The cells of a layout; ``done``: those that the image shows.

    For descriptions alone, the layout goes on beyond its border as in a mirror, ``margin`` px far.
    """

    def __init__(self, layout: Layout, core: float, margin: int):
        self.points, self.labels, self.core = layout.points, layout.labels, core
        self.done = np.zeros(len(layout), bool)
        points, rows = _mirrored(layout, margin)
        self._points, self._labels = points, layout.labels[rows]
        self._tree = cKDTree(points) if len(points) else None

    def around(self, at: tuple[int, int], reach: float) -> "Near":
        """The cells within ``reach`` px of a pixel, those beyond the border too."""
        found = sorted(self._tree.query_ball_point(at, reach)) if self._tree is not None else []
        rows = np.array(found, np.int64)
        return Near(self._points[rows] - np.array(at, np.float32), self._labels[rows], rows)


@dataclass(frozen=True)
class Near:
    """Cells around a pixel: offsets (n, 2) px from it, labels (n,), rows (n,) of `Cells`; those from the layout's
    number of cells on are mirror images."""

    offsets: NDArray[np.float32]
    labels: NDArray[np.uint8]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Shown:
    """What a patch shows of the cells around it.

    ghost  (side, side) bool: pixels of nuclei that the layout lacks
    cores  core (side, side) bool of each cell of the layout that the patch shows, by its row
    """

    ghost: NDArray[np.bool_]
    cores: dict[int, NDArray[np.bool_]]


@dataclass(frozen=True)
class Limits:
    """px: ``ghost`` around a cell that the layout lacks; ``match`` within which a cell of the source is one of the
    layout; ``reuse`` within which it stands for it."""

    ghost: float
    match: float
    reuse: float


def shown(
    patch: Patch, cells: Cells, near: Near, offsets: NDArray, labels: NDArray, own: int | None, limits: Limits
) -> Shown:
    """Compare the cells of a source's patch (N, 2), (N,) with those of the layout around.

    A cell of the source is one of the layout if one of its class lies within ``limits.match``. The pixels that lie
    nearest to another cell, within ``limits.ghost``, are ghost. Cells that are not done and have one within
    ``limits.reuse`` are shown, and so is ``own``. A core are the pixels within `Cells.core` that lie nearest to the
    cell.
    """
    apart = np.hypot(*(offsets[:, None] - near.offsets[None]).transpose(2, 0, 1))
    apart[labels[:, None] != near.labels[None]] = np.inf
    lacking = ~(apart <= limits.match).any(axis=1) if len(near.rows) else np.ones(len(labels), bool)
    ghost = np.zeros(patch.disc.shape, bool)
    if lacking.any():
        nearest, away = _nearest(patch, offsets)
        ghost = lacking[nearest] & (away <= limits.ghost)
    cores: dict[int, NDArray[np.bool_]] = {}
    wanted = {} if own is None else {own}
    if len(labels) and limits.reuse:
        for column in np.flatnonzero((apart <= limits.reuse).any(axis=0)).tolist():
            row = int(near.rows[column])
            if row < len(cells.done) and not cells.done[row]:
                wanted = {*wanted, row}
    if wanted:
        nearest, away = _nearest(patch, near.offsets)
        inside = away <= cells.core
        for column, row in enumerate(near.rows.tolist()):
            if row in wanted:
                cores[row] = inside & (nearest == column)
    return Shown(ghost, cores)


def _nearest(patch: Patch, offsets: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(side, side) the number of the nearest cell of each pixel, and its distance in px."""
    y, x = offsets[:, 0, None, None], offsets[:, 1, None, None]
    squared = np.square(patch.y[:, :1] - y) + np.square(patch.x[:1] - x)
    nearest = squared.argmin(axis=0)
    return nearest, np.sqrt(np.take_along_axis(squared, nearest[None], axis=0)[0])


def _mirrored(layout: Layout, margin: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The cells, then the mirror images of those near the border; and the row of each."""
    points, rows = layout.points, np.arange(len(layout))
    for axis, length in enumerate(layout.size):
        low, high = points[:, axis] < margin, points[:, axis] > length - 1 - margin
        first, last = points[low].copy(), points[high].copy()
        first[:, axis] *= -1
        last[:, axis] = 2 * (length - 1) - last[:, axis]
        points = np.concatenate([points, first, last])
        rows = np.concatenate([rows, rows[low], rows[high]])
    return points, rows
