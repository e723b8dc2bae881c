"""Reading of one dot file: a table of cells with any columns, or a format of an annotation program."""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellscaper.datasets.record import read_text
from cellscaper.disk.formats.annotations import format_of, read_annotated
from cellscaper.errors import CellscaperError

FIELDS = ("y", "x", "class")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SEPARATORS = {"comma": ",", "tab": "\t", "blank": None}
_LARGEST = 1e9


@dataclass(frozen=True)
class DotFormat:
    """The form of a dot file: see the settings in :mod:`cellscaper.datasets.dots`.

    labels: class as written → index into the classes, negative for cells that are left out.
    """

    columns: Sequence[str] | Mapping[str, str]
    labels: Mapping[str, int]
    separator: str = "auto"
    header: bool | str = "auto"
    form: str = "auto"


@dataclass(frozen=True, eq=False)
class Dots:
    """points (N, 2) float32 y, x px; labels (N,) uint8; lines (N,) the line of each dot, from 1."""

    points: NDArray[np.float32]
    labels: NDArray[np.uint8]
    lines: NDArray[np.int64]


def parse_dots(text: str, form: DotFormat, file: Path | str) -> Dots:
    """The dots in a file's text; blank lines are skipped, and an empty file has no cell.

    CellscaperError, with ``file:line``, for a wrong number of columns, a coordinate that is no number and a
    class that is not in ``form.labels``.
    """
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        return Dots(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), np.zeros(0, np.int64))
    fields = _splitter(form.separator, lines[0][1])
    first = fields(lines[0][1], f"{file}:{lines[0][0]}")
    at, width, has_header = _find_columns(first, form, f"{file}:{lines[0][0]}")
    points, labels, numbers = [], [], []
    for n, line in lines[has_header:]:
        place = f"{file}:{n}"
        row = fields(line, place)
        if len(row) != width:
            raise CellscaperError(f"{place}: {len(row)} columns in {short(line)}, expected {width}; correct the line")
        y, x, name = (row[i] for i in at)
        if name not in form.labels:
            raise CellscaperError(
                f"{place}: class {short(name)} is none of {', '.join(form.labels)}; correct the line or the class_map"
            )
        point = _number(y, "y", place), _number(x, "x", place)
        if form.labels[name] >= 0:
            points.append(point)
            labels.append(form.labels[name])
            numbers.append(n)
    return Dots(
        np.array(points, np.float64).reshape(-1, 2).astype(np.float32),
        np.array(labels, np.uint8),
        np.array(numbers, np.int64),
    )


def read_dots(file: Path, form: DotFormat, image: str) -> tuple[Dots, str]:
    """The dots of one file in any format, and the text between its name and the number of an entry in messages."""
    kind = form.form if form.form != "auto" else format_of(file) if file.is_file() else "table"
    if kind == "table":
        return parse_dots(read_text(file, f"dot file of {image},"), form, file), ":"
    found = read_annotated(file, kind)
    wrong = next((i for i, name in enumerate(found.names) if name not in form.labels), None)
    if wrong is not None:
        raise CellscaperError(
            f"{file}: cell {wrong} has class {short(found.names[wrong])}, none of {', '.join(form.labels)}; "
            "correct the file or the class_map"
        )
    labels = np.array([form.labels[name] for name in found.names], np.int64)
    keep = labels >= 0
    points = found.points[keep].astype(np.float32)
    return Dots(points, labels[keep].astype(np.uint8), np.flatnonzero(keep)), ": cell "


def _separator(separator: str, first: str) -> str:
    """The name of a separator; ``auto`` decides by the first line."""
    if separator != "auto":
        return separator
    return "comma" if "," in first else "tab" if "\t" in first.strip() else "blank"


def _splitter(separator: str, first: str) -> Callable[[str, str], list[str]]:
    """A function (line, place) → fields; ``auto`` decides by the first line."""
    separator = _separator(separator, first)
    if separator not in _SEPARATORS:
        raise CellscaperError(f"separator {separator!r}: expected auto, {', '.join(_SEPARATORS)}")
    delimiter = _SEPARATORS[separator]

    def fields(line: str, place: str) -> list[str]:
        if delimiter is None:
            return line.split()
        try:
            return [field.strip() for field in next(csv.reader([line], delimiter=delimiter))]
        except (csv.Error, StopIteration) as error:
            raise CellscaperError(f"{place}: {short(line)} is not a line of a {separator}-separated table") from error

    return fields


def _find_columns(first: list[str], form: DotFormat, place: str) -> tuple[tuple[int, ...], int, bool]:
    """Positions of y, x and class, the number of columns, and whether the first line is a header."""
    if form.header not in (True, False, "auto"):
        raise CellscaperError(f"header {form.header!r}: expected true, false or auto")
    names = form.columns if isinstance(form.columns, Mapping) else {field: field for field in FIELDS}
    missing = [field for field in FIELDS if field not in (names if names is form.columns else form.columns)]
    if missing:
        raise CellscaperError(f"columns {form.columns!r} lack {', '.join(missing)}; expected y, x and class")
    if isinstance(form.columns, Mapping):
        if form.header is False:
            raise CellscaperError(f"columns {form.columns!r} are header names, but header is false; list their order")
        absent = [name for name in names.values() if first.count(name) != 1]
        if absent:
            raise CellscaperError(f"{place}: the header has no single column {absent[0]!r}; it has {', '.join(first)}")
        return tuple(first.index(names[field]) for field in FIELDS), len(first), True
    columns = list(form.columns)
    at = tuple(columns.index(field) for field in FIELDS)
    has_header = form.header is True
    if form.header == "auto" and len(first) == len(columns):
        has_header = not any(_NUMBER.fullmatch(first[i]) for i in at[:2])
    if has_header:
        _check_order([name.lower() for name in first], columns, place)
    return at, len(columns), has_header


def _check_order(header: list[str], columns: list[str], place: str) -> None:
    """CellscaperError if a header names y and x in other columns than the settings."""
    for field in ("y", "x"):
        if field in header and header.index(field) != columns.index(field):
            raise CellscaperError(f"{place}: the header has {', '.join(header)}, columns say {', '.join(columns)}")


def _number(text: str, name: str, place: str) -> float:
    if not _NUMBER.fullmatch(text) or not abs(value := float(text)) < _LARGEST:
        raise CellscaperError(f"{place}: {name} is {short(text)}, expected a number of px; correct the line")
    return value


def short(text: str) -> str:
    """A field, shortened for error messages."""
    return repr(text if len(text) <= 60 else text[:57] + "…")


def number_in(text: str) -> bool:
    """Whether a field is a plain number."""
    return bool(_NUMBER.fullmatch(text))


def split_line(line: str, separator: str = "auto") -> tuple[str, list[str]]:
    """The separator of a line (detected if ``auto``) and its fields."""
    separator = _separator(separator, line)
    return separator, _splitter(separator, line)(line, "line")
