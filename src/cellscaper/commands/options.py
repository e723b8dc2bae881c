"""Values of command lines, checked: each function takes the text and raises CellscaperError with one line."""

import csv
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cellscaper.errors import CellscaperError

if TYPE_CHECKING:
    from cellscaper.layouts import LayoutSet

COLUMNS = ("y", "x", "class", "image", "kind", "y_end", "x_end", "box_height", "box_width")  # of --columns


def told(file: Path) -> Callable[[str], None]:
    """Prints what a reader of this file leaves out, a line each."""
    return lambda text: print(f"! {file.name}: {text}", file=sys.stderr)


def size(text: str) -> tuple[int, int]:
    """``512,1024`` → height, width in px."""
    parts = text.replace("x", ",").split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise CellscaperError(f"--size {text!r}: expected HEIGHT,WIDTH in whole px, for example 256,256")
    height, width = (int(part) for part in parts)
    if not (0 < height <= 1 << 17 and 0 < width <= 1 << 17):
        raise CellscaperError(f"--size {text!r}: expected a height and a width of at least 1 px (at most 131072)")
    return height, width


def positive(text: str, name: str) -> float:
    """A number above 0."""
    value = number(text, name)
    if value <= 0:
        raise CellscaperError(f"{name} {text!r}: expected a number above 0")
    return value


def microns(text: str | None) -> float | None:
    """The value of --mpp: µm a pixel of a microscope; None where it is not given."""
    if text is None:
        return None
    from cellscaper.datasets.scale import of_microscope

    return of_microscope(number(text, "--mpp"), "--mpp")


def number(text: str, name: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e12:
        raise CellscaperError(f"{name} {text!r}: expected a number")
    return value


def whole(text: str, name: str, least: int = 0, most: int = 10**18 - 1) -> int:
    """A whole number from ``least`` to ``most``."""
    if not text.isdecimal() or len(text) > 18 or not least <= int(text) <= most:
        limit = f" to {most}" if most < 10**18 - 1 else ""
        raise CellscaperError(f"{name} {text!r}: expected a whole number from {least}{limit}")
    return int(text)


def part(text: str) -> tuple[int, int]:
    """``3/50`` → the third of 50 parts."""
    number, sign, parts = (piece.strip() for piece in text.partition("/"))
    if not sign or not all(piece.isdecimal() and len(piece) < 10 for piece in (number, parts)):
        raise CellscaperError(f"--part {text!r}: expected K/N in whole numbers, for example 3/50")
    if not int(parts):
        raise CellscaperError(f"--part {text!r}: a set has at least one part, for example 1/1")
    if not 1 <= int(number) <= int(parts):
        raise CellscaperError(f"--part {text!r}: expected a part from 1 to {int(parts)}")
    return int(number), int(parts)


def amounts(text: str, name: str, whole: bool = False) -> dict[str, float]:
    """``a=12,b=3`` → numbers from 0, with ``whole`` only whole ones."""
    found: dict[str, float] = {}
    for part in text.split(","):
        key, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign or not key or key in found:
            raise CellscaperError(f"{name} {text!r}: expected CLASS=NUMBER,CLASS=NUMBER,… with each class once")
        amount = number(value, f"{name} {key}")
        if amount < 0 or (whole and amount != int(amount)):
            kind = "a whole number" if whole else "a number"
            raise CellscaperError(f"{name} {key}={value}: expected {kind} of at least 0")
        found[key] = amount
    return found


def names(text: str, name: str) -> tuple[str, ...]:
    """``a,b,c`` → different names in order."""
    found = tuple(fields(text, name))
    if not found or not all(found) or len(set(found)) < len(found):
        raise CellscaperError(f"{name} {text!r}: expected different names with commas between them")
    return found


def columns(text: str | None) -> dict[str, str] | list[str] | None:
    """The value of --columns: names by field, or fields in order; a field without a name is not there."""
    if text is None:
        return None
    parts = fields(text, "--columns")
    if any("=" in part for part in parts):
        named = dict(part.split("=", 1) for part in parts if "=" in part)
        if not {"y", "x"} <= set(named) <= set(COLUMNS) or len(named) != len(parts) or not (named["y"] and named["x"]):
            raise CellscaperError(f"--columns {text!r}: expected y=NAME,x=NAME,class=NAME (or without class)")
        return {field: name for field, name in named.items() if name}
    if not {"y", "x"} <= set(parts):
        raise CellscaperError(f"--columns {text!r}: expected y, x and class among the columns in order")
    return parts


def fields(text: str, option: str) -> list[str]:
    """The parts between commas; a part in quotes may hold commas: ``"a,b"=c``."""
    try:
        rows = list(csv.reader([text], skipinitialspace=True, strict=False))
    except csv.Error as error:
        raise CellscaperError(f"{option} {text!r}: {error}; expected parts with commas between them") from error
    return [part.strip() for part in rows[0]] if rows else []


def file(text: str, name: str) -> Path:
    """An existing file."""
    path = Path(text)
    if not path.is_file():
        raise CellscaperError(f"{name} {text}: there is no such file")
    return path


def file_or_folder(text: str, name: str) -> Path:
    """An existing file, or a folder (with the parts of a set)."""
    return Path(text) if Path(text).is_dir() else file(text, name)


def output(text: str) -> Path:
    """A file to write: its folder must be there."""
    path = Path(text)
    if not path.parent.is_dir():
        raise CellscaperError(f"{text}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise CellscaperError(f"{text} is a folder; name a file")
    return path


def spared(outputs: Iterable[Path], read: Iterable[Path]) -> None:
    """CellscaperError if a file to write is one that the command reads, also by a link to it."""
    inputs = list(read)
    for path in outputs:
        for one in inputs:
            if same_file(path, one):
                raise CellscaperError(f"{path} is a file that is read ({one}), and would be overwritten; name another")


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths are one file, also by links, or would be if they were there."""
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def chosen_layout(layouts: "LayoutSet", text: str | None, source: Path) -> "LayoutSet":
    """The one layout that --layout names, or all of them without it; ``source``: their file."""
    if text is None:
        return layouts
    from cellscaper.disk.formats.counted import counted

    number = whole(text, "--layout")
    if number >= len(layouts):
        raise CellscaperError(f"--layout {number}: {source} has {counted(len(layouts), 'layouts')}, numbered from 0")
    return layouts[number : number + 1]
