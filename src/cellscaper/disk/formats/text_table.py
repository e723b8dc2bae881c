"""Text tables of any program: separator, quotes, comments, decimal commas, blank lines, row names without a header.

A table is read line by line, so that each message names a line.
"""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cellscaper.errors import CellscaperError

SEPARATORS = {"comma": ",", "tab": "\t", "semicolon": ";", "bar": "|", "blank": None}
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COMMA_NUMBER = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?", re.ASCII)
_LONGEST_PREAMBLE = 10  # lines
_LOOK_AT = 20  # lines that decide on the separator


@dataclass(frozen=True)
class Lines:
    """The lines of a table: number (from 1) and fields of each, without comments and blank lines.

    ``comment`` has the fields of the last comment before them, which may be a header.
    """

    separator: str
    rows: list[tuple[int, list[str]]]
    comment: tuple[int, list[str]] | None = None


def split_lines(text: str, file: object, separator: str = "auto") -> Lines:
    """The lines of a table's text; CellscaperError with ``file:line`` for one that the separator does not fit."""
    if separator != "auto" and separator not in SEPARATORS:
        raise CellscaperError(f"separator {separator!r}: expected auto, {', '.join(SEPARATORS)}")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if lines and (told := re.fullmatch(r'"?sep=(.)"?', lines[0][1].strip())):  # Excel
        lines = lines[1:]
        separator = next((name for name, sign in SEPARATORS.items() if sign == told[1]), separator)
    comments = [one for one in lines if one[1].lstrip().startswith("#")]
    lines = [one for one in lines if not one[1].lstrip().startswith("#")]
    lines = lines[_preamble([line for _, line in lines]) :]
    chosen = separator if separator != "auto" else find_separator([line for _, line in lines[:_LOOK_AT]])
    fields = _splitter(chosen)
    rows = [(n, fields(line, f"{file}:{n}")) for n, line in lines]
    rows = [(n, row) for n, row in rows if any(row)]
    before = [one for one in comments if not rows or one[0] < rows[0][0]]
    comment = None
    if before:
        n, line = before[-1]
        try:
            comment = n, fields(line.lstrip().lstrip("#").strip(), f"{file}:{n}")
        except CellscaperError:
            comment = None
    return Lines(chosen, rows, comment)


def line_of(text: str, number: int) -> str:
    """A line of a table as it stands in the file; ``number`` from 1."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[number - 1].strip()


def _preamble(lines: Sequence[str]) -> int:
    """The number of lines before a table that have no separator, where nearly all lines behind them have (Imaris)."""
    signs = [sign for sign in SEPARATORS.values() if sign is not None]
    has = [any(sign in line for sign in signs) for line in lines]
    first = next((k for k, one in enumerate(has) if one), 0)
    rest = has[first:]
    return first if 0 < first <= _LONGEST_PREAMBLE and len(rest) > 1 and sum(rest) >= 0.9 * len(rest) else 0


def find_separator(lines: Sequence[str]) -> str:
    """The separator that cuts the lines into equal numbers of fields, most of them numbers or names without signs."""
    if not lines:
        return "comma"
    first = [name for name, sign in SEPARATORS.items() if sign is not None and sign in lines[0].strip()]
    if len(lines[0].split()) > 1 or not first:
        first.append("blank")
    if len(first) == 1:
        return first[0]

    def quality(name: str) -> tuple[float, float]:
        fields, counts, numbers = _splitter(name), [], 0
        for line in lines:
            try:
                row = fields(line, "line")
            except CellscaperError:
                row = []
            row = row[:-1] if len(row) > 1 and not row[-1] else row
            counts.append(len(row))
            numbers += sum(number_in(field) or comma_number_in(field) for field in row) >= 2
        usual = max(set(counts), key=counts.count)
        equal = counts.count(usual) + (counts[0] == usual - 1 and name == "blank")  # R leaves out a header
        return (equal / len(lines) if usual > 1 else 0.0), numbers / len(lines)

    order = ["tab", "semicolon", "comma", "blank", "bar"]
    return max(sorted(first, key=order.index), key=lambda name: sum(quality(name)))


def number_in(text: str) -> bool:
    """Whether a field is a plain number."""
    return bool(NUMBER.fullmatch(text))


def comma_number_in(text: str) -> bool:
    """Whether a field is a number with a decimal comma, or a whole one."""
    return bool(_COMMA_NUMBER.fullmatch(text))


def short(text: str) -> str:
    """A field, shortened for error messages."""
    return repr(text if len(text) <= 60 else text[:57] + "…")


def _splitter(separator: str) -> Callable[[str, str], list[str]]:
    """A function (line, place) → fields without blanks around them; blanks may stand around quotes, too."""
    sign = SEPARATORS[separator]

    def cut(line: str) -> list[str]:
        return next(csv.reader([line], delimiter=sign or " ", skipinitialspace=True, strict=True))

    def fields(line: str, place: str) -> list[str]:
        if sign is None and '"' not in line:
            return line.split()
        try:
            if sign is None:
                return next(csv.reader([re.sub(r"[\s\x00]+", " ", line.strip())], delimiter=" ", strict=True))
            try:
                return [field.strip() for field in cut(line)]
            except csv.Error:  # "x" , "y"
                return [field.strip() for field in cut(re.sub(rf'"[^\S\t]+(?={re.escape(sign)}|$)', '"', line))]
        except (csv.Error, StopIteration) as error:
            raise CellscaperError(f"{place}: {short(line)} is not a line of a {separator}-separated table") from error

    return fields
