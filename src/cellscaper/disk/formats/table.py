"""CSV: a line for each cell, ``layout,y,x,class,cellscaper``, on request with a column ``image`` behind ``layout``.

In the first line of each layout the last field has the layout's facts as JSON, in layout 0 also the head
(:mod:`cellscaper.disk.formats.facts`); elsewhere it is empty. A layout without cells is a line without y, x and class.
Rows may stand in any order. Tables of other programs are read by :mod:`cellscaper.disk.formats.foreign`.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from cellscaper.disk.files import atomic
from cellscaper.disk.formats.annotations import format_of
from cellscaper.disk.formats.class_names import tidy
from cellscaper.disk.formats.facts import (
    Append,
    Cells,
    Columns,
    Given,
    Say,
    assemble,
    decimals,
    dump,
    facts,
    head,
    whole,
)
from cellscaper.disk.formats.foreign import read_foreign
from cellscaper.disk.formats.reading import parse, read_text, reading
from cellscaper.layouts import Layout, LayoutSet

FIELDS = ["layout", "y", "x", "class", "cellscaper"]


class _UnixLines:
    """Ends rows with a line feed; csv.writer quotes a carriage return in a field only if its rows end with both."""

    def __init__(self, file: TextIO):
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix("\r\n") + "\n")


@contextmanager
def write(path: Path, classes: Sequence[str], mpp: float, images: bool = False) -> Iterator[Append]:
    """Yield a function that appends one layout. ``images``: whether each line names the layout's source."""
    with atomic(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(_UnixLines(file))
        out.writerow([FIELDS[0], "image", *FIELDS[1:]] if images else FIELDS)
        n = 0

        def append(layout: Layout, columns: Columns) -> None:
            nonlocal n
            own = facts(layout, columns) | ({} if n else {"file": head(classes, mpp)})
            rows = [
                (y, x, classes[label])
                for (y, x), label in zip(decimals(layout.points), layout.labels.tolist(), strict=True)
            ]
            for k, row in enumerate(rows or [("", "", "")]):
                out.writerow([n, *([layout.source] if images else []), *row, "" if k else dump(own)])
            n += 1

        yield append
        if not n:
            out.writerow([0, *([""] if images else []), "", "", "", dump({"file": head(classes, mpp)})])


def read(path: Path, given: Given, say: Say) -> LayoutSet:
    """The layouts of a CSV file; CellscaperError for any other file."""
    text = read_text(path)
    if not is_own(text):
        return read_foreign(path, given, say, format_of(path))
    with reading(path, "a table of cells with the columns y, x and class"):
        table = csv.reader(io.StringIO(text), strict=True)
        try:
            header = [name.strip().lower() for name in next(table, [])]
            missing = [name for name in ("y", "x", "class") if header.count(name) != 1]
            if missing:
                raise ValueError(f"its header has no single column {missing[0]!r}")
            return _read(path, [dict(zip(header, row, strict=True)) for row in table if any(row)], given, say)
        except csv.Error as error:
            raise ValueError(str(error)) from error


def is_own(text: str) -> bool:
    """Whether cellscaper wrote a table."""
    return "cellscaper" in text.split("\n", 1)[0].lower()


def _read(path: Path, rows: list[dict[str, str]], given: Given, say: Say) -> LayoutSet:
    """Layouts by their numbers: rows may stand in any order."""
    cells, layouts = Cells([], [], []), dict[int, Any]()
    own: Any = None
    for row in rows:
        number = whole(int(tidy(row.get("layout") or 0)), "layout")
        if row.get("cellscaper"):
            said = parse(row["cellscaper"])
            own = said.pop("file", own)
            if said and layouts.setdefault(number, said) is not said:
                raise ValueError(f"the facts of layout {number} occur twice")
        if row["class"] or row["y"] or row["x"]:
            cells.add(float(row["y"]), float(row["x"]), row["class"], number)
    if sorted(layouts) != list(range(len(layouts))):
        raise ValueError(f"the facts of layout {min(set(range(len(layouts))) - set(layouts))} are missing")
    return assemble(path, cells, own, None if own is None else [layouts[i] for i in range(len(layouts))], given, say)
