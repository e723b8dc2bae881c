"""Points of napari: a CSV file that napari opens by drag and drop, ``index,axis-0,axis-1,class,layout,cellscaper``.

axis-0 is y, axis-1 is x; the other columns become features of the points (colour them by ``class``). The last one is
empty but for the first cell, which has head and facts of all layouts as JSON (:mod:`cellscaper.disk.formats.facts`).
Reading takes any points file of napari with two axes, or with three where the first numbers the layouts.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cellscaper.disk.files import atomic
from cellscaper.disk.formats.facts import (
    Append,
    Cells,
    Columns,
    Given,
    Json,
    Say,
    assemble,
    decimals,
    dump,
    facts,
    head,
)
from cellscaper.disk.formats.reading import parse, read_text, reading
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet

FIELDS = ["index", "axis-0", "axis-1", "class", "layout", "cellscaper"]
UNCLASSIFIED = "unclassified"


@contextmanager
def write(path: Path, classes: Sequence[str], mpp: float) -> Iterator[Append]:
    """Yield a function that appends one layout. CellscaperError without cells: napari has no empty points files."""
    rows: list[list[object]] = []
    said: list[Json] = []

    def append(layout: Layout, columns: Columns) -> None:
        for (y, x), label in zip(decimals(layout.points), layout.labels.tolist(), strict=True):
            rows.append([len(rows), y, x, classes[label], len(said), ""])
        said.append(facts(layout, columns))

    yield append
    if not rows:
        raise CellscaperError(f"{path}: there are no cells; napari's points need at least one")
    rows[0][-1] = dump({**head(classes, mpp), "layouts": said})
    with atomic(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(FIELDS)
        out.writerows(rows)


def is_napari(path: Path) -> bool:
    """Whether the first line of a file names napari's axes."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            names = [name.strip().strip('"') for name in file.readline(10_000).split(",")]
    except OSError:
        return False
    return "axis-0" in names and "axis-1" in names and not {"y", "x"} <= set(names)


def read(path: Path, given: Given, say: Say = lambda text: None) -> LayoutSet:
    """The layouts of a points file; CellscaperError for any other file."""
    text = read_text(path)
    with reading(path, "a table of napari's points"):
        table = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            header = [name.strip() for name in next(table)]
            rows = [dict(zip(header, row, strict=True)) for row in table if row]
        except csv.Error as error:
            raise ValueError(str(error)) from error
        axes = sorted(name for name in header if name.startswith("axis-"))
        if len(set(header)) < len(header) or axes not in (["axis-0", "axis-1"], ["axis-0", "axis-1", "axis-2"]):
            raise ValueError(f"its axes are {', '.join(axes) or 'none'}, expected two, or three with the layout first")
        own = parse(rows[0]["cellscaper"]) if rows and rows[0].get("cellscaper") else None
        cells = Cells([], [], [])
        for row in rows:
            layout = row.get("layout") or 0 if len(axes) == 2 else float(row[axes[0]])
            if float(layout) % 1:
                raise ValueError(f"layout {layout}, expected a whole number")
            cells.add(float(row[axes[-2]]), float(row[axes[-1]]), row.get("class") or UNCLASSIFIED, int(float(layout)))
        return assemble(path, cells, own, None if own is None else own["layouts"], given, say)
