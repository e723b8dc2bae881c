"""Outlines as lines of numbers: the ``_cp_outlines.txt`` of Cellpose, and what YOLO writes besides boxes.

Cellpose  ``x,y,x,y,…``: a cell a line, whole px
YOLO      ``class x y x y …``: fractions of width and height (`yolo_lines`)
"""

import re
from pathlib import Path

from cellscaper.disk.formats import outlines
from cellscaper.disk.formats.annotated import Gathered
from cellscaper.disk.formats.class_names import UNCLASSIFIED
from cellscaper.disk.formats.yolo_lines import are_yolo, read_yolo

_SOME = 65536  # bytes that decide
_CORNERS = 6  # numbers of an outline of three corners
_WHOLE = re.compile(r"-?\d+(?:,-?\d+)+,?", re.ASCII)


def are_outlines(path: Path) -> bool:
    """Whether the lines of a file are outlines. Lines of one length may be a table, but for Cellpose's name."""
    try:
        with path.open("rb") as file:
            text = file.read(_SOME).decode("ascii")
    except (OSError, UnicodeDecodeError):
        return False
    lines = [" ".join(line.split()) for line in (text if len(text) < _SOME else text.rpartition("\n")[0]).split("\n")]
    lines = [line for line in lines if line]
    if are_yolo(lines):
        return True
    numbers = [line.strip(",").count(",") + 1 for line in lines if _WHOLE.fullmatch(line)]
    if not lines or len(numbers) < len(lines) or any(n % 2 or n < 2 for n in numbers) or max(numbers) < _CORNERS:
        return False
    return path.name.lower().endswith("_outlines.txt") or len(set(numbers)) > 1


def read_outlines(text: str) -> Gathered:
    """The centres of the outlines; ValueError with the number of the first line that is none."""
    lines = [(n, line.split()) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if lines and len(lines[0][1]) > 1:
        return read_yolo(lines)
    out = Gathered("px")
    for n, fields in lines:
        numbers = [one for one in ",".join(fields).split(",") if one]
        if len(numbers) % 2 or len(numbers) < 2:
            raise ValueError(f"line {n} has {len(numbers)} numbers, expected x and y of each corner")
        try:
            places = [float(one) for one in numbers]
            shape = outlines.outline([[x, y] for x, y in zip(places[::2], places[1::2], strict=True)])
        except ValueError as error:
            raise ValueError(f"line {n}: {error}") from error
        if shape is None or not shape.area:
            out.leave(outlines.FLAT, f"line {n}")
        else:
            out.add(shape.y, shape.x, UNCLASSIFIED, n)
    out.notes.append("the cells are the centres of outlines")
    return out
