"""Splits in a column of the tables of cells: read from one table for all images, told for tables of one image."""

import csv
from collections.abc import Sequence
from pathlib import Path

from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.datasets.identity import Names
from cellscaper.datasets.split_lists import Listing, listed_splits, listing, names_splits
from cellscaper.disk.formats.reading import read_text, suffix
from cellscaper.disk.formats.text_table import split_lines
from cellscaper.errors import CellscaperError

TABLES = (".csv", ".tsv", ".txt")
_LOOKED_AT = 3  # tables of one image each


def table_of_cells(path: Path, names: Names) -> dict[str, Listing]:
    """The images of each split in a column of a table of all cells, without those that are not in the folder.

    CellscaperError for a row that is in no split, where most rows are in one, and for an image in several splits.
    """
    if suffix(path) not in TABLES or not _columns(path):
        return {}
    found = {one: listing(path, names, one) for one in sorted(listed_splits(path))}
    where: dict[str, tuple[str, str]] = {}
    for split, own in found.items():
        for image, place in own.images.items():
            if image in where:
                other, line = where[image]
                raise CellscaperError(
                    f"{place}: image {image} is in {split}, and in {other} in line {line.rpartition(':')[2]}; expected "
                    "one split in all rows of an image"
                )
            where[image] = split, place
    return {one: Listing(own.images, [], own.entries) for one, own in found.items() if own.images}


def unread(folder: FolderFiles, used: Sequence[str], lists: Sequence[str]) -> str | None:
    """The sentence about columns of splits in tables of cells that are not read; None without."""
    tables = [name for name in used if name not in lists and suffix(Path(name)) in TABLES]
    for name in tables[:_LOOKED_AT]:
        if columns := _columns(folder.paths[name]):
            return (
                f"column {columns[0]!r} of {name} may be a split, and is not read: list the images of each split in "
                "train.txt, val.txt and test.txt"
            )
    return None


def _columns(path: Path) -> list[str]:
    """The columns of a table that are named as splits are."""
    try:
        rows = split_lines(read_text(path), path).rows
    except (CellscaperError, csv.Error):
        return []
    return [column for column in rows[0][1] if names_splits(column)] if rows else []
