"""Reading of one dot file: a table of cells with any columns, or a format of an annotation program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.formats.annotated import Annotated
from cellscaper.disk.formats.annotations import format_of, read_annotated
from cellscaper.disk.formats.class_names import tidy
from cellscaper.disk.formats.reading import read_text
from cellscaper.disk.formats.table_cells import TableForm, read_table
from cellscaper.disk.formats.text_table import short
from cellscaper.errors import CellscaperError

FIELDS = ("y", "x", "class")


@dataclass(frozen=True)
class DotFormat:
    """The form of a dot file: see the settings in :mod:`cellscaper.datasets.dots`.

    labels: class as written, without blanks around it → index into the classes, negative for cells that are left out.
    """

    columns: Sequence[str] | Mapping[str, str]
    labels: Mapping[str, int]
    separator: str = "auto"
    header: bool | str = "auto"
    form: str = "auto"


@dataclass(frozen=True, eq=False)
class Dots:
    """points (N, 2) float32 y, x px; labels (N,) uint8; lines (N,) the line or number of each dot in its file."""

    points: NDArray[np.float32]
    labels: NDArray[np.uint8]
    lines: NDArray[np.int64]


def parse_dots(text: str, form: DotFormat, file: Path | str) -> Dots:
    """The dots in a table's text; blank lines are skipped, and an empty file has no cell.

    CellscaperError, with ``file:line``, for a wrong number of columns, a coordinate that is no number and a
    class that is not in ``form.labels``.
    """
    return labelled(read_table(text, TableForm(form.columns, form.separator, form.header), file), form, f"{file}:")


def read_cells(file: Path, form: DotFormat) -> tuple[Annotated, str]:
    """The cells of a file in any format, and the words before the number of an entry in messages."""
    kind = form.form if form.form != "auto" else format_of(file)
    if kind == "table":
        return read_table(read_text(file), TableForm(form.columns, form.separator, form.header), file), f"{file}:"
    return read_annotated(file, kind), f"{file}: cell "


def labelled(cells: Annotated, form: DotFormat, place: str) -> Dots:
    """The dots of cells, without those of classes that are left out; CellscaperError for an unknown class."""
    labels = np.array([form.labels.get(name, -2) for name in cells.names], np.int64)
    wrong = np.flatnonzero(labels == -2)
    if wrong.size:
        i = int(wrong[0])
        raise CellscaperError(
            f"{place}{cells.entries[i]}: class {short(cells.names[i])} is none of {', '.join(form.labels)}; correct "
            "the file or the class_map"
        )
    keep = labels >= 0
    points = cells.points[keep].astype(np.float32)
    return Dots(points.reshape(-1, 2), labels[keep].astype(np.uint8), cells.entries[keep])


def in_px(points: NDArray, unit: str, mpp: float, size: tuple[int, int]) -> NDArray:
    """Places in px: ``unit`` is px, um (µm, of ``mpp`` a pixel) or fraction (of height and width)."""
    if unit == "um":
        return points / mpp
    return points * np.array(size, points.dtype) if unit == "fraction" else points


def tidy_labels(labels: Mapping[str, int]) -> dict[str, int]:
    """The labels by the class as readers give it; CellscaperError if two spellings of a class differ in their label."""
    found: dict[str, int] = {}
    for name, label in labels.items():
        if found.setdefault(tidy(name), label) != label:
            raise CellscaperError(
                f"class_map: {name!r} is the same class as another entry, with another name; keep one"
            )
    return found
