"""Splits that files of cells say: in a column of a table or of obs (``.h5ad``), in properties of GeoJSON features."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.datasets.identity import Names
from cellscaper.datasets.split_lists import (
    Listing,
    listed_splits,
    listing,
    names_splits,
    observations,
    split_word,
)
from cellscaper.disk.formats.geojson_cells import features
from cellscaper.disk.formats.reading import found, parse, read_text, suffix
from cellscaper.disk.formats.text_table import split_lines
from cellscaper.errors import CellscaperError

_TABLES = (".csv", ".tsv", ".txt", ".h5ad")
_FEATURES = (".geojson", ".json")
_LOOKED_AT = 3  # files of one image each


def table_of_cells(path: Path, names: Names) -> dict[str, Listing]:
    """The images of each split in a column of a table of all cells, without those that are not in the folder.

    CellscaperError for a row that is in no split, where most rows are in one, and for an image in several splits.
    """
    if suffix(path) not in _TABLES or not _columns(path):
        return {}
    parts = {one: listing(path, names, one) for one in sorted(listed_splits(path))}
    where: dict[str, tuple[str, str]] = {}
    for split, own in parts.items():
        for image, place in own.images.items():
            if image in where:
                other, line = where[image]
                raise CellscaperError(
                    f"{place}: image {image} is in {split}, and in {other} in line {line.rpartition(':')[2]}; expected "
                    "one split in all rows of an image"
                )
            where[image] = split, place
    return {one: Listing(own.images, [], own.entries) for one, own in parts.items() if own.images}


def split_of(path: Path) -> str | None:
    """The split that all cells of one image's file are in; None for a file that says none.

    CellscaperError for a file that names two splits, or a split and something else.
    """
    said = _said(path)
    splits = {one: split_word(one) for one in said}
    known = {split for split in splits.values() if split is not None}
    if not known:
        return None
    if len(known) > 1 or None in splits.values():
        first, second = sorted(said, key=lambda one: (split_word(one) is None, said.index(one)))[:2]
        raise CellscaperError(
            f"{path} says split {found(first)} and {found(second)} of cells of one image; expected one split, train, "
            "val or test, for all of them"
        )
    return known.pop()


def of_own_files(folder: FolderFiles, cells: Mapping[str, str]) -> dict[str, str]:
    """Image → the split that its file of cells says (``cells``: image → file). Empty if the files name one split."""
    if not any(_said(folder.paths[name]) for name in list(cells.values())[:_LOOKED_AT]):
        return {}
    splits = {image: split for image, name in cells.items() if (split := split_of(folder.paths[name])) is not None}
    return splits if len(set(splits.values())) > 1 else {}


def unread(folder: FolderFiles, used: Sequence[str], lists: Sequence[str]) -> str | None:
    """The sentence about columns of splits in tables of cells that are not read; None without."""
    tables = [name for name in used if name not in lists and suffix(Path(name)) in _TABLES]
    for name in tables[:_LOOKED_AT]:
        if columns := _columns(folder.paths[name]):
            return (
                f"column {columns[0]!r} of {name} may be a split, and is not read: list the images of each split in "
                "train.txt, val.txt and test.txt"
            )
    return None


def has_split_column(path: Path) -> bool:
    """Whether a text table has a column that is named as splits are."""
    return suffix(path) in _TABLES and bool(_columns(path))


def _said(path: Path) -> list[str]:
    """What a file of cells writes where a split is named, each entry once."""
    if suffix(path) in _FEATURES:
        values = _properties(path)
    else:
        rows = _rows(path)
        columns = [k for k, name in enumerate(rows[0] if rows else ()) if names_splits(name)]
        values = [row[k] if k < len(row) else "" for row in rows[1:] for k in columns[:1]]
    return list(dict.fromkeys(values))


def _properties(path: Path) -> list[str]:
    """The values of the property of GeoJSON features that is named as splits are; none of another file."""
    try:
        listed = features(parse(read_text(path)))
    except (CellscaperError, ValueError, TypeError, LookupError, RecursionError):
        return []
    owned = [one.get("properties") for one in listed if isinstance(one, dict)]
    return [
        str(value)
        for one in owned
        if isinstance(one, dict)
        for key, value in one.items()
        if names_splits(key) and isinstance(value, str)
    ]


def _columns(path: Path) -> list[str]:
    """The columns of a table that are named as splits are."""
    rows = _rows(path)
    return [column for column in rows[0] if names_splits(column)] if rows else []


def _rows(path: Path) -> list[list[str]]:
    """The rows of a table of cells, the first with the names of columns; none of a file that cannot be read."""
    try:
        numbered = observations(path) if suffix(path) == ".h5ad" else split_lines(read_text(path), path).rows
    except (CellscaperError, csv.Error):
        return []
    return [row for _, row in numbered]
