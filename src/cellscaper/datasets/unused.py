"""Sentences about the files of a folder that look like images or tables and are not used, with their numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from cellscaper.datasets.candidates import ENDINGS as CELLS
from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.datasets.pictures import ENDINGS as PICTURES
from cellscaper.disk.formats.counted import are, counted, counted_are
from cellscaper.disk.formats.other_kinds import SLIDES
from cellscaper.disk.formats.reading import read_text, suffix
from cellscaper.disk.formats.text_table import comma_number_in, number_in, split_lines
from cellscaper.errors import CellscaperError

OTHER_PICTURES = (*SLIDES, ".webp", ".gif", ".jp2", ".j2k", ".heic")
OTHER_TABLES = (
    ".xls", ".xlsx", ".ods", ".npy", ".npz", ".parquet", ".feather", ".rds", ".rdata", ".h5", ".hdf5",
    ".ndjson", ".jsonl", ".geojsonl", ".roi", ".ndpa", ".zip", ".bz2", ".xz", ".7z", ".tar", ".sqlite", ".db", ".dat",
    ".pkl", ".pickle", ".qpdata", ".qpproj",
)  # fmt: skip
_NO_DATA = ("thumbs.db",)  # files of operating systems
MOST = 8  # lines


def lines(folder: FolderFiles, used: Iterable[str], reasons: Mapping[str, str]) -> list[str]:
    """A sentence for each group of unused files of one folder and ending, the largest groups first."""
    taken = set(used)
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    same = Counter(PurePosixPath(name).name for name in folder.paths if name not in taken)  # a file in each folder
    for name in folder.paths:
        if name in taken or (kind := _kind(folder, name)) is None:
            continue
        path = PurePosixPath(name)
        top = (
            path.name
            if same[path.name] > 1
            else "/".join(path.parts[:-1][:1])
            if len(path.parts) > 3
            else str(path.parent)
        )
        ending = suffix(PurePosixPath(name)) if path.suffix.lower() != ".gz" else "".join(path.suffixes[-2:])  # type: ignore[arg-type]
        groups.setdefault((kind, reasons.get(name, ""), top, path.suffix if ending else ending), []).append(name)
    said = []
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    for (kind, reason, _, _), names in ordered[:MOST]:
        said.append(
            f"{counted_are(len(names), kind + 's')} not used {shown(names)}" + (f": {reason}" if reason else "")
        )
    if rest := ordered[MOST:]:
        more = sum(len(names) for _, names in rest)
        said.append(f"{counted(more, 'more files')} in {counted(len(rest), 'places')} {are(more)} not used")
    if folder.odd:
        first = ascii(folder.odd[0].name)
        said.append(f"{counted_are(len(folder.odd), 'files')} not used: the names are not UTF-8, first {first}")
    if lost := [name for name in folder.lost if _kind_of(name) is not None]:
        said.append(f"{counted_are(len(lost), 'links')} not used {shown(lost)}: they lead nowhere, or to no file")
    return said


def shown(names: list[str]) -> str:
    """The name of one file, or a pattern of several with the first."""
    if len(names) == 1:
        return f"({names[0]})"
    return f"({names[0]}, {names[1]})" if len(names) == 2 else f"(first {names[0]}, {names[1]})"


def _kind(folder: FolderFiles, name: str) -> str | None:
    """image, table or file for a name that looks like one; None for a text without numbers, and for the rest."""
    if suffix(PurePosixPath(name)) == ".txt" and not _has_numbers(folder, name):  # type: ignore[arg-type]
        return None
    return _kind_of(name)


def _kind_of(name: str) -> str | None:
    ending = suffix(PurePosixPath(name))  # type: ignore[arg-type]
    if PurePosixPath(name).name.lower() in _NO_DATA:
        return None
    if ending in (*PICTURES, *OTHER_PICTURES):
        return "image"
    if ending in CELLS:
        return "table" if ending in (".csv", ".tsv", ".txt") else "file"
    return "file" if ending in OTHER_TABLES else None


def _has_numbers(folder: FolderFiles, name: str) -> bool:
    """Whether a text has lines of two numbers or more in columns."""
    path = folder.paths[name]
    try:
        if path.stat().st_size > 100_000_000:
            return True
        rows = split_lines(read_text(path), path).rows
    except (CellscaperError, OSError):
        return False
    numbers = [sum(number_in(field) or comma_number_in(field) for field in row) >= 2 for _, row in rows[:20]]
    return bool(numbers) and sum(numbers) * 2 >= len(numbers)
