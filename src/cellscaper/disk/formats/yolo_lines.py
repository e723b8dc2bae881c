"""Lines of YOLO, ``class`` and fractions of width and height: boxes, polygons, oriented boxes, key points.

box           ``class x y width height``, x and y of the centre
polygon       ``class x y x y …``, three corners or more; of an oriented box four
key points    ``class x y width height x y …``, or ``x y visible`` each: a box, whose centre is the cell
prediction    each of them may have its confidence behind it

Places may lie a little outside of the image, since boxes and polygons reach over its border.
"""

import re
from collections.abc import Sequence

import numpy as np

from cellscaper.disk.formats import outlines
from cellscaper.disk.formats.annotated import Gathered

OUTSIDE = 0.1  # how far a place may lie outside of the image, in fractions of it
ROUNDED = 0.002  # how far a centre may, by rounding
BOX = 4  # numbers
_CLASS = re.compile(r"\d+(?:\.0*)?", re.ASCII)
_VISIBLE = 2.0  # of a key point; 1 is hidden, 0 not labelled
_HELD = 0.9  # share of lines whose first key point lies in their box

_Line = tuple[int, str, list[float]]  # its number, class, numbers


def numbers_of(fields: Sequence[str]) -> list[float] | None:
    """The numbers behind the class of a line; None for a line of something else."""
    if len(fields) < 1 + BOX or not _CLASS.fullmatch(fields[0]):
        return None
    try:
        values = [float(field) for field in fields[1:]]
    except ValueError:
        return None
    return values if all(-OUTSIDE <= value <= 1 + OUTSIDE or value == _VISIBLE for value in values) else None


def are_yolo(lines: Sequence[str]) -> bool:
    """Whether lines are those of YOLO, and not boxes alone (with or without a confidence), which are tables."""
    found = [values for line in lines if (values := numbers_of(line.split())) is not None]
    if not found or len(found) < len(lines) or max(map(len, found)) <= BOX + 1:
        return False
    return has_fractions(found)


def has_fractions(rows: Sequence[Sequence[float]]) -> bool:
    """Whether half of the numbers of lines or more are no whole ones."""
    broken = [value % 1 != 0 for values in rows for value in values]
    return 2 * sum(broken) >= len(broken)


def read_yolo(lines: Sequence[tuple[int, list[str]]]) -> Gathered:
    """The cells of lines (number, fields); ValueError with the number of the first that is none of YOLO's."""
    out, read = Gathered("fraction"), list[_Line]()
    for number, fields in lines:
        values = numbers_of(fields)
        if values is None:
            raise ValueError(
                f"line {number} is {' '.join(fields)[:40]!r}, expected a class and fractions of the image: a box or "
                "the corners of an outline"
            )
        read.append((number, fields[0], values))
    points = _have_key_points(read)
    if points:
        out.notes.append("the cells are the centres of YOLO's boxes, the key points are not used")
    for number, name, values in read:
        if points or len(values) <= BOX + 1:
            x, y, width, height = values[:BOX]
            area = width * height
        else:
            shape = outlines.outline([[x, y] for x, y in zip(values[::2], values[1::2], strict=False)])
            if shape is None:
                raise ValueError(f"line {number} has no corner")
            x, y, area = shape.x, shape.y, shape.area
        if area:
            out.add(_inside(y), _inside(x), name, number)
        else:
            out.leave(outlines.FLAT, f"line {number}")
    if not points:
        out.notes.append("the cells are the centres of outlines")
    return out


def _inside(centre: float) -> float:
    """A centre that lies outside of the image by rounding alone, at its border."""
    return float(np.clip(centre, 0, 1 - 1e-6)) if -ROUNDED <= centre <= 1 + ROUNDED else centre


def _have_key_points(read: Sequence[_Line]) -> bool:
    """Whether all lines are boxes with key points behind them: of one length, and a polygon would be far larger.

    A polygon has its corners near each other; of a box with key points the width and height would be its second corner.
    """
    if len({len(values) for _, _, values in read}) != 1 or len(read[0][2]) <= BOX + 1:
        return False
    rows = np.array([values for _, _, values in read])
    boxes, keys = rows[:, :BOX], rows[:, BOX : BOX + 2]
    even = rows[:, : rows.shape[1] // 2 * 2]
    wide = np.maximum(np.ptp(even[:, ::2], axis=1), np.ptp(even[:, 1::2], axis=1))
    within = (np.abs(keys - boxes[:, :2]) <= boxes[:, 2:] / 2 + 1e-6).all(axis=1) | (keys == 0).all(axis=1)
    return bool(within.mean() >= _HELD and np.median(boxes[:, 2:].max(axis=1)) < np.median(wide))
