"""Centres of outlines: cells in several parts, shapes of several cells, crossing borders, regions around cells."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cellscaper.disk.formats.facts import LARGEST
from cellscaper.disk.formats.reading import found

FLAT = "outlines without area"  # why they are left out
SPREAD = 3.5  # parts that reach over this many diameters of the largest part are cells of their own
FRAGMENT = 0.2  # share of the largest part's area below which a near part is a fragment
REGION = 25.0  # an outline of this many median areas is a region, and from REGION / 5 on if it holds three cells
WIDE = 2.0  # among points an outline is a region whose diameter is this many times the distance of points
_LINES = 64  # scan lines for the area inside a border that crosses itself


@dataclass(frozen=True, eq=False)
class Shape:
    """One outline or point: centre x, y px; area px² (0 for a point); corners (M, 2) x, y px."""

    x: float
    y: float
    area: float
    corners: NDArray[np.float64]
    is_point: bool = False

    @property
    def box(self) -> NDArray[np.float64]:
        """(4,) left, top, right, bottom."""
        return np.concatenate([self.corners.min(axis=0), self.corners.max(axis=0)])


def point(place: Any) -> Shape:
    """A point x, y; ValueError if these are no finite numbers."""
    x, y = _pair(place)
    return Shape(x, y, 0.0, np.array([[x, y]]), is_point=True)


def outline(ring: Any) -> Shape | None:
    """The centre of the area inside a ring; None for a ring of nothing. A ring without area has the area 0.

    Readers leave outlines without area out, as FLAT.

    The area inside a border that crosses itself is that of the even-odd rule.
    """
    if not isinstance(ring, Sequence) or isinstance(ring, str):
        raise ValueError(f"an outline is {found(ring)}, expected corners x, y")
    if not ring:
        return None
    corners = np.array([_pair(place) for place in ring])
    if len(corners) > 1 and (corners[0] != corners[-1]).any():
        corners = np.concatenate([corners, corners[:1]])
    here = corners - corners[0]
    cross = here[:-1, 0] * here[1:, 1] - here[1:, 0] * here[:-1, 1]
    area = float(cross.sum()) / 2
    wide, high = np.ptp(corners, axis=0).tolist()
    if abs(area) < 1e-9 * max(wide * high, 1e-9) or abs(area) < 1e-9:
        x, y, size = (*corners[:-1].mean(axis=0).tolist(), 0.0) if len(corners) > 1 else (*corners[0].tolist(), 0.0)
        return _even_odd(corners) or Shape(x, y, size, corners)
    x, y = (corners[0] + ((here[:-1] + here[1:]) * cross[:, None]).sum(axis=0) / (6 * area)).tolist()
    if abs(area) < 0.4 * wide * high and _crosses(corners):
        return _even_odd(corners) or Shape(x, y, abs(area), corners)
    return Shape(x, y, abs(area), corners)


def cells(parts: Sequence[Shape], apart: bool) -> list[Shape]:
    """One shape a cell from the outlines of one feature; ``apart``: each part is a cell.

    Else a part that is small and near, or that touches a larger one, belongs to its cell, whose centre is that of the
    larger part.
    """
    if apart or len(parts) < 2:
        return list(parts)
    kept: list[Shape] = []
    for part in sorted(parts, key=lambda one: -one.area):
        near = [(_gap(part, one), one) for one in kept]
        joined = any(
            gap < 0.15 * _diameter(one) or (part.area < FRAGMENT * one.area and gap < _diameter(one))
            for gap, one in near
        )
        if not joined:
            kept.append(part)
    return kept


def spread(parts: Sequence[Shape]) -> float:
    """How far the outlines of one feature reach, in diameters of the largest."""
    boxes = np.array([part.box for part in parts])
    whole = np.hypot(boxes[:, 2].max() - boxes[:, 0].min(), boxes[:, 3].max() - boxes[:, 1].min())
    own = np.hypot(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]).max()
    return float(whole / own) if own > 0 else 1.0


def regions(shapes: Sequence[Shape]) -> set[int]:
    """Numbers of the outlines that are regions of tissue, not cells: far larger than the others, or around cells."""
    areas = np.array([shape.area for shape in shapes])
    centres = np.array([[shape.x, shape.y] for shape in shapes]).reshape(-1, 2)
    return _regions(areas, centres, lambda i: _held(shapes[i], centres, i))


def region_boxes(boxes: NDArray[np.float64]) -> set[int]:
    """The same of boxes (N, 4) left, top, right, bottom px; a box without area is a point."""
    areas = np.abs((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])

    def held(i: int) -> int:
        return int(((centres > low[i]) & (centres < high[i])).all(axis=1).sum()) - 1

    return _regions(areas, centres, held)


def of_each_image(images: Sequence[Hashable], regions_of: Callable[[list[int]], set[int]]) -> set[int]:
    """Regions found image by image: ``regions_of`` numbers of entries gives places in their list."""
    groups: dict[Hashable, list[int]] = {}
    for number, image in enumerate(images):
        groups.setdefault(image, []).append(number)
    return {own[k] for own in groups.values() for k in regions_of(own)}


def _regions(areas: NDArray[np.float64], centres: NDArray[np.float64], held: Callable[[int], int]) -> set[int]:
    """``held``: the number of other centres in an outline. Areas of points are 0."""
    outlines = np.flatnonzero(areas > 0)
    if len(areas) < 4 or not len(outlines):
        return set()
    few = len(outlines) * 2 < len(areas)  # among points
    usual = 0.0 if few else float(np.median(areas[outlines]))
    large = [int(i) for i in outlines if areas[i] >= REGION / 5 * usual]
    if len(large) == len(areas):
        return set()
    between = _between(centres[areas == 0]) if few else np.inf
    return {
        i
        for i in large
        if (usual and len(outlines) >= 8 and areas[i] >= REGION * usual)
        or np.sqrt(areas[i] * 4 / np.pi) > WIDE * between
        or held(i) >= 3
    }


def _between(points: NDArray[np.float64]) -> float:
    """The median distance of points to the nearest other; infinite for too few to say."""
    if len(points) < 20:
        return float("inf")
    return float(np.median(cKDTree(points).query(points, k=2)[0][:, 1]))


def inside(corners: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) whether places (N, 2) x, y lie inside a closed ring (M, 2), by the even-odd rule."""
    (x, y), (u, v) = corners[:-1].T[:, :, None], corners[1:].T[:, :, None]
    px, py = places.T
    with np.errstate(divide="ignore", invalid="ignore"):
        at = (u - x) * (py - y) / (v - y) + x
    return (((y > py) != (v > py)) & (px < at)).sum(axis=0) % 2 == 1


def _held(shape: Shape, centres: NDArray[np.float64], own: int) -> int:
    left, top, right, bottom = shape.box
    within = ((centres >= (left, top)) & (centres <= (right, bottom))).all(axis=1)
    near = np.setdiff1d(np.flatnonzero(within), [own])
    return int(inside(shape.corners, centres[near]).sum()) if len(near) >= 3 else 0


def _gap(one: Shape, other: Shape) -> float:
    a, b = one.box, other.box
    return float(np.hypot(*np.maximum(0, np.maximum(a[:2] - b[2:], b[:2] - a[2:]))))


def _diameter(shape: Shape) -> float:
    return float(2 * np.sqrt(shape.area / np.pi))


def _pair(place: Any) -> tuple[float, float]:
    if not isinstance(place, Sequence) or isinstance(place, str) or len(place) < 2:
        raise ValueError(f"a place is {found(place)}, expected x, y")
    for name, value in zip("xy", place, strict=False):
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
            raise ValueError(f"{name} is {str(value)[:40]!r}, expected a number of px")
    return float(place[0]), float(place[1])


def _crosses(corners: NDArray[np.float64]) -> bool:
    """Whether two sides of a closed ring cross; rings of over 400 corners are taken as they are."""
    start, end = corners[:-1], corners[1:]
    if len(start) > 400:
        return False

    def side(a: NDArray, b: NDArray, c: NDArray) -> NDArray:
        first, second = b - a, c - a
        return np.sign(first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0])

    a, b, c, d = start[:, None], end[:, None], start[None], end[None]
    hit = (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
    return bool(hit.any())


def _even_odd(corners: NDArray[np.float64]) -> Shape | None:
    """The area inside a ring by scan lines; None if there is none."""
    low, high = corners[:, 1].min(), corners[:, 1].max()
    if high <= low:
        return None
    step = (high - low) / _LINES
    start, end = corners[:-1], corners[1:]
    total, moment = 0.0, np.zeros(2)
    for y in low + (np.arange(_LINES) + 0.5) * step:
        cut = (start[:, 1] > y) != (end[:, 1] > y)
        a, b = start[cut], end[cut]
        at = np.sort(a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1]))
        for left, right in zip(at[::2], at[1::2], strict=False):
            total += right - left
            moment += (right - left) * np.array([(left + right) / 2, y])
    if total * step < 1e-9:
        return None
    x, middle = (moment / total).tolist()
    return Shape(x, middle, total * step, corners)
