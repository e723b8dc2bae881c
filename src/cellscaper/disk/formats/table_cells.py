"""The cells in a text table whose columns are known."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellscaper.disk.formats.annotated import Annotated, Gathered
from cellscaper.disk.formats.class_names import UNCLASSIFIED, plain_key, tidy
from cellscaper.disk.formats.counted import counted
from cellscaper.disk.formats.facts import LARGEST
from cellscaper.disk.formats.outlines import FLAT, of_each_image, region_boxes
from cellscaper.disk.formats.table_columns import NO_CELLS
from cellscaper.disk.formats.text_table import Lines, comma_number_in, line_of, number_in, short, split_lines
from cellscaper.errors import CellscaperError

FIELDS = ("y", "x", "class", "image", "kind", "y_end", "x_end", "box_height", "box_width")
PLACES = ("y", "x")
BOXES = (*PLACES, "y_end", "x_end", "box_height", "box_width")


@dataclass(frozen=True)
class TableForm:
    """How a table is read.

    columns    fields in the order of the columns (names that are none of FIELDS are ignored), or field → header name
    separator  auto, comma, tab, semicolon or blank
    header     whether the first line names the columns; auto: if its y and x are no numbers
    """

    columns: Sequence[str] | Mapping[str, str]
    separator: str = "auto"
    header: bool | str = "auto"


@dataclass(frozen=True)
class Rows:
    """The rows of a table: fields with their places, the number of columns, (line, fields) of each."""

    at: dict[str, int]
    width: int
    rows: list[tuple[int, list[str]]]
    header: list[str] | None


def read_table(text: str, form: TableForm, file: Path | str) -> Annotated:
    """The cells in a table's text; ``entries`` are the numbers of their lines. An empty table has no cell.

    CellscaperError, with ``file:line``, for a wrong number of columns and for a coordinate that is no number.
    """
    lines = split_lines(text, file, form.separator)
    table = rows_of(lines, form, file)
    out = Gathered()
    cells: list[tuple[float, float, str, int, str | None]] = []
    boxes: list[tuple[float, float]] = []  # height, width
    for n, row in table.rows:
        place = f"{file}:{n}"
        if len(row) != table.width:
            raise CellscaperError(f"{place}: {_uneven(row, short(line_of(text, n)), table, form)}")
        fields = {field: row[i] for field, i in table.at.items()}
        if (kind := plain_key(fields.get("kind", ""))) in NO_CELLS:
            out.left[NO_CELLS[kind]] += 1
            continue
        if any(tidy(fields[field]) == UNCLASSIFIED for field in BOXES if field in fields):
            out.leave("lines without a place", f"line {n}")
            continue
        y, x, box = *(_middle(fields, axis, place) for axis in PLACES), _box(fields, place)
        if box is not None and not box[0] * box[1]:
            out.leave(FLAT, f"line {n}")
            continue
        cells.append((y, x, fields.get("class", UNCLASSIFIED), n, fields.get("image")))
        if box is not None:
            boxes.append(box)
    large = _regions(cells, boxes) if boxes else set()
    for k, cell in enumerate(cells):
        if k in large:
            out.leave("regions around cells", f"line {cell[3]}")
        else:
            out.add(*cell)
    return out.done()


def _regions(
    cells: Sequence[tuple[float, float, str, int, str | None]], boxes: Sequence[tuple[float, float]]
) -> set[int]:
    """Places in the list of cells of those that are regions of tissue by their boxes (height, width)."""
    centres = np.array([cell[1::-1] for cell in cells])
    half = np.array(boxes)[:, ::-1] / 2
    corners = np.concatenate([centres - half, centres + half], axis=1)
    return of_each_image([cell[4] for cell in cells], lambda own: region_boxes(corners[own]))


def _uneven(row: list[str], shown: str, table: Rows, form: TableForm) -> str:
    """What is wrong with a row of another length: the row, or the columns if most rows have this length."""
    usual = Counter(len(one) for _, one in table.rows).most_common(1)[0][0]
    if table.header is not None or usual == table.width or usual != len(row):
        return f"{len(row)} columns in {shown}, expected {table.width}; correct the line"
    named = ",".join(form.columns)
    columns = counted(usual, "columns")
    return (
        f"the table has {columns} ({shown}), and columns are named for {table.width} ({named}, by --columns or the "
        "other files); name each of its columns in order, as in --columns x,y,class"
    )


def rows_of(lines: Lines, form: TableForm, file: Path | str) -> Rows:
    """The rows of a table, without header, row names and empty fields behind the last column."""
    if form.header not in (True, False, "auto"):
        raise CellscaperError(f"header {form.header!r}: expected true, false or auto")
    if missing := [field for field in PLACES if field not in form.columns]:
        raise CellscaperError(f"columns {form.columns!r} lack {', '.join(missing)}; expected y, x and class")
    if not lines.rows:
        return Rows({}, 0, [], None)
    start, first = lines.rows[0]
    if isinstance(form.columns, Mapping):
        if form.header is False:
            raise CellscaperError(f"columns {form.columns!r} are header names, but header is false; list their order")
        header, rest = first, lines.rows[1:]
        commented = lines.comment[1] if lines.comment and lines.comment[0] < start else []
        if not _all_named(header, form.columns) and _all_named(commented, form.columns):
            header, rest = commented, lines.rows
        places = [_column(header, name, form.columns, f"{file}:{start}") for name in form.columns.values()]
        at, width = dict(zip(form.columns, places, strict=True)), len(header)
        return Rows(at, width, _even(rest, width, min(at["y"], at["x"])), header)
    columns = list(form.columns)
    at = {field: columns.index(field) for field in FIELDS if field in columns}
    first = first[:-1] if len(first) == len(columns) + 1 and not first[-1] else first
    has_header = form.header is True
    if form.header == "auto" and len(first) in (len(columns), len(columns) - 1):
        has_header = not any(_number_in(first[i]) for field, i in at.items() if field in PLACES and i < len(first))
        has_header = has_header and (
            len(first) == len(columns) or any(len(row) == len(columns) for _, row in lines.rows)
        )
    if has_header:
        _check_order([name.lower() for name in first], columns, f"{file}:{start}")
    rows = lines.rows[has_header:]
    return Rows(at, len(columns), _even(rows, len(columns), None), first if has_header else None)


def _even(rows: list[tuple[int, list[str]]], width: int, place: int | None) -> list[tuple[int, list[str]]]:
    """Rows without an empty field behind the last column and, under a header, without R's row names.

    ``place``: under a header the first column with a place.
    """
    longer = place is not None and rows and all(len(row) == width + 1 for _, row in rows)
    if longer and (any(row[-1] for _, row in rows) or _numbered(rows, width, place or 0)):
        return [(n, row[1:]) for n, row in rows]
    return [(n, row[:-1] if len(row) == width + 1 and not row[-1] else row) for n, row in rows]


def _numbered(rows: list[tuple[int, list[str]]], width: int, place: int) -> bool:
    """Whether rows with an empty last field would have 0, 1, … or 1, 2, … as places, and a number as last column.

    Then row names stand before the columns, and the last column is empty.
    """
    first = [row[place] for _, row in rows]
    numbers = any(first == [str(k + start) for k in range(len(rows))] for start in (0, 1))
    return numbers and all(_number_in(row[width - 1]) for _, row in rows)


def number(text: str, name: str, place: str) -> float:
    """A number with a decimal point or comma; CellscaperError otherwise."""
    plain = text.replace(",", ".") if comma_number_in(text) else text
    if not number_in(plain) or not abs(value := float(plain)) < LARGEST:
        raise CellscaperError(f"{place}: {name} is {short(text)}, expected a number of px; correct the line")
    return value


def _number_in(text: str) -> bool:
    return number_in(text) or comma_number_in(text)


def _middle(fields: Mapping[str, str], axis: str, place: str) -> float:
    """The place on an axis, or the middle of a box."""
    first = number(fields[axis], axis, place)
    if (end := f"{axis}_end") in fields:
        return (first + number(fields[end], end, place)) / 2
    side = "box_height" if axis == "y" else "box_width"
    return first + number(fields[side], side, place) / 2 if side in fields else first


def _box(fields: Mapping[str, str], place: str) -> tuple[float, float] | None:
    """Height and width of a box; None for a point."""
    if "y_end" in fields and "x_end" in fields:
        height, width = (
            number(fields[f"{axis}_end"], axis, place) - number(fields[axis], axis, place) for axis in "yx"
        )
    elif "box_height" in fields and "box_width" in fields:
        height, width = (number(fields[field], field, place) for field in ("box_height", "box_width"))
    else:
        return None
    return height, width


def same_name(one: str, other: str) -> bool:
    """Whether two names of columns are the same but for capital letters, blanks and the sign for µ."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _all_named(header: Sequence[str], columns: Mapping[str, str]) -> bool:
    return all(name in header or sum(same_name(name, one) for one in header) == 1 for name in columns.values())


def _column(header: Sequence[str], name: str, columns: Mapping[str, str], place: str) -> int:
    same = [i for i, one in enumerate(header) if one == name] or [
        i for i, one in enumerate(header) if same_name(one, name)
    ]
    if len(same) != 1:
        shown = ", ".join(header)
        shown = shown if len(shown) <= 200 else shown[:197] + "…"
        wanted = ", ".join(f"{field} {one!r}" for field, one in columns.items())
        if any(_number_in(one) for one in header):
            raise CellscaperError(
                f"{place}: this file has no header, its first line is {shown}; expected one with {wanted}, as "
                "--columns or the other files say: write it into the first line"
            )
        raise CellscaperError(
            f"{place}: the header has no single column {name!r}; it has {shown}, and --columns or the other files say "
            f"{wanted}: name the columns of this file so, or name with --columns those that all files have"
        )
    return same[0]


def _check_order(header: list[str], columns: list[str], place: str) -> None:
    """CellscaperError if a header names y and x in other columns than the settings."""
    for field in PLACES:
        if field in header and header.index(field) != columns.index(field):
            raise CellscaperError(f"{place}: the header has {', '.join(header)}, columns say {', '.join(columns)}")
