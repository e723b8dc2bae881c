"""Exact constraints on a layout: the area where cells may lie, and the minimum distance between two cells.

Pure functions on positions (N, 2), y then x, px. Nothing here is random: equal input gives equal output.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from cellscaper.errors import CellscaperError

Points = NDArray[np.float64]
MARGIN = 1 / 64  # px between a projected position and the border of its pixel: no float32 rounds across it
LARGEST_SIDE = 1 << 17  # px: float32 still has steps of MARGIN
PUSHES = 300  # rounds of pushing apart before cells are moved to other gaps
MOVES = 4  # rounds of moving cells to other gaps without progress before an error
KEPT = 4_000_000  # blocks of maps that an area keeps
GAPS = 200_000  # most positions at which gaps are searched
GOLDEN = math.pi * (3 - math.sqrt(5))  # rad: cells at the same place are pushed in different directions


# -- where cells may lie -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Area:
    """A rectangle of ``size`` (height, width) px, or the True pixels of a mask (height, width) in it.

    A pixel is a square that begins ``corner`` px before its whole numbers: ½ for images, whose pixels have their
    centres there (docs/methods.md, section 1.4), 0 for parts of the rectangle, which is [0, height) × [0, width).
    """

    size: tuple[int, int]
    mask: NDArray[np.bool_] | None = None
    corner: float = 0.0

    def __post_init__(self) -> None:
        if self.mask is not None and self.mask.shape != self.size:
            raise ValueError(f"a mask of {self.mask.shape} px for an area of {self.size}")

    @cached_property
    def pixels(self) -> int:
        """px² of the area."""
        return int(self.mask.sum()) if self.mask is not None else self.size[0] * self.size[1]

    @cached_property
    def _nearest(self) -> NDArray[np.int32]:
        """(2, height, width) the allowed pixel nearest to each pixel, by the Euclidean distance transform."""
        assert self.mask is not None
        return distance_transform_edt(~self.mask, return_distances=False, return_indices=True)

    def holds(self, points: NDArray) -> NDArray[np.bool_]:
        """(N,) whether each position lies in the area."""
        shifted = np.asarray(points, np.float64) + self.corner
        inside: NDArray[np.bool_] = np.all((points >= 0) & (shifted < self.size), axis=1)
        if self.mask is not None:
            inside[inside] = self.mask[tuple(shifted[inside].astype(np.int64).T)]
        return inside

    def nearest(self, points: Points) -> Points:
        """(N, 2) the positions themselves if they are allowed, else the nearest place in the nearest allowed pixel."""
        last = np.array(self.size) - self.corner - MARGIN
        clipped = points.clip(0, last)
        if self.mask is None:
            return clipped
        own = (clipped + self.corner).astype(np.int64)
        out = ~self.mask[tuple(own.T)]
        begin = self._nearest[(slice(None), *own[out].T)].T - self.corner  # (M, 2)
        clipped[out] = clipped[out].clip(begin + MARGIN, begin + (1 - MARGIN))
        return clipped

    def expected(self, points: Points, deviation: float) -> Points:
        """(N, 2) the mean position of cells that lie in the area, if they are normal around ``points`` otherwise.

        deviation: px, of each coordinate. The mean may lie outside (a ring's mean is its centre). Below 1 px the result
        is :meth:`nearest`. The rectangle has no border here: beyond it, the mask continues with its edge values.
        """
        if self.mask is None or deviation < 1:
            return self.nearest(points)
        step = max(1, int(deviation / 4))
        shift, weight = self._shifts(deviation, step)

        def read(maps: NDArray, at: Points) -> NDArray:
            return map_coordinates(maps, ((at + self.corner) / step - 0.5).T, order=1, mode="nearest")

        inside = self.nearest(points)
        far = read(weight, points.clip(0, self.size)) < 1e-4  # no part of the area within reach
        start = np.where(far[:, None], inside, points.clip(0, self.size))
        return start + np.stack([read(one, start) for one in shift], axis=1)

    def _shifts(self, deviation: float, step: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """On blocks of step × step px: mean position minus the block's (2, h, w) px, and the area's share (h, w)."""
        if (deviation, step) not in self._kept:
            assert self.mask is not None
            if sum(maps[1].size for maps in self._kept.values()) > KEPT:
                self._kept.clear()
            blocks = [-(-side // step) for side in self.size]
            whole = np.pad(self.mask, [(0, n * step - side) for n, side in zip(blocks, self.size, strict=True)], "edge")
            share = whole.reshape(blocks[0], step, blocks[1], step).mean(axis=(1, 3), dtype=np.float32)
            reach = math.ceil(4 * deviation / step)
            share = np.pad(share, reach, "edge")
            weight = gaussian_filter(share, deviation / step, truncate=4.0)
            shift = []
            for axis in (0, 1):
                place = np.arange(share.shape[axis], dtype=np.float32) * step
                place = place[:, None] if axis == 0 else place
                moment = gaussian_filter(share * place, deviation / step, truncate=4.0)
                shift.append(moment / np.maximum(weight, 1e-12) - place)
            inner = (slice(reach, -reach), slice(reach, -reach))
            self._kept[deviation, step] = np.stack([one[inner] for one in shift]), weight[inner].copy()
        return self._kept[deviation, step]

    @cached_property
    def _kept(self) -> dict[tuple[float, int], tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Results of :meth:`_shifts`, kept because all layouts go through the same noise levels."""
        return {}


# -- the minimum distance ----------------------------------------------------------------------------------


def too_close(points: NDArray, distance: float) -> NDArray[np.int64]:
    """(P, 2) pairs i < j of cells less than ``distance`` px apart, sorted; exact, in double precision."""
    points = np.asarray(points, np.float64)
    if distance <= 0 or len(points) < 2:
        return np.zeros((0, 2), np.int64)
    pairs = cKDTree(points).query_pairs(distance * (1 + 1e-9), output_type="ndarray")
    gap = points[pairs[:, 0]] - points[pairs[:, 1]]
    found = pairs[(gap * gap).sum(axis=1) < distance**2]
    return found[np.lexsort(found.T[::-1])]


def push(points: Points, fixed: NDArray, distance: float, area: Area, rounds: int) -> Points:
    """Positions pushed apart where they are less than ``distance`` px apart, at most ``rounds`` times.

    Both cells of a pair step back by half of the missing distance; if one is ``fixed`` (M, 2), the other steps back by
    all of it. A cell in several pairs takes 1.5 times the mean of its steps. Each round ends with cells in the area.
    """
    n = len(points)
    cells = np.concatenate([points, fixed])
    for _ in range(rounds if distance > 0 and n else 0):
        pairs = cKDTree(cells).query_pairs(distance, output_type="ndarray")
        pairs = pairs[(pairs < n).any(axis=1)]
        if not len(pairs):
            break
        gap = cells[pairs[:, 1]] - cells[pairs[:, 0]]
        length = np.sqrt((gap * gap).sum(axis=1))
        turn = GOLDEN * pairs.sum(axis=1)
        same = length < 1e-9
        gap[same] = np.stack([np.sin(turn[same]), np.cos(turn[same])], axis=1)
        step = gap * ((distance - length) / np.where(same, 1, length))[:, None]
        step /= (pairs < n).sum(axis=1, keepdims=True)
        ends = np.concatenate([pairs[:, 0], pairs[:, 1]])
        steps = np.concatenate([-step, step])
        often = np.bincount(ends, minlength=len(cells))
        total = np.stack([np.bincount(ends, weights=steps[:, axis], minlength=len(cells)) for axis in (0, 1)], axis=1)
        cells[:n] += 1.5 * total[:n] / np.maximum(often[:n], 1.5)[:, None]
        cells[:n] = area.nearest(cells[:n])
    return cells[:n]


def separate(points: NDArray, fixed: NDArray, distance: float, area: Area) -> NDArray[np.float32]:
    """(N, 2) float32: the positions moved as little as needed to lie in the area, ``distance`` px from each other
    and from ``fixed`` (M, 2).

    Cells are pushed apart (:func:`push`). Cells that are still too close move to the nearest gap, or to the widest one,
    and are pushed again. The result is verified. CellscaperError if several rounds bring no progress.
    """
    fixed = np.asarray(fixed, np.float64).reshape(-1, 2)
    placed = area.nearest(np.asarray(points, np.float64).reshape(-1, 2))
    slack = 4 * float(np.spacing(np.float32(max(area.size))))  # rounding to float32 stays within it
    goal = distance * (1 + 1e-6) + slack
    gaps: _Gaps | None = None
    least, idle = len(placed) + 1, 0
    while idle < MOVES:
        placed = push(placed, fixed, goal, area, PUSHES)
        bad = _to_move(placed, fixed, distance)
        if not len(bad):
            return placed.astype(np.float32)
        least, idle = min(least, len(bad)), idle + 1 if len(bad) >= least else 0
        gaps = gaps or _Gaps(area, fixed, goal)
        for cell in bad:
            placed[cell] = gaps.near(placed[cell], np.concatenate([np.delete(placed, cell, axis=0), fixed]))
    raise CellscaperError(
        f"found no room for {len(placed)} cells at least {distance:g} px apart in {area.pixels} px² "
        f"({least} are too close to others); ask for fewer cells or a smaller --min-distance"
    )


def _to_move(placed: Points, fixed: Points, distance: float) -> list[int]:
    """Cells to move: without them, no two cells are too close once rounded to float32. The later cell of each pair."""
    n = len(placed)
    moved: set[int] = set()
    rounded = np.concatenate([placed.astype(np.float32), fixed.astype(np.float32)])
    for i, j in too_close(rounded, distance).tolist():
        if i < n and not {i, j} & moved:  # two fixed cells are not ours
            moved.add(j if j < n else i)
    return sorted(moved)


class _Gaps:
    """A lattice of positions of an area at which cells may still fit."""

    def __init__(self, area: Area, fixed: Points, distance: float):
        step = max(distance / 3, math.sqrt(area.size[0] * area.size[1] / GAPS))
        axes = [np.arange(step / 2, side, step) for side in area.size]
        lattice = area.nearest(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2))
        if area.mask is not None:  # pixels between the lattice's lines
            lattice = np.unique(lattice, axis=0)
        if len(fixed):
            lattice = lattice[cKDTree(fixed).query(lattice)[0] >= distance]
        self._distance, self._places = distance, lattice
        self._tree = cKDTree(lattice) if len(lattice) else None

    def near(self, point: Points, others: Points) -> Points:
        """The nearest position ``distance`` px from all others; if there is none, the position farthest from them."""
        if self._tree is None:
            return point
        tree = cKDTree(others) if len(others) else None
        for number in (256, len(self._places)):
            order = np.atleast_1d(self._tree.query(point, k=min(number, len(self._places)))[1])
            room = tree.query(self._places[order])[0] if tree is not None else np.full(len(order), np.inf)
            free = np.flatnonzero(room >= self._distance)
            if len(free):
                return self._places[order[free[0]]]
        return self._places[order[room.argmax()]]


def most(area: Area, distance: float, fixed: NDArray) -> int:
    """Upper bound on the number of cells in the area, ``distance`` px from each other and from ``fixed`` (M, 2).

    The smaller of two bounds. A convex region of area A and perimeter P holds at most 2A/(√3 d²) + P/(2d) + 1 cells
    (Oler 1961); here it is the rectangle around the open pixels. In any region, the part of each cell's Voronoi polygon
    within d/√3 has an area of at least √3/2 d² (Rogers 1964), so the bound is the area of the region widened by d/√3,
    divided by √3/2 d². Fixed cells lower it: by their number, or by the pixels that they block if that gives less.
    """
    if distance < 1e-3:  # no float32 layout is that full
        return int(1e15) if area.pixels else 0
    if area.mask is None and not len(fixed):
        return _oler(area.size, distance)
    fixed = np.asarray(fixed, np.float64).reshape(-1, 2)
    free = np.ones(area.size, bool) if area.mask is None else area.mask.copy()
    bound = _packed(free, distance) - int(area.holds(fixed).sum())
    if len(fixed):
        _close(free, fixed + area.corner, distance)
        bound = min(bound, _packed(free, distance))
    return max(bound, 0)


def _packed(free: NDArray[np.bool_], distance: float) -> int:
    rows, columns = (np.flatnonzero(free.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return 0
    box = free[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if box.all():
        return _oler(box.shape, distance)
    reach = distance / math.sqrt(3) + math.sqrt(2)  # from pixel to pixel
    padded = np.pad(box, math.ceil(reach))
    widened = int((distance_transform_edt(~padded) <= reach).sum())
    return min(_oler(box.shape, distance), int(widened / (math.sqrt(3) / 2 * distance**2)))


def _oler(size: tuple[int, ...], distance: float) -> int:
    height, width = size
    return int(2 / math.sqrt(3) * height * width / distance**2 + (height + width) / distance + 1)


def _close(free: NDArray[np.bool_], fixed: Points, distance: float) -> None:
    """Remove from ``free`` the pixels, [i, i + 1) × [j, j + 1), that lie wholly within ``distance`` of a fixed cell."""
    reach = distance - math.sqrt(0.5)
    if reach <= 0:
        return
    around = np.arange(-math.ceil(distance) - 1, math.ceil(distance) + 2)
    for y, x in fixed:
        rows, columns = (around + int(at) for at in (y, x))
        rows, columns = rows[(rows >= 0) & (rows < free.shape[0])], columns[(columns >= 0) & (columns < free.shape[1])]
        near = (rows[:, None] + 0.5 - y) ** 2 + (columns + 0.5 - x) ** 2 <= reach**2
        free[rows[:, None], columns] &= ~near
