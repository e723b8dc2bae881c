"""Markdown tables of committed results, between the marks of a page: ``<!-- made: brca-small/tc_table1.csv -->``."""

import re
from collections.abc import Sequence
from pathlib import Path

from cellscaper.errors import CellscaperError
from cellscaper.report.committed.cells import Cell, decimals, read_cells
from cellscaper.report.tables.text import decimals as shown_decimals

MARK = re.compile(r"(<!-- made: (\S+\.csv) -->\n).*?(<!-- end -->)", re.DOTALL)
OPENED = re.compile(r"<!-- made: \S+\.csv -->")


def page(text: str, folder: Path) -> str:
    """A page with each marked table made anew from its file in ``folder``; CellscaperError for an open mark."""
    made = MARK.sub(lambda mark: f"{mark[1]}{table(read_cells(folder / mark[2]), mark[2])}\n{mark[3]}", text)
    if len(OPENED.findall(text)) != len(MARK.findall(text)):
        raise CellscaperError("a table that is made from a CSV file has no <!-- end --> behind it")
    return made


def table(cells: Sequence[Cell], link: str) -> str:
    """A Markdown table: rows and columns in the order of the cells, and a line of what made them below."""
    columns = list(dict.fromkeys((cell.column, cell.lower) for cell in cells))
    rows = list(dict.fromkeys((cell.row, cell.label) for cell in cells))
    placed = {(cell.row, cell.label, cell.column): cell for cell in cells}
    if len(placed) < len(cells):
        raise CellscaperError(f"{link}: two cells in one place of the table; give rows or columns labels of their own")
    same_n = len({cell.n for cell in cells}) == 1
    lines = [["", *(f"{name} {_ARROWS[lower]}".strip() for name, lower in columns)], ["---"] * (len(columns) + 1)]
    for row, label in rows:
        there = [placed.get((row, label, column)) for column, _ in columns]
        lines.append([label, *("–" if one is None else text(one, same_n) for one in there)])
    return "\n".join([*("| " + " | ".join(line) + " |" for line in lines), "", _below(cells, link)])


_ARROWS = {"True": "↓", "False": "↑", "": ""}


def text(cell: Cell, same_n: bool = True) -> str:
    """``0.232 ± 0.011``, ``0.232 [0.210, 0.254]`` for one seed, with the paper's number and the gain, if there are."""
    places = min(shown_decimals(float(cell.value)), decimals(cell.value))
    parts = [f"{float(cell.value):.{places}f}"]
    if cell.sd:
        parts[0] += f" ± {float(cell.sd):.{places}f}"
    if cell.low:
        parts[0] += f" [{float(cell.low):.{places}f}, {float(cell.high):.{places}f}]"
    if not same_n:
        parts[0] += f" ({cell.n})"
    if cell.paper:
        parts.append(f"paper {cell.paper}")
    if cell.gain:
        low, high = float(cell.gain_low), float(cell.gain_high)
        parts.append(f"Δ {float(cell.gain):+.3f} [{low:+.3f}, {high:+.3f}]{_p(cell.gain_p)}")
    return " · ".join(parts).replace("-", "−")


def _p(p: str) -> str:
    if not p or p.startswith("<"):
        return f", p {p}" if p else ""
    return f", p {float(p):.2g}" if float(p) >= 0.001 else ", p < 0.001"


def _below(cells: Sequence[Cell], link: str) -> str:
    """Seeds, layouts, intervals, commits and the file itself, in a line."""
    numbers = sorted({int(cell.n) for cell in cells})
    seeds = "one seed" if numbers == [1] else f"mean ± sd over n = {' or '.join(map(str, numbers))} seeds"
    intervals = {cell.images for cell in cells if cell.low}
    parts = [seeds]
    if intervals:
        parts.append(f"[95 % interval over {' or '.join(sorted(filter(None, intervals), key=int))} test images]")
    if any(cell.paper for cell in cells):
        parts.append("behind it the paper's number")
    commits = dict.fromkeys(name for cell in cells for name in cell.commit.split())
    if commits:
        parts.append("commit " + ", ".join(f"`{name[:7]}`" for name in commits))
    machines = dict.fromkeys(cell.machine for cell in cells if cell.machine)
    return f"*{'; '.join([*parts, *machines])}; all numbers: [{link}]({link}).*"
