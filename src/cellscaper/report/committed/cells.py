"""Committed results: CSV files with a line for each number of a table, docs/results/<preset>/<table>.csv.

A number stands there as text: with all digits that are known, and no others. Numbers that were copied from a page have
the digits of the page; `decimals` of a cell says how many.
"""

import csv
import io
from dataclasses import dataclass, fields
from pathlib import Path

from cellscaper.errors import CellscaperError

NAMES = {"class_": "class"}  # a field's column where that is a word of Python


@dataclass(frozen=True)
class Cell:
    """A number of a table; '' where something is not known. All fields are text, as in the file.

    dataset, table, row, label      the row: its id, and how a reader sees it
    metric, class_, column          the score and its class, and how a reader sees the column
    reader                          the decoder or detector
    value, sd, n, seeds             mean over seeds, standard deviation (none for one seed), their number, the seeds
    samples, images                 layouts or images behind a seed's score; test images that a bootstrap drew
    low, high                       95 % interval over images, of one seed alone
    gain, gain_low, gain_high, gain_p   difference to the detector without generated pairs
    unit, lower                     unit; ``True`` if lower is better
    paper                           the paper's number, where it means the same
    preset, commit, machine, made   what made it: overlays joined by +, with @commit where they have changed since; UTC
    """

    dataset: str
    table: str
    row: str
    label: str
    metric: str
    class_: str
    column: str
    reader: str
    value: str
    sd: str = ""
    n: str = "1"
    seeds: str = ""
    samples: str = ""
    images: str = ""
    low: str = ""
    high: str = ""
    gain: str = ""
    gain_low: str = ""
    gain_high: str = ""
    gain_p: str = ""
    unit: str = ""
    lower: str = ""
    paper: str = ""
    preset: str = ""
    commit: str = ""
    machine: str = ""
    made: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What a rerun's number must share to be the same cell."""
        return self.dataset, self.table, self.row, self.metric, self.class_, self.reader

    @property
    def name(self) -> str:
        """The cell in words, for lists."""
        score = f"{self.metric} {self.class_}".strip()
        return f"{self.dataset} {self.table} {self.row}: {score}" + (f" by {self.reader}" if self.reader else "")

    @property
    def is_current(self) -> bool:
        """Whether today's preset makes it: no ``@commit`` behind the preset's name."""
        return "@" not in self.preset


COLUMNS = tuple(NAMES.get(one.name, one.name) for one in fields(Cell))
_NUMBERS = ("value", "sd", "low", "high", "gain", "gain_low", "gain_high", "paper")  # gain_p may be < 0.001


def to_csv(cells: list[Cell]) -> str:
    """The text of a file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(cell, one.name) for one in fields(Cell)] for cell in cells)
    return text.getvalue()


def read_cells(file: Path) -> list[Cell]:
    """The cells of a file; CellscaperError for other columns, a number that is none, a cell that stands twice."""
    with open(file, newline="", encoding="utf-8") as text:
        lines = list(csv.reader(text))
    if not lines or tuple(lines[0]) != COLUMNS:
        raise CellscaperError(f"{file} holds no committed results: expected the columns {', '.join(COLUMNS)}")
    cells, seen = [], set()
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(COLUMNS):
            raise CellscaperError(f"{file} line {number}: {len(line)} fields, expected {len(COLUMNS)}")
        cell = Cell(*line)
        for name in _NUMBERS:
            _checked(getattr(cell, name), name, file, number)
        if not cell.value or not cell.n.isdecimal() or cell.n == "0":
            raise CellscaperError(f"{file} line {number}: expected a value and n, its number of seeds")
        if (cell.key, cell.preset) in seen:
            raise CellscaperError(f"{file} line {number}: {cell.name} stands twice; keep one of them")
        seen.add((cell.key, cell.preset))
        cells.append(cell)
    return cells


def _checked(text: str, name: str, file: Path, line: int) -> None:
    try:
        float(text or "0")
    except ValueError:
        raise CellscaperError(f"{file} line {line}: {name} {text!r} is not a number") from None


def decimals(text: str) -> int:
    """Decimal places of a number as written: 1 of 13.6, 0 of 12 and of 1e+20, 7 of 2.3e-06."""
    digits, _, exponent = text.lower().partition("e")
    places = len(digits.partition(".")[2])
    return max(0, places - int(exponent or 0))


def written(value: float) -> str:
    """A number with eight digits, '' for NaN."""
    return "" if value != value else f"{value:.8g}"
