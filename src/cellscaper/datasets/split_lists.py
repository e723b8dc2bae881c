"""Splits by lists of image names, by a table with a column of splits, or by folders."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from cellscaper.datasets.identity import Names, first_few
from cellscaper.datasets.pictures import words
from cellscaper.datasets.record import SPLITS, read_text
from cellscaper.disk.formats import h5ad, reading
from cellscaper.disk.formats.reading import suffix
from cellscaper.disk.formats.text_table import find_separator, short, split_lines
from cellscaper.errors import CellscaperError

WORDS = {
    "train": ("train", "training", "trn", "trainset", "traindata"),
    "val": ("val", "valid", "validation", "dev", "valset"),
    "test": ("test", "testing", "tst", "testset", "testdata"),
}
_SHORT = {"tr": "train", "va": "val", "te": "test"}  # as values of a column
_COLUMNS = frozenset(
    ("split", "splits", "dataset", "datasplit", "subset", "partition", "fold", "folds", "set", "phase", "traintest",
     "trainvaltest", "splitset")
)  # fmt: skip
_ENOUGH = 2000  # rows that tell what a column of a table holds
_TRUE, _FALSE = ("true", "1", "1.0", "yes"), ("false", "0", "0.0", "no", "")
ENDINGS = (".txt", ".csv", ".tsv", ".lst", ".list", ".json")


@dataclass(frozen=True)
class Listing:
    """The images of a list: image → its place (``file:line``); entries without an image, with their places."""

    images: dict[str, str]
    unknown: list[tuple[str, str]]
    entries: int


def split_in(name: str) -> str | None:
    """The split that a name says: ``brca_ds_train`` → train; None if it says none, or several."""
    found = {split for split, known in WORDS.items() if words(name) & set(known)}
    return found.pop() if len(found) == 1 else None


def folder_splits(images: Sequence[str]) -> dict[str, set[str]]:
    """The folders of each split, at the first depth where most images' folders name one, and two splits are named."""
    parts = [PurePosixPath(image).parts[:-1] for image in images]
    for k in range(max(map(len, parts), default=0)):
        found: dict[str, set[str]] = {}
        number = 0
        for folders in parts:
            split = split_in(folders[k]) if k < len(folders) else None
            if split is not None:
                found.setdefault(split, set()).add("/".join(folders[: k + 1]))
                number += 1
        if len(found) > 1 and number * 2 > len(parts):
            return found
    return {}


def listing(file: Path, names: Names, split: str | None = None, what: str = "split list") -> Listing:
    """The images that a list names. ``split``: of a table or an object for all splits, the part of this one.

    CellscaperError for a file that is no list of names.
    """
    if suffix(file) == ".h5ad":
        return _best(_part(observations(file), file, split or "") or [], names)
    text = _text(file, what)
    if file.suffix.lower() == ".json":
        return _matched(_json_entries(text, file, split), names)
    rows = [(f"{file}:{n}", line.strip()) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    rows = [row for row in rows if not row[1].startswith("#")]
    if split is not None and (part := _part(_table(text, file), file, split)) is not None:
        return _best(part, names)
    plain = _matched(rows, names)
    if len(plain.images) == plain.entries or not rows:
        return plain
    separator = find_separator([line for _, line in rows[:20]])
    if separator == "blank" and not all(len(line.split()) > 1 for _, line in rows):
        return _headless(plain, rows)
    lines = [(f"{file}:{n}", row) for n, row in split_lines(text, file, separator).rows]
    table = _best(lines, names)
    along = _matched([(place, entry) for place, row in lines for entry in row], names, True)  # several names a line
    if not along.unknown and len(along.images) > len(table.images):
        return along
    return table if len(table.images) > len(plain.images) else _headless(plain, rows)


def listed_splits(file: Path) -> set[str]:
    """The splits in a column of a table, or in the members of an object; empty for another file.

    CellscaperError with the line for a row that is in no split, where most rows are in one.
    """
    if suffix(file) == ".h5ad":
        rows = observations(file)
        return {split for split in SPLITS if _part(rows, file, split)}
    try:
        text = _text(file, "list")
    except CellscaperError:
        return set()
    if file.suffix.lower() == ".json":
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return set()
        named = (
            {split_in(str(key)) for key, value in data.items() if isinstance(value, list)}
            if isinstance(data, dict)
            else set()
        )
        return (
            {one for one in named if one is not None}
            if "images" not in (data if isinstance(data, dict) else ())
            else set()
        )
    return {split for split in SPLITS if _part(_table(text, file), file, split)}


def _text(file: Path, what: str) -> str:
    """The text of a list; ``what`` names it in the error of one that is not there."""
    return reading.read_text(file) if file.is_file() else read_text(file, what)


def _best(rows: list[tuple[str, list[str]]], names: Names) -> Listing:
    """The entries of the column that names most images; a first line that names none is a header."""
    width = max((len(row) for _, row in rows), default=0)

    def column(k: int, step: int) -> list[tuple[str, str]]:
        return [(place, row[k]) for place, row in rows[::step] if k < len(row)]

    step = max(1, len(rows) // _ENOUGH)  # of a long table, a part tells the column
    found = [_matched(column(k, step), names, True) for k in range(width)]
    k = max(range(width), key=lambda k: len(found[k].images), default=None)
    if k is None:
        return Listing({}, [], 0)
    return _headless(found[k] if step == 1 else _matched(column(k, 1), names, True), rows)


def _headless(found: Listing, rows: Iterable[tuple[str, Any]]) -> Listing:
    first = next(iter(rows), ("", ""))[0]
    if found.images and found.unknown and found.unknown[0][0] == first and _is_title(found.unknown[0][1]):
        return Listing(found.images, found.unknown[1:], found.entries - 1)
    return found


def _is_title(entry: str) -> bool:
    return bool(words(entry) & {"image", "images", "name", "names", "file", "filename", "id", "img", "path", "slide"})


def _matched(rows: Iterable[tuple[str, str]], names: Names, doubled: bool = False) -> Listing:
    images: dict[str, str] = {}
    unknown, number = [], 0
    known: dict[str, list[str]] = {}
    for place, entry in rows:
        if not entry.strip():
            continue
        number += 1
        found = known[entry] if entry in known else known.setdefault(entry, names.find(entry))
        if len(found) != 1 and (inner := names.in_folder(entry)) and set(found) <= set(inner):
            images.update({image: place for image in inner if image not in images})  # all images of a patient
            continue
        if len(found) > 1:
            raise CellscaperError(
                f"{place}: {short(entry)} names {len(found)} images, {first_few(found)}; add their folders"
            )
        if not found:
            unknown.append((place, entry))
        elif found[0] not in images:
            images[found[0]] = place
        elif not doubled:
            raise CellscaperError(f"{place}: image {short(entry)} is also in {images[found[0]]}; keep one")
    return Listing(images, unknown, number)


def _table(text: str, file: Path) -> Sequence[tuple[int, list[str]]]:
    """The numbered rows of a text table; none of a text that is no table."""
    try:
        return _rows_of(text, str(file))
    except (CellscaperError, csv.Error):
        return []


def observations(file: Path) -> Sequence[tuple[int, list[str]]]:
    """The cells of an AnnData file as numbered rows of the obs columns that name images and splits, with a header."""
    return h5ad.observations(file, lambda name: name.lower() in h5ad.IMAGES or names_splits(name))


def _part(rows: Sequence[tuple[int, list[str]]], file: Path, split: str) -> list[tuple[str, list[str]]] | None:
    """The rows of a table that belong to a split, by a column of splits or a column for each; None without these.

    CellscaperError with the line for a row that is in no split, where most rows are in one.
    """
    if (own := _column(rows, file, split)) is not None:
        return own
    k = _split_column(rows)
    if k is None:
        return None
    values = [split_word(row[k]) if k < len(row) else None for _, row in rows]
    wrong = next((i for i, value in enumerate(values) if i and value is None), None)
    if wrong is not None:
        n, row = rows[wrong]
        known = sum(value is not None for value in values)
        raise CellscaperError(
            f"{file}:{n}: {short(row[k] if k < len(row) else '')} is no split, as {known} other lines have in this "
            "column; expected train, val or test: correct the line, or delete it to leave its image out"
        )
    return [(f"{file}:{n}", row) for (n, row), value in zip(rows, values, strict=True) if value == split]


@lru_cache(2)
def _rows_of(text: str, file: str) -> list[tuple[int, list[str]]]:
    return split_lines(text, file).rows


def _split_column(rows: Sequence[tuple[int, list[str]]]) -> int | None:
    """The column in which most rows below the first say one of two splits or more; the fullest of several."""
    width = max((len(row) for _, row in rows[:_ENOUGH]), default=0)
    best: tuple[int, int] | None = None
    for k in range(width if width > 1 else 0):
        known = [word for _, row in rows[1:] if k < len(row) and (word := split_word(row[k])) is not None]
        if len(known) * 2 > len(rows) - 1 and len(set(known)) > 1 and (best is None or len(known) > best[0]):
            best = len(known), k
    return None if best is None else best[1]


def names_splits(column: str) -> bool:
    """Whether the name of a column says that it holds splits: ``split``, ``Data set``, ``subset``, ``fold``."""
    return "".join(sign for sign in column.casefold() if sign.isalnum()) in _COLUMNS


def _column(rows: Sequence[tuple[int, list[str]]], file: Path, split: str) -> list[tuple[str, list[str]]] | None:
    """The rows of a table with a column for each split: of names (CLAM's splits_0.csv), or of true and false."""
    header, rest = (rows[0][1], rows[1:]) if rows else ([], [])
    named = {k: word for k, name in enumerate(header) if (word := split_word(name)) is not None}
    if not named and (flagged := _flag(header, rest, file, split)) is not None:
        return flagged
    if len(set(named.values())) < 2 or len(set(named.values())) < len(named):
        return None
    values = {row[k].lower() for _, row in rest for k in named if k < len(row)}
    k = next((k for k, word in named.items() if word == split), None)
    held = [(n, row) for n, row in rest if k is not None and k < len(row)]
    if values <= {*_TRUE, *_FALSE}:
        return [(f"{file}:{n}", row) for n, row in held if row[k].lower() in _TRUE]  # type: ignore[index]
    return [(f"{file}:{n}", [row[k]]) for n, row in held if row[k]]  # type: ignore[index]


def _flag(
    header: Sequence[str], rest: Sequence[tuple[int, list[str]]], file: Path, split: str
) -> list[tuple[str, list[str]]] | None:
    """The rows of a table with one column of true and false for test images, as ``is_test``; None for another table."""
    columns = [k for k, name in enumerate(header) if split_in(name) == "test"]
    values = {row[columns[0]].lower() for _, row in rest if columns[0] < len(row)} if len(columns) == 1 else set()
    if not values <= {*_TRUE, *_FALSE} or not values & set(_TRUE) or not values & set(_FALSE):
        return None
    wanted = {"test": _TRUE, "train": _FALSE}.get(split, ())
    k = columns[0]
    return [(f"{file}:{n}", row) for n, row in rest if k < len(row) and row[k].lower() in wanted]


def split_word(text: str) -> str | None:
    """The split that an entry is the name of: ``Training`` → train; None for any other entry."""
    plain = text.strip().lower()
    return _SHORT.get(plain) or next((split for split, known in WORDS.items() if plain in known), None)


def _json_entries(text: str, file: Path, split: str | None) -> list[tuple[str, str]]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CellscaperError(f"{file} is not JSON ({str(error)[:80]}); correct the list") from error
    if isinstance(data, dict) and split is not None and "images" not in data:
        named = [value for key, value in data.items() if split_in(str(key)) == split]
        data = named[0] if named else data
    if isinstance(data, dict):
        data = data.get("images", data)
    if not isinstance(data, list):
        raise CellscaperError(f"{file} holds no list of image names; expected [name, …] or {{train: [name, …], …}}")
    found = []
    for i, one in enumerate(data):
        name = one.get("file_name", one.get("image", one.get("name"))) if isinstance(one, dict) else one
        found.append((f"{file}: entry {i}", str(name)))
    return found
