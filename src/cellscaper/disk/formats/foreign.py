"""Layouts from a file of another program, for `cellscaper convert`: any format of `annotations`, and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.formats.agreement import with_classes
from cellscaper.disk.formats.annotated import Annotated, SaidScale
from cellscaper.disk.formats.annotations import format_of, read_annotated, unknown_json
from cellscaper.disk.formats.facts import Cells, Given, Say, assemble, whole
from cellscaper.disk.formats.reading import read_text, reading
from cellscaper.disk.formats.table_cells import TableForm, read_table
from cellscaper.disk.formats.table_columns import are_shapes, names_an_image, places, plain
from cellscaper.disk.formats.table_form import find_form, given_form
from cellscaper.disk.formats.text_table import Lines, line_of, short, split_lines
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet

WRITTEN = 1.25  # factor: how far a scale may be from that of a magnification
_FRAMES = ("t", "frame", "time", "timepoint", "timeframe", "framenumber", "frameid", "z", "slice")
FEWEST = 50  # cells whose places all lie between 0 and 1 are fractions


def read_foreign(path: Path, given: Given, say: Say, form: str | None = None, classes: Sequence[str] = ()) -> LayoutSet:
    """The layouts of a file: one, or one for each image that it names; ``say`` is told what was left out.

    What the user says of classes, size and scale is compared with the file by `agreement`.

    ``classes`` are the names in the file's own order. CellscaperError for any other file.
    """
    form = format_of(path) if form is None else form
    if form == "hovernet" and "".join(read_text(path).split()) == "{}":  # in a folder an image without nuclei
        raise CellscaperError(unknown_json({}, path))
    found = _table(path, given) if form == "table" else read_annotated(path, form)
    for note in found.notes:
        say(note)
    for line in found.left_out():
        say(line)
    given = _scaled(path, found.scale, given, say)
    layouts = _layouts(path, found, given, say)
    if given.classes:
        return layouts
    kept = {name.casefold(): name for name in (*reversed(classes), *layouts.classes)}  # one spelling of each
    return with_classes(layouts, tuple(dict.fromkeys(kept[name.casefold()] for name in (*classes, *layouts.classes))))


def _scaled(path: Path, scale: SaidScale | None, given: Given, say: Say) -> Given:
    """With the scale that the file says, where the user gives none; a contradiction is said."""
    if scale is None:
        return given
    told = f"{scale.mpp:.6g} µm a pixel by {scale.words} in the file"
    if scale.exact and (given.mpp is None or given.stands_in):
        say(told)
        return replace(given, mpp=scale.mpp)
    if given.mpp is None:
        raise CellscaperError(
            f"{path} does not say exactly how large a pixel is, only {told}; give --mpp {scale.mpp:g} if this is right"
        )
    near = WRITTEN if not scale.exact else 1 + 1e-6
    if not 1 / near <= given.mpp / scale.mpp <= near:
        say(f"{given.mpp:g} µm a pixel is taken" + (", as --mpp says" if not given.stands_in else "") + f"; {told}")
    return given


def _in_px(
    points: NDArray[np.float64], found: Annotated, size: tuple[int, int] | None, say: Say
) -> NDArray[np.float64]:
    """Places in px of an image of a size; those between 0 and 1 are fractions of it."""
    if size is None or found.images is not None or len(points) < FEWEST:
        return points
    if (points >= 0).all() and (points <= 1).all() and min(size) >= 16:
        say("all places lie between 0 and 1: they are taken as fractions of height and width")
        return points * np.array(size)
    return points


def _layouts(path: Path, found: Annotated, given: Given, say: Say) -> LayoutSet:
    points = found.points
    if found.unit == "um":
        if given.mpp is None:
            raise CellscaperError(f"{path} has its places in µm; give --mpp (µm a pixel, 0.5 at 20×)")
        say("the places are in µm by the names of their columns, and are divided by µm a pixel")
        points = points / given.mpp
    if found.unit == "fraction":
        if given.size is None:
            raise CellscaperError(f"{path} has its places in fractions of the image; give --size HEIGHT,WIDTH in px")
        points = points * np.array(given.size)
    points = _in_px(points, found, given.size, say)
    names = list(dict.fromkeys((*found.sizes, *(found.images or ())))) if found.images is not None else []
    numbers = {name: i for i, name in enumerate(names)}
    cells = Cells(
        [(float(y), float(x)) for y, x in points],
        list(found.names),
        [0] * len(points) if found.images is None else [numbers[name] for name in found.images],
    )
    with reading(path, "a file of cells"):
        if found.images is None:
            size = next(iter(found.sizes.values()), None) or given.size
            return assemble(path, cells, None, None, replace(given, size=size), say)
        rows = [_described(path, name, found.sizes.get(name) or given.size) for name in names]
        return assemble(path, cells, None, rows, given, say)


def _described(path: Path, name: str, size: tuple[int, int] | None) -> dict[str, object]:
    if size is None:
        raise CellscaperError(f"{path} does not say how large image {name[:60]!r} is; give --size HEIGHT,WIDTH in px")
    return {"size": list(size), "source": name, "origin": [0, 0], "columns": {}}


def _table(path: Path, given: Given) -> Annotated:
    """The cells of a table; with a column ``layout``, or one that names images, of several layouts."""
    text = read_text(path)
    lines = split_lines(text, path)
    if not lines.rows:
        raise CellscaperError(f"{path} is empty; expected a table of cells with the columns y, x and class")
    found = find_form({path: lines}, {path: given.size}) if given.columns is None else given_form(given.columns)
    if found.question is not None:
        raise CellscaperError(found.question)
    columns = found.form.columns
    if found.form.header is False and found.unit != "fraction":
        raise CellscaperError(_which(path, lines.rows[0][0], text, columns))
    header = _header(lines)
    numbered = next((name for name in header if name.lower() == "layout"), None)
    taken = set(columns.values()) if isinstance(columns, dict) else set()
    named = [name for name in header if name.lower() in ("image", "filename", "image_name", "file_name")]
    parts = [] if numbered or named else [name for name in header if name not in taken and _parts(lines, header, name)]
    by = numbered or next(iter([*named, *parts]), None)
    if isinstance(columns, dict) and by is not None and by not in columns.values():
        columns = {**columns, "image": by}
    cells = read_table(text, TableForm(columns, found.form.separator, found.form.header), path)
    notes = (*found.why, *cells.notes, *_frames(lines, header, columns))
    if parts and cells.images is not None:
        notes += (f"each value of column {parts[0]!r} is taken as an image, of the size that is given",)
    if found.corner:
        notes += ("y and x are taken as the centres of boxes, height and width are not used",)
    cells = replace(cells, notes=notes, unit=found.unit)
    return _numbered(path, cells, given) if numbered and cells.images is not None else cells


def _frames(lines: Lines, header: Sequence[str], columns: Mapping[str, str] | Sequence[str]) -> list[str]:
    """Sentences about columns of time or depth whose cells lie in one layout."""
    used = set(columns.values()) if isinstance(columns, Mapping) else set()
    plains = [plain(name) for name in header]
    known = {*_FRAMES, *(axis + "0" for axis in ("axis", "centroid") if {axis + "1", axis + "2"} <= set(plains))}
    said = []
    for at, name in enumerate(header):
        if plains[at] not in known or name in used:
            continue
        number = len({row[at] for _, row in lines.rows if len(row) == len(header) and row is not header})
        if number > 1:
            said.append(
                f"column {name!r} has {number} values, and the cells of all lie in one layout: name it 'image' to have "
                "a layout for each value"
            )
    return said


def _which(path: Path, number: int, text: str, columns: Sequence[str] | Mapping[str, str]) -> str:
    """The question which numbers of a table without a header are y and which x: no image decides it here."""
    orders = [list(columns), [{"y": "x", "x": "y"}.get(field, field) for field in columns]]
    one, other = (",".join(order) for order in sorted(orders, key=lambda order: order.index("y")))
    return (
        f"{path}:{number}: there is no header, and nothing tells which numbers are y and x "
        f"({short(line_of(text, number))}); write a header, or say --columns {one} or "
        f"--columns {other} (in cellscaper convert)"
    )


def _numbered(path: Path, cells: Annotated, given: Given) -> Annotated:
    """Layouts by their numbers, all of the given size."""
    with reading(path, "a table of cells"):
        numbers = [whole(int(text or 0), "layout") for text in cells.images or ()]
        n = max(numbers, default=0) + 1
        if n > max(1000, len(numbers)):  # numbers of layouts, not a million empty ones
            raise ValueError(f"a cell is in layout {n - 1}, of {len(numbers)} cells in all")
    names = [path.stem if n == 1 else f"{path.stem} {i}" for i in range(n)]
    return replace(cells, images=[names[i] for i in numbers], sizes=dict.fromkeys(names, given.size))


def _parts(lines: Lines, header: Sequence[str], name: str) -> bool:
    """Whether a column that may name images has a few values for many cells: fields of view, slides, tiles."""
    at = header.index(name)
    values = [row[at] for _, row in lines.rows if len(row) == len(header) and row is not header]
    return names_an_image(name) and 2 <= len(set(values)) <= len(values) / 4 and not are_shapes(values)


def _header(lines: Lines) -> list[str]:
    header = lines.rows[0][1]
    return header if places(header) is not None else lines.comment[1] if lines.comment else []
