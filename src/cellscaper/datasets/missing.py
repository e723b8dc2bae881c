"""Sentences about a folder without images, or without cells that belong to them: what is there, and what to do."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from cellscaper.datasets.candidates import Candidates
from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.datasets.identity import Names, first_few
from cellscaper.datasets.pictures import ENDINGS as PICTURES
from cellscaper.datasets.unused import OTHER_PICTURES, OTHER_TABLES
from cellscaper.disk.formats.annotations import READ
from cellscaper.disk.formats.counted import counted, counted_are
from cellscaper.disk.formats.other_kinds import kind
from cellscaper.disk.formats.reading import suffix
from cellscaper.disk.formats.table_columns import names_an_image

_LISTS = (".txt", ".lst")
MOST = 400  # files that are looked into


def no_image(folder: FolderFiles, pattern: str | None) -> str:
    """A folder without images of the kinds that are read."""
    text = f"{folder.root / (pattern or '')} holds no image ({', '.join(PICTURES)})"
    ordered = sorted(folder.paths, key=lambda name: suffix(PurePosixPath(name)) not in OTHER_PICTURES)  # type: ignore[arg-type]
    for name in ordered if pattern is None else ():
        if (told := kind(folder.paths[name])) is not None:
            return f"{text}; {name} is {told}"
        if suffix(PurePosixPath(name)) in OTHER_PICTURES:  # type: ignore[arg-type]
            return f"{text}; {name} is a picture of another kind: save the images as PNG or TIFF"
    return f"{text}; name the folder that does"


def no_cells(folder: FolderFiles, photos: Sequence[str], files: Sequence[str], candidates: Candidates) -> str:
    """A folder with images and no cells of theirs; of several reasons the one that leads on."""
    text = f"{folder.root} holds {counted(len(photos), 'images')} and"
    stranger = next(
        (name for name in files[:MOST] if (own := candidates.contents(name)) is not None and len(own.points)), None
    )
    why = {name: told for name, told in candidates.why.items() if told}
    other = next((name for name in folder.paths if suffix(PurePosixPath(name)) in OTHER_TABLES), None)  # type: ignore[arg-type]
    if stranger is not None:
        why_not = _stranger(stranger, candidates, Names(photos))
        return f"{text} no file of dots named after one; {_expected(photos[0])}; {why_not}"
    better = [name for name in why if not name.lower().endswith(_LISTS)] or ([] if other else list(why))
    if better:
        first = next((name for name in better if name in files), better[0])
        return f"{text} no cells that can be read: {why[first]}"
    if other is not None:
        told = kind(folder.paths[other]) or f"of no kind that is read; these are: {READ}"
        return f"{text} no cells that can be read: {other} is {told}"
    return f"{text} no file of dots named after one; {_expected(photos[0])}"


def _expected(image: str) -> str:
    stem = PurePosixPath(image).stem
    return (
        f"expected for example {stem}.csv, {stem}.geojson, {stem}.mat or {stem}.json beside it or in another folder, "
        "or one file with the names of the images"
    )


def _stranger(name: str, candidates: Candidates, names: Names) -> str:
    """What a file of cells calls its images, which are none of the folder, or several that it does not tell apart."""
    contents = candidates.contents(name)
    called = list(contents.images) if contents is not None else []
    if called:
        return f"{name} is of {_shown(called)}" + _several(called, names)
    column = next((one for one in candidates.header(name) if names_an_image(one)), None)
    values = [] if column is None else list(candidates.column(name, column))
    if values:
        return f"column {column!r} of {name} has {_shown(values)}" + _several(values, names)
    number = 0 if contents is None else len(contents.points)
    return f"{name} is not: {counted_are(number, 'cells')} in it, and nothing says of which image"


def without_cells(without: Sequence[str], shared: Sequence[str]) -> str:
    """Images without cells beside others that have some; ``shared``: the files that hold cells of several images."""
    number = "1 image has" if len(without) == 1 else f"{len(without)} images have"
    if not shared:
        return f"{number} no dot file, first {without[0]}"
    stem = PurePosixPath(without[0]).stem
    verb = "does not name" if len(shared) == 1 else "do not name"
    return (
        f"{number} no dot file, and {first_few(list(shared))} {verb} {'it' if len(without) == 1 else 'them'}, first "
        f"{without[0]}; if it has no cell, put an empty file {stem}.csv beside it"
    )


def _several(called: Sequence[str], names: Names) -> str:
    """That a name fits several images; nothing if none does."""
    entry = next((one for one in called if len(names.find(one)) > 1), None)
    if entry is None:
        return ""
    found = names.find(entry)
    return f", and {entry[:60]!r} fits {len(found)} images: {first_few(found)}; name them there with their folders"


def _shown(values: Sequence[str]) -> str:
    shown = ", ".join(repr(value[:60]) for value in values[:3])
    return shown + (", …" if len(values) > 3 else "")
