"""The form of the text tables of a folder, found or given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cellscaper.disk.formats.reading import read_text
from cellscaper.disk.formats.table_columns import AS_CLASS
from cellscaper.disk.formats.table_form import find_form, given_form
from cellscaper.disk.formats.text_table import split_lines
from cellscaper.errors import CellscaperError

LARGEST = 400  # tables that are looked at


Columns = tuple[str, ...] | dict[str, str]


@dataclass(frozen=True)
class Tables:
    """Settings of the reader `dots` for text tables; ``how`` explains in words how they were found.

    corner  columns of height and width of boxes, of which y and x may be a corner
    either  y and x may be the other way round
    form    the format of all files, if an empty file does not show it
    """

    columns: Columns
    how: str
    separator: str = "auto"
    header: bool | str = "auto"
    unit: str = "px"
    said: tuple[str, ...] = ()
    corner: dict[str, str] | None = None
    either: bool = False
    form: str = "auto"


def find_tables(
    files: Sequence[Path], sizes: Mapping[Path, tuple[int, int]], given: dict[str, str] | list[str] | None,
    image_column: str | None,
) -> Tables:  # fmt: skip
    """The columns of tables, by their contents or as given; ``sizes``: height and width of the image of each."""
    more = {} if image_column is None else {"image": image_column}
    if given is not None:
        form = given_form(given)
        fields = form.form.columns
        return Tables({**more, **fields} if isinstance(fields, Mapping) else tuple(fields), form.how, unit=form.unit)
    step = max(1, len(files) // LARGEST)
    tables = {file: split_lines(read_text(file), file) for file in files[::step]}
    if not any(lines.rows for lines in tables.values()):
        tables = {file: split_lines(read_text(file), file) for file in files}
    found = find_form(tables, {} if image_column else sizes)
    if found.question is not None:
        raise CellscaperError(found.question)
    columns, said = found.form.columns, found.why
    if isinstance(columns, Mapping) and columns.get("class") == image_column:
        columns = {field: name for field, name in columns.items() if field != "class"}
        said = tuple(one for one in said if not one.startswith(AS_CLASS))
    kept = {**columns, **more} if isinstance(columns, Mapping) else tuple(columns)
    separator = found.form.separator if found.form.header is False else "auto"
    return Tables(
        kept, found.how, separator, found.form.header, found.unit, said, found.corner, found.either
    )  # fmt: skip
