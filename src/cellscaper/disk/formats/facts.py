"""The contents of a LayoutSet besides its cells, as JSON in the formats of other programs, and the reading of cells.

Files of cellscaper have a *head*, ``{"version": 1, "classes": [...], "mpp": 0.5}``, and the *facts* of each layout,
``{"size": [height, width], "source": "...", "origin": [y, x], "columns": {name: {dtype: value}}}``. With both a file
is read back to the equal LayoutSet. Other programs' files lack them (:class:`Given` has the missing facts).
Coordinates are written as the shortest decimals that give the same float32.
"""

import json
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.formats import doubts
from cellscaper.disk.formats.class_names import UNCLASSIFIED
from cellscaper.disk.formats.counted import are, counted
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet

VERSION = 1
LARGEST = 1e9  # px
_TYPES = ("bool", "float16", "float32", "float64", *(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)))
Json = dict[str, Any]  # what a file says of a layout, or of all of them
Columns = Mapping[str, Any]  # the values of one layout's columns by name
Say = Callable[[str], None]  # is told what is left out
Append = Callable[[Layout, Columns], None]  # adds one layout with the values of its columns


@dataclass(frozen=True)
class Given:
    """Facts that a file of another program lacks: size (height, width) px, µm a pixel, ordered class names.

    ``classes`` may also be a map, class in the file → name, or None to leave its cells out.
    ``columns`` of a text table: field → name in its header, or the fields in order.
    ``stands_in``: size and µm a pixel are of a file that does not say them; one that does is right.
    """

    size: tuple[int, int] | None = None
    mpp: float | None = None
    classes: tuple[str, ...] | Mapping[str, str | None] | None = None
    columns: Mapping[str, str] | Sequence[str] | None = None
    stands_in: bool = False


# -- writing -----------------------------------------------------------------------------------------------


def head(classes: Sequence[str], mpp: float) -> Json:
    """The facts that all layouts of a file share."""
    return {"version": VERSION, "classes": list(classes), "mpp": float(mpp)}


def facts(layout: Layout, columns: Columns) -> Json:
    """The facts of one layout; ``columns`` are its values in the free columns."""
    return {
        "size": [int(side) for side in layout.size],
        "source": layout.source,
        "origin": [int(corner) for corner in layout.origin],
        "columns": {name: _column(name, np.asarray(value)) for name, value in columns.items()},
    }


def _column(name: str, value: NDArray) -> dict[str, object]:
    if value.dtype.kind != "U" and value.dtype.name not in _TYPES:
        raise CellscaperError(f"column {name!r} holds {value.dtype}, expected numbers, truth values or text")
    kind = "str" if value.dtype.kind == "U" else value.dtype.name
    return {kind: _plain(value.tolist())}


def _plain(value: Any) -> Any:
    """The value for JSON: NaN and infinities, which JSON lacks, as text."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def decimals(points: NDArray[np.float32]) -> list[tuple[str, str]]:
    """(y, x) of each cell as the shortest decimals that give the same float32."""
    return [(_decimal(y), _decimal(x)) for y, x in points]


def _decimal(value: np.float32) -> str:
    text = str(value)
    return text if np.float32(float(text)) == value else repr(float(value))


def dump(value: Any) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


# -- reading -----------------------------------------------------------------------------------------------


@dataclass
class Cells:
    """Cells in the order of the file: points (N, 2) y, x; the class name of each; the number of its layout."""

    points: list[tuple[float, float]]
    names: list[str]
    layout: list[int]

    def add(self, y: Any, x: Any, name: Any, layout: Any = 0) -> None:
        """Add one cell; ValueError if a value is no number, no text or no layout."""
        self.points.append((number(y, "y"), number(x, "x")))
        if not isinstance(name, str) or not name:
            raise ValueError(f"cell {len(self.points)} has class {name!r}, expected a name")
        self.names.append(name)
        self.layout.append(whole(layout, "layout"))


def number(value: Any, name: str) -> float:
    """A finite number of px; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        raise ValueError(f"{name} is {str(value)[:40]!r}, expected a number of px")
    return float(value)


def whole(value: Any, name: str) -> int:
    """A whole number from 0; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError(f"{name} is {str(value)[:40]!r}, expected a whole number")
    return value


def assemble(
    path: Path,
    cells: Cells,
    own: Json | None,
    layouts: Sequence[Any] | None,
    given: Given,
    say: Say = lambda text: None,
) -> LayoutSet:
    """A LayoutSet from the cells of a file and its own head and facts, or those ``given`` for another program's file.

    Cells keep their order within each layout. Cells without a class are left out of another program's file if other
    cells have classes and ``given`` does not name them; ``say`` is told their number. CellscaperError if the file has
    no head and size or µm a pixel are not given, and if its contents do not fit together.
    """
    rows, every = list(layouts) if layouts is not None else None, cells
    if own is None:
        rows = rows if rows is not None or given.mpp is None else _other(path, cells, given)
        cells = _spelled(_classified(cells, given, say), given, say)
    classes, mpp = _head(path, cells, own, given)
    rows = _other(path, cells, given) if rows is None else rows
    if cells.layout and max(cells.layout) >= len(rows):
        raise ValueError(f"a cell is in layout {max(cells.layout)}, the file describes {len(rows)} layouts")
    index = {name: i for i, name in enumerate(classes)}
    unknown = sorted(set(cells.names) - set(index))
    if unknown:
        raise CellscaperError(f"{path}: class {unknown[0]!r} is none of {', '.join(classes)}")
    order = np.argsort(np.array(cells.layout, np.int64), kind="stable")
    parsed = [_facts(row) for row in rows]
    made = LayoutSet(
        points=np.array(cells.points, np.float64).reshape(-1, 2).astype(np.float32)[order],
        labels=np.array([index[name] for name in cells.names], np.uint8)[order],
        offsets=np.cumsum([0, *np.bincount(np.array(cells.layout, np.int64), minlength=len(rows))]),
        size=np.array([row[0] for row in parsed], np.int32).reshape(-1, 2),
        classes=classes,
        mpp=mpp,
        source=np.array([row[1] for row in parsed], np.str_),
        origin=np.array([row[2] for row in parsed], np.int32).reshape(-1, 2),
        columns=_columns([row[3] for row in parsed]),
    )
    if own is None:
        places, at = np.array(every.points, np.float64).reshape(-1, 2), np.array(every.layout, np.int64)
        told = doubts.cornered(places, made.size[at]) if given.size is not None else []
        for line in [*told, *doubts.of_layouts(made, given.classes is not None)]:
            say(line)
    return made


def _spelled(cells: Cells, given: Given, say: Say) -> Cells:
    """Cells with one spelling of each class, unless the user names the classes."""
    if given.classes is not None:
        return cells
    names, said = doubts.merged(cells.names)
    for line in said:
        say(line)
    return Cells(cells.points, names, cells.layout)


def _head(path: Path, cells: Cells, own: Json | None, given: Given) -> tuple[tuple[str, ...], float]:
    if own is None:
        if given.mpp is None:
            raise CellscaperError(f"{path} does not say how large a pixel is; give --mpp (µm a pixel, 0.5 at 20×)")
        classes = _order(given, cells.names)
        mpp: Any = given.mpp
    else:
        if own["version"] != VERSION:
            raise ValueError(f"its version is {own['version']!r}, this cellscaper reads {VERSION}")
        classes, mpp = tuple(own["classes"]), own["mpp"]
    if not all(isinstance(name, str) and name for name in classes) or not len(set(classes)) == len(classes) <= 256:
        raise ValueError("its classes are not up to 256 different names")
    if isinstance(mpp, bool) or not isinstance(mpp, int | float) or not 0 < mpp < 1e6:
        raise ValueError(f"mpp is {str(mpp)[:40]!r}, expected µm a pixel")
    return classes, float(mpp)


def _classified(cells: Cells, given: Given, say: Say) -> Cells:
    """The cells that have a class, if some have; all of them if none has, or if the user names these cells."""
    has = [name != UNCLASSIFIED for name in cells.names]
    if all(has) or not any(has) or UNCLASSIFIED in (given.classes or ()):
        return cells
    names = ",".join(_order(given, [name for name, one in zip(cells.names, has, strict=True) if one]))
    option = (
        f"--classes {shlex.quote(f'{names},{UNCLASSIFIED}')} keeps them"
        if len(names) < 200
        else f"--classes with {UNCLASSIFIED} keeps them"
    )
    number = has.count(False)
    say(f"{counted(number, 'cells')} without a class {are(number)} left out" + ("" if given.classes else f"; {option}"))
    kept = [i for i, one in enumerate(has) if one]
    return Cells([cells.points[i] for i in kept], [cells.names[i] for i in kept], [cells.layout[i] for i in kept])


def _order(given: Given, names: Sequence[str]) -> tuple[str, ...]:
    """The classes of cells: those in the order of the user first, the others sorted."""
    first = [name for name in given.classes or () if name in set(names)]
    return tuple(dict.fromkeys([*first, *sorted(set(names))]))


def _other(path: Path, cells: Cells, given: Given) -> list[Json]:
    if given.size is None:
        raise CellscaperError(f"{path} does not say how large its region is; give --size HEIGHT,WIDTH in px")
    n = max(cells.layout, default=0) + 1
    if n > max(1000, len(cells.layout)):  # numbers of layouts, not a million empty ones
        raise ValueError(f"a cell is in layout {n - 1}, of {len(cells.layout)} cells in all")
    return [{"size": list(given.size), "source": Path(path).stem, "origin": [0, 0], "columns": {}}] * n


def _facts(row: Any) -> tuple[list[int], str, list[int], dict[str, NDArray]]:
    size, origin = ([_int32(value, key) for value in row[key]] for key in ("size", "origin"))
    if len(size) != 2 or len(origin) != 2 or min(size) < 0:
        raise ValueError(f"size {size} and origin {origin} of a layout, expected two numbers each")
    if not isinstance(row["source"], str):
        raise ValueError("the source of a layout is no text")
    columns = {}
    for name, pair in row["columns"].items():
        ((kind, value),) = pair.items()
        columns[name] = _array(name, kind, value)
    return size, row["source"], origin, columns


def _int32(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**31) <= value < 2**31:
        raise ValueError(f"{name} holds {str(value)[:40]!r}, expected a whole number")
    return value


def _array(name: str, kind: Any, value: Any) -> NDArray:
    if kind == "str":
        return np.array(value, np.str_)
    if kind not in _TYPES:
        raise ValueError(f"column {name!r} has type {str(kind)[:40]!r}")
    dtype = np.dtype(kind)
    return _number_array(value).astype(dtype) if dtype.kind == "f" else np.array(value, dtype)


def _number_array(value: Any) -> NDArray[np.float64]:
    def one(item: Any) -> Any:
        return [one(part) for part in item] if isinstance(item, list) else float(item)

    return np.array(one(value), np.float64)


def _columns(rows: Sequence[Mapping[str, NDArray]]) -> dict[str, NDArray]:
    names = list(rows[0]) if rows else []
    if any(list(row) != names for row in rows):
        raise ValueError("its layouts do not have the same columns")
    return {name: np.stack([row[name] for row in rows]) for name in names}
