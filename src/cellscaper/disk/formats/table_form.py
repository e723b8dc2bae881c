"""How text tables are to be read, found from their contents: columns, separator, header, unit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cellscaper.disk.formats import table_columns
from cellscaper.disk.formats.table_cells import TableForm, number, rows_of
from cellscaper.disk.formats.text_table import Lines, comma_number_in, number_in
from cellscaper.disk.formats.yolo_lines import has_fractions, numbers_of
from cellscaper.errors import CellscaperError

Size = tuple[int, int] | None  # height and width of a table's image in px, None where unknown
_YOLO = ("class", "x", "y", "width", "height", "confidence")  # x, y are the centres of boxes; the last may lack


@dataclass(frozen=True)
class Found:
    """The form of tables, their unit ("px", "um", "fraction"), and ``how`` it was found, in words.

    corner  columns of height and width of a box, of which y, x may be a corner
    why     sentences about decisions by values
    either  y and x may be the other way round
    question  what only the user can decide, with the options that do
    """

    form: TableForm
    how: str
    unit: str = "px"
    corner: dict[str, str] | None = None
    why: tuple[str, ...] = ()
    either: bool = False
    question: str | None = None


def find_form(tables: Mapping[Path, Lines], sizes: Mapping[Path, Size]) -> Found:
    """The columns of text tables: by their header, else by their numbers.

    Without a header, the dots must lie inside the images, which decides the order of y and x. If both orders fit,
    y comes first, and ``how`` mentions it. CellscaperError if no columns fit.
    """
    filled = {file: lines for file, lines in tables.items() if lines.rows}
    if not filled:
        raise CellscaperError(f"all {len(tables)} dot files are empty; no column can be found")
    file = max(filled, key=lambda one: len(filled[one].rows))
    found = by_header(filled[file], file)
    if found is not None:
        return found
    return _by_numbers(filled, file, sizes)


def given_form(columns: Mapping[str, str] | Sequence[str]) -> Found:
    """The form of a table whose columns the user names; CellscaperError for places in a unit that is not read."""
    if not isinstance(columns, Mapping):
        return Found(TableForm(list(columns)), "as given")
    unit = table_columns.unit_of(columns["y"]) or "px"
    if unit not in ("px", "um"):
        raise CellscaperError(f"column {columns['y']!r} is in {unit}, expected px or µm; convert it")
    return Found(TableForm(dict(columns)), "as given", unit)


def by_header(lines: Lines, file: Path) -> Found | None:
    """The columns of a table by its header; None if it has none."""
    commented = lines.comment is not None and table_columns.is_header(lines.comment[1])
    header = lines.rows[0][1]
    if not table_columns.is_header(header):
        fits = commented and len(header) - len(lines.comment[1]) in (0, 1)  # type: ignore[index]
        if not fits or table_columns.places(lines.comment[1]) is None:  # type: ignore[index]
            return None
        header = lines.comment[1]  # type: ignore[index]
    at = table_columns.places(header)
    table = rows_of(lines, TableForm(at, lines.separator), file) if at and _single(header, at) else None
    rows = [row for _, row in (table.rows if table else lines.rows[1:]) if len(row) == len(header)]
    try:
        roles = table_columns.find(header, rows)
    except ValueError as error:
        raise CellscaperError(f"{file}:{lines.rows[0][0]}: {error}") from error
    if roles is None:
        shown = ", ".join(header[:12])
        raise CellscaperError(
            f"{file}:{lines.rows[0][0]}: no columns y and x among {shown}; name them with --columns y=…,x=…,class=…"
        )
    doubled = next((name for name in roles.names.values() if header.count(name) > 1), None)
    if doubled is not None:
        raise CellscaperError(f"{file}:{lines.rows[0][0]}: two columns are named {doubled!r}; rename one")
    names = {field: name for field, name in roles.names.items() if field != "image"}
    told = ", ".join(f"{field} {names[field]!r}" for field in ("y", "x", "class") if field in names)
    how = f"{told if 'class' in names else told + ', no class'} in the header of {file.name}"
    return Found(
        TableForm(names, lines.separator), how, roles.unit, roles.corner, roles.why, question=_asked(roles, file)
    )


def _asked(roles: table_columns.Roles, file: Path) -> str | None:
    return None if roles.question is None else f"{file}: {roles.question}"


def _single(header: Sequence[str], at: Mapping[str, str]) -> bool:
    return all(header.count(name) == 1 for name in at.values())


def _by_numbers(filled: Mapping[Path, Lines], file: Path, sizes: Mapping[Path, Size]) -> Found:
    """The columns of tables without a header."""
    lines = filled[file]
    rows = {one: [row for _, row in part.rows] for one, part in filled.items()}
    width = max({len(row) for row in rows[file]}, key=[len(row) for row in rows[file]].count)
    rows = {one: [row[:-1] if len(row) == width and width > 2 and _last_empty(rows) else row for row in part]
            for one, part in rows.items()}  # fmt: skip
    width -= _last_empty({file: [row for _, row in lines.rows]}) and width > 2
    first = rows[file][0]
    boxes = [numbers_of(row) for part in rows.values() for row in part if len(row) == width]
    all_even = len(boxes) == sum(map(len, rows.values()))
    if width in (5, 6) and all_even and None not in boxes and has_fractions([box for box in boxes if box]):
        how = "no header: class and boxes as YOLO writes them"
        return Found(TableForm(_YOLO[:width], lines.separator, False), how, "fraction")
    if width not in (2, 3):
        raise CellscaperError(
            f"{file}:{lines.rows[0][0]}: {len(first)} columns and no header; "
            "say which they are with --columns y,x,class,…"
        )
    even = {one: [row for row in part if len(row) == width] for one, part in rows.items()}
    at = [i for i in range(width) if all(_is_number(row[i]) for part in even.values() for row in part)]
    one, other = (1, 2) if len(at) == 3 and _few_first(even) else (at[0], at[1]) if len(at) >= 2 else (0, 1)
    if len(at) < 2:
        shown = " ".join(first)[:60]
        raise CellscaperError(
            f"{file}:{lines.rows[0][0]}: {shown!r} has no two numbers for y and x; expected y, x and class, or a header"
        )
    inside = {
        order: sum(_inside(part, order, sizes.get(file)) for file, part in even.items())
        for order in ((one, other), (other, one))
    }
    y, x = max(inside, key=lambda order: inside[order])
    named = [row[i] for part in even.values() for row in part for i in range(width) if i not in (one, other)]
    if any(
        _is_number(text) and not text.lstrip("+-").isdecimal() and float(text.replace(",", ".")) % 1 for text in named
    ):
        raise CellscaperError(
            f"{file}:{lines.rows[0][0]}: {' '.join(first)[:60]!r} has three numbers, and none is a class; say which "
            "columns they are with --columns y,x,other"
        )
    columns = ["class"] * width
    columns[y], columns[x] = "y", "x"
    total = sum(len(part) for part in even.values())
    surely = inside[y, x] > inside[x, y]
    how = (
        f"{inside[y, x]} of {total} dots lie inside with y, x in this order, {inside[x, y]} in the other"
        if surely
        else "no header, and both orders of y and x fit the images: y is taken to come first (else --columns "
        + ",".join({"y": "x", "x": "y"}.get(name, name) for name in columns) + ")"
    )  # fmt: skip
    return Found(TableForm(columns, lines.separator, False), how, either=not surely)


def _last_empty(rows: Mapping[Path, list[list[str]]]) -> bool:
    return all(not row[-1] for part in rows.values() for row in part)


def _is_number(text: str) -> bool:
    return number_in(text) or comma_number_in(text)


def _few_first(rows: Mapping[Path, list[list[str]]]) -> bool:
    """Whether the first of three columns of numbers is the class: whole numbers with fewer values than the last."""
    values = [[row[i] for part in rows.values() for row in part] for i in (0, 2)]
    return all(re.fullmatch(r"\d+", one) for one in values[0]) and len(set(values[0])) * 4 < len(set(values[1]))


def _inside(rows: Sequence[Sequence[str]], order: tuple[int, int], size: Size) -> int:
    """Number of dots of an image that lie inside it."""
    if size is None:
        return 0
    places = [tuple(number(row[i], "y", "") for i in order) for row in rows]
    return sum(0 <= y < size[0] and 0 <= x < size[1] for y, x in places)
