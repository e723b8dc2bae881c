"""A built table (see :func:`cellscaper.report.tables.build.build`) as the parts of an HTML table."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cellscaper.report.pages.origins import cell_id
from cellscaper.report.pages.origins import row_id as row_anchor
from cellscaper.report.pages.pictures import Picture
from cellscaper.report.tables.notes import OTHER_DEFINITION, Note, reason_marks
from cellscaper.report.tables.text import decimals, gain_text, paper_text


@dataclass(frozen=True)
class Cell:
    """One cell as texts, '' where there is none: our value, the paper's, the difference, the gain over the row *real
    only* with its interval, the mark of a footnote, the id of the number's origin in the page."""

    ours: str
    paper: str = ""
    difference: str = ""
    gain: str = ""
    mark: str = ""
    run: bool = True
    origin: str = ""


@dataclass(frozen=True)
class Row:
    label: str
    kind: str  # floor, ceiling or '' (neither)
    cells: list[Cell]
    why: str = ""  # the reason why no cell has a number, neither ours nor the paper's
    id: str = ""


@dataclass(frozen=True)
class PageTable:
    """A table for the page; columns are (label, arrow, what the arrow says)."""

    id: str
    caption: str
    columns: list[tuple[str, str, str]]
    rows: list[Row]
    beside_paper: bool
    seeds: str  # how many are behind each number; '' where the number differs and the cells give it
    footnotes: list[Note] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_run: list[tuple[str, str]] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


def page_table(
    name: str,
    title: str,
    frame: pd.DataFrame,
    notes: list[Note],
    floor: Collection[str],
    ceiling: Collection[str],
    dataset: str = "",
) -> PageTable:
    """The parts of a table for the page. ``floor`` and ``ceiling`` are the ids of the rows that frame the others.

    ``footnotes`` are those notes whose mark stands in a cell, ``notes`` the texts of the notes on the whole table.
    ``not_run`` names what has no number and why: whole rows, or single columns of a row.
    """
    marks = reason_marks(frame)
    numbers = frame.loc[frame["status"] == "ok", "n"].unique().tolist()
    seeds = int(numbers[0]) if len(numbers) == 1 else None
    columns: list[tuple[str, str, str]] = []
    rows: list[Row] = []
    missing: dict[str, list[str]] = {}
    for row_id, part in frame.groupby("row", sort=False):
        cells: list[Any] = list(part.itertuples())
        columns = [
            (c.column_label, "↓", "lower is better") if c.lower_is_better else (c.column_label, "↑", "higher is better")
            for c in cells
        ]
        kind = "floor" if row_id in floor else "ceiling" if row_id in ceiling else ""
        label = str(part["row_label"].iloc[0])
        shown = [_cell(c, marks, seeds is None, cell_id(dataset, name, row_id, k)) for k, c in enumerate(cells)]
        why = cells[0].status.removeprefix("not run: ")
        bare = all(c.status == cells[0].status for c in cells) and not any(one.run or one.paper for one in shown)
        rows.append(Row(label, kind, shown, why if bare else "", row_anchor(dataset, name, row_id)))
        by_reason: dict[str, list[str]] = {}
        for c in cells:
            if c.status != "ok":
                by_reason.setdefault(c.status.removeprefix("not run: "), []).append(c.column_label)
        for reason, labels in by_reason.items():
            missing.setdefault(reason, []).append(
                label if len(labels) == len(cells) else f"{label} ({', '.join(labels)})"
            )
    marked = {cell.mark for row in rows if not row.why for cell in row.cells}
    if any(OTHER_DEFINITION in cell.paper for row in rows for cell in row.cells):
        marked.add(OTHER_DEFINITION)
    return PageTable(
        name,
        title,
        columns,
        rows,
        bool(frame["paper"].notna().any()),
        "" if seeds is None else f"{seeds} seed{'s' if seeds > 1 else ''}",
        [note for note in notes if note.mark and note.mark in marked],
        [note.text for note in notes if not note.mark],
        [(", ".join(labels), reason) for reason, labels in missing.items()],
    )


def _cell(cell: Any, marks: dict[str, str], with_n: bool, origin: str) -> Cell:
    paper = paper_text(cell)
    if cell.status != "ok":
        return Cell("not run", paper, mark=marks[cell.status.removeprefix("not run: ")], run=False)
    places = decimals(cell.mean)
    ours = f"{cell.mean:.{places}f}" + ("" if math.isnan(cell.sd) else f" ± {cell.sd:.{places}f}")
    difference = "" if math.isnan(cell.difference) else f"{cell.difference:+.{places}f}"
    number = f" ({cell.n})" if with_n else ""
    ours, difference = f"{ours}{number}".replace("-", "−"), difference.replace("-", "−")
    return Cell(ours, paper, difference, gain_text(cell), origin=origin)
