"""Files that may hold cells: what is in them, and which of several to prefer, by evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.datasets.identity import Names
from cellscaper.datasets.pictures import words
from cellscaper.disk.formats import table_columns
from cellscaper.disk.formats.annotations import format_of, read_annotated
from cellscaper.disk.formats.reading import read_text, suffix
from cellscaper.disk.formats.table_cells import TableForm, read_table, rows_of
from cellscaper.disk.formats.table_form import by_header, find_form
from cellscaper.disk.formats.text_table import Lines, split_lines
from cellscaper.errors import CellscaperError

SAME_CELLS = "both hold the same cells"
ENDINGS = (".csv", ".tsv", ".txt", ".geojson", ".json", ".mat", ".h5ad", ".xml", ".annotations")
_FOR = frozenset(
    ("dots", "dot", "gt", "truth", "groundtruth", "manual", "annotation", "annotations", "label", "labels", "points",
     "point", "cells", "nuclei", "centroids", "final", "corrected", "curated", "expert")
)  # fmt: skip
_NO_TRUTH = frozenset(
    ("pred", "preds", "prediction", "predictions", "predicted", "submission", "submissions", "template", "dummy",
     "example", "examples")
)  # fmt: skip
_AGAINST = _NO_TRUTH | frozenset(
    ("auto", "automatic", "result", "results", "output", "outputs", "old", "backup", "bak", "copy", "tmp", "temp",
     "draft", "raw", "stardist", "cellpose", "detection", "detections", "model", "unchecked", "uncorrected", "initial",
     "wrong", "archive", "deprecated", "meta", "metadata", "info", "log")
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Contents:
    """points (N, 2) as written, the class of each, names of images in the file (empty if it names none)."""

    points: NDArray[np.float64]
    names: list[str]
    images: tuple[str, ...]


class Candidates:
    """The contents of files, each read once; ``why`` says why one holds no cells."""

    def __init__(self, folder: FolderFiles):
        self.folder = folder
        self.why: dict[str, str] = {}
        self._known: dict[str, Contents | None] = {}

    def contents(self, name: str) -> Contents | None:
        """What a file holds; None if it holds no cells. An empty file holds none of any class."""
        if name not in self._known:
            try:
                self._known[name] = _contents(self.folder.paths[name])
            except CellscaperError as error:
                self._known[name], self.why[name] = None, str(error)
        return self._known[name]

    def image_column(self, name: str, images: Names) -> str | None:
        """The column of a table that names images of the folder; None if it has none."""
        path = self.folder.paths[name]
        if suffix(path) not in (".csv", ".tsv", ".txt"):
            return None
        try:
            header, rows = _header(path)
        except CellscaperError:
            return None
        best: tuple[int, str] | None = None
        for column in table_columns.image_columns(header, rows[:200]) if header else ():
            at = header.index(column)
            values = {row[at] for row in rows if at < len(row)}
            if len(values) > 50_000:
                continue
            hits = [found[0] for value in values if len(found := images.find(value)) == 1]
            matched = set(hits)
            if matched and len(hits) * 2 >= len(values) and (best is None or len(matched) > best[0]):
                best = len(matched), column
        return best[1] if best else None

    def header(self, name: str) -> list[str]:
        """The columns of a table with a header; empty for another file."""
        path = self.folder.paths[name]
        try:
            return _header(path)[0] if suffix(path) in (".csv", ".tsv", ".txt") else []
        except CellscaperError:
            return []

    def column(self, name: str, column: str) -> tuple[str, ...]:
        """The different values in a column of a table."""
        header, rows = _header(self.folder.paths[name])
        at = header.index(column)
        return tuple(dict.fromkeys(row[at] for row in rows if at < len(row)))


def preferred(
    candidates: Candidates, one: Sequence[str], other: Sequence[str], patterns: tuple[str, str] | None = None
) -> tuple[int, str]:
    """-1 if files (of the same images, in order) are to be preferred to others, 1 for the others, 0 for a tie; why.

    ``patterns`` are those of the files; without them, their own names count.
    """
    read = [(candidates.contents(x), candidates.contents(y)) for x, y in zip(one[:5], other[:5], strict=False)]
    pairs = [(x, y) for x, y in read if x is not None and y is not None]
    held = [sum(len(pair[k].points) for pair in pairs) for k in (0, 1)]
    if len(pairs) > 2 and 0 in held and any(held):
        return (1 if held[1] else -1), "the others hold no cells"
    named = patterns or (one[0], other[0])
    a, b = (standing(name) for name in named)
    if a != b and not _qupaths(*named):
        return (-1 if a > b else 1), "by their names"
    if pairs and all(_same(x.points, y.points) for x, y in pairs):
        both = {(a, b) for x, y in pairs for a, b in _classes_of_both(x, y)}
        first, second = ({pair[k] for pair in both} for k in (0, 1))
        if len(both) == max(len(first), len(second)):  # the same groups, or one has them in parts
            return (1 if len(second) > len(first) else -1), SAME_CELLS
    return 0, ""


def _classes_of_both(one: Contents, other: Contents) -> set[tuple[str, str]]:
    """The classes that cells at the same places have in one file and in the other."""
    if not len(one.points):
        return set()
    _, index = cKDTree(one.points).query(other.points, p=np.inf)
    return {(one.names[i], name) for i, name in zip(index.tolist(), other.names, strict=True)}


def standing(name: str) -> int:
    """How much the words of a name or pattern speak for cells that people marked or corrected (or against)."""
    found = [words(part) for part in PurePosixPath(name).parts]
    against = sum(bool(one & _AGAINST) for one in found)
    return -against if against else int(any(one & _FOR for one in found))


def is_no_truth(name: str) -> bool:
    """Whether a name says that a file holds what a model found, or nothing but its form (``sample_submission``)."""
    return bool(words(PurePosixPath(name).stem) & _NO_TRUTH)


def _qupaths(one: str, other: str) -> bool:
    """Whether names say annotations and detections: in QuPath regions and cells, elsewhere people's and a model's."""
    found = [
        {word.removesuffix("s") for part in PurePosixPath(name).parts for word in words(part)} for name in (one, other)
    ]
    return any("annotation" in a and "detection" in b and "annotation" not in b for a, b in (found, found[::-1]))


def _same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether each place of one is within 0.6 px of another place of the other."""
    if len(one) != len(other):
        return False
    if not len(one):
        return True
    distance, index = cKDTree(one).query(other, p=np.inf)
    if distance.max() > 0.6:
        return False
    a, b = (part[np.lexsort(part.round(1).T)] for part in (one, other))
    return len(np.unique(index)) == len(one) or bool(np.allclose(a, b, atol=0.6))  # a cell may be there twice


def _contents(path: Path) -> Contents:
    form = format_of(path)
    if form != "table":
        found = read_annotated(path, form)
        images = tuple(dict.fromkeys((*found.sizes, *(found.images or ())))) if found.images is not None else ()
        return Contents(found.points, found.names, images)
    text = read_text(path)
    lines = split_lines(text, path)
    if not lines.rows:
        return Contents(np.zeros((0, 2)), [], ())
    table = find_form({path: lines}, {}).form
    found = read_table(text, TableForm(table.columns, table.separator, table.header), path)
    return Contents(found.points, found.names, ())


def _header(path: Path) -> tuple[list[str], list[list[str]]]:
    lines: Lines = split_lines(read_text(path), path)
    if not lines.rows or by_header(lines, path) is None:
        return [], []
    header = (
        lines.rows[0][1] if table_columns.is_header(lines.rows[0][1]) else lines.comment[1] if lines.comment else []
    )
    at = table_columns.places(header) or {}
    single = at and all(header.count(name) == 1 for name in at.values())
    rows = rows_of(lines, TableForm(at, lines.separator), path).rows if single else lines.rows[1:]
    return header, [row for _, row in rows]
