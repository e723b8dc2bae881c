"""Automatic search of a folder: the images, the files of their cells, the splits, and what is left unused.

Candidates compete (`competition`). A tie is an error that names both.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import PurePosixPath

from cellscaper.datasets import missing, pairing, pictures
from cellscaper.datasets.candidates import ENDINGS as CELLS
from cellscaper.datasets.candidates import Candidates, is_no_truth, preferred
from cellscaper.datasets.competition import brief, competed, folder_of, series
from cellscaper.datasets.folder_files import FolderFiles, has_place
from cellscaper.datasets.identity import Names
from cellscaper.datasets.pairing import Pair
from cellscaper.datasets.pictures import ENDINGS as PICTURES
from cellscaper.datasets.pictures import Picture
from cellscaper.disk.formats.label_mask import ENDINGS as MASKS
from cellscaper.disk.formats.reading import suffix
from cellscaper.errors import CellscaperError

NO_CELLS = "no file of cells is named after them"  # why images are not used
_MOST_ORDERED = 5  # patterns whose order is tried
_LOOKED_INTO = 20  # files that may all hold no cells
_MOST_SHARED = 400  # files that are looked into for cells of several images


@dataclass
class Found:
    """What a folder holds, as the reader `dots` takes it.

    cells    image → the file with its cells; without: images that have none, beside others that do
    images, leave_out, dots  globs of images and pictures among them, patterns of dot files
    image_column  of one table for all images
    reasons  why files are not used, by name
    """

    cells: dict[str, str]
    without: list[str]
    images: list[str]
    leave_out: list[str]
    dots: list[str]
    headers: dict[str, Picture]
    image_column: str | None = None
    reasons: dict[str, str] = field(default_factory=dict)


def find(folder: FolderFiles, images: str | None = None, dots: str | None = None) -> Found:
    """The images of a folder and the cells of each. ``images`` and ``dots``: patterns that the user gave.

    CellscaperError if there is no image, no file of cells that belongs to one, or a tie between candidates.
    """
    known = folder.matching([images]) if images else [n for n in folder.paths if suffix(PurePosixPath(n)) in PICTURES]  # type: ignore[arg-type]
    if not known:
        raise CellscaperError(missing.no_image(folder, images))
    headers = {name: header for name in known if (header := pictures.look(folder.paths[name])) is not None}
    reasons: dict[str, str] = {}
    photos = known if images else _photos(known, headers, reasons)
    candidates = Candidates(folder)
    files = [name for name in folder.paths if suffix(PurePosixPath(name)) in CELLS]  # type: ignore[arg-type]
    if dots is not None:
        pairs = _given(folder, photos, dots)
    else:
        pairs = competed(pairing.pairs(photos, files), headers, candidates, reasons)
        covered = {pair.image for pair in pairs}
        if len(covered) < len(photos):
            shared = _shared(photos, files, candidates, headers, reasons)
            if shared is not None and len(shared.cells) > len(covered):
                return _with_empty(shared, pairs, candidates)
        if not any(candidates.contents(pair.cells) is not None for pair in pairs[:_LOOKED_INTO]):
            masks = [name for name in known if name not in photos and suffix(PurePosixPath(name)) in MASKS]  # type: ignore[arg-type]
            numbered = competed(pairing.pairs(photos, masks), headers, candidates, reasons)
            for pair in pairs if numbered else ():
                reasons.setdefault(pair.cells, f"no cells can be read ({brief(candidates.why.get(pair.cells, ''))})")
            pairs = numbered or pairs
    if not pairs:
        raise CellscaperError(missing.no_cells(folder, photos, files, candidates))
    return _described(folder, photos, pairs, headers, reasons)


# -- images --------------------------------------------------------------------------------------------------


def _photos(known: Sequence[str], headers: Mapping[str, Picture], reasons: dict[str, str]) -> list[str]:
    """The pictures that can be photographs: in colours, not named as made from another."""
    made = pictures.derived(known)
    colours = [name for name in known if name not in headers or headers[name].photo]
    clean = {
        PurePosixPath(name).stem for name in colours if name not in made and pictures.standing(folder_of(name)) >= 0
    }
    photos = []
    for name in known:
        path = PurePosixPath(name)
        if name in made:
            reasons[name] = f"{made[name]} of other images by their names"
        elif colours and name not in colours:
            header = headers[name]
            reasons[name] = f"not 8-bit RGB (mode {'16-bit ' if header.deep else ''}{header.mode})"
        elif pictures.standing(folder_of(name)) < 0 and path.stem in clean:
            reasons[name] = "pictures made from other images by the name of their folder"
        else:
            photos.append(name)
    return photos or list(known)


# -- one file for several images -----------------------------------------------------------------------------


def _shared(
    photos: list[str], files: list[str], candidates: Candidates, headers: dict[str, Picture], reasons: dict[str, str]
) -> Found | None:
    """Files that hold the cells of several images, by their names; or one file beside one image."""
    names = Names(photos)
    found: dict[str, tuple[set[str], str | None]] = {}
    for name in files[:_MOST_SHARED]:
        contents = candidates.contents(name)
        if contents is None:
            continue
        column = candidates.image_column(name, names)
        called = contents.images or _values(candidates, name, column)
        matched = {one for text in called if len(hit := names.find(text)) == 1 for one in hit}
        if matched:
            found[name] = matched, column
    truth = [name for name in found if not is_no_truth(name)]
    for name in [name for name in found if truth and name not in truth]:
        reasons[name] = f"it holds no cells that people marked, by its name, and {truth[0]} may"
        del found[name]
    chosen: dict[str, tuple[set[str], str | None]] = {}
    for name, (matched, column) in sorted(found.items(), key=lambda item: -len(item[1][0])):
        rival = next((one for one, (own, _) in chosen.items() if own & matched), None)
        if rival is None:
            chosen[name] = matched, column
            continue
        side, why = preferred(candidates, [rival], [name])
        if side == 0:
            raise CellscaperError(
                f"{rival} and {name} hold cells of the same images; name one with --dots {shlex.quote(rival)} "
                f"or --dots {shlex.quote(name)}"
            )
        lost, kept = (name, rival) if side < 0 else (rival, name)
        reasons[lost] = f"{kept} is taken, {why}"
        if lost == rival:
            del chosen[rival]
            chosen[name] = matched, column
    if not chosen:
        alone = [name for name in files if candidates.contents(name) is not None]
        if len(photos) != 1 or len(alone) != 1:
            return None
        chosen = {alone[0]: ({photos[0]}, None)}
    columns = {column for _, column in chosen.values()}
    if len(columns) > 1:
        raise CellscaperError(f"{' and '.join(list(chosen)[:2])} name their images in different columns; use one file")
    cells = {image: name for name, (matched, _) in chosen.items() for image in matched}
    without = [image for image in photos if image not in cells]
    globs, out = _images(photos, sorted({*headers, *candidates.folder.lost} - set(photos)))
    return Found(cells, without, globs, out, sorted(chosen), headers, columns.pop(), reasons)


def _with_empty(found: Found, pairs: Sequence[Pair], candidates: Candidates) -> Found:
    """What was found, with the images that the files for all do not name and that have an empty file of their own."""
    folder = candidates.folder
    for pair in pairs:
        if pair.image not in found.without or folder.paths[pair.cells].stat().st_size > 0:
            continue
        pattern = pairing.settled(pair.pattern, [pair.image])
        if not any(folder.cells_of(image, [pattern]) for image in found.cells):
            found.cells[pair.image] = pair.cells
            found.without.remove(pair.image)
            found.dots = list(dict.fromkeys([*found.dots, pattern]))
    return found


def _values(candidates: Candidates, name: str, column: str | None) -> tuple[str, ...]:
    return () if column is None else candidates.column(name, column)


# -- result --------------------------------------------------------------------------------------------------


def _given(folder: FolderFiles, photos: list[str], dots: str) -> list[Pair]:
    """The pairs of a pattern that the user gave."""
    found = []
    for image in photos:
        name = folder.cells_of(image, [dots])
        if name is not None:
            found.append(Pair(image, name, dots, 0))
    if not found:
        raise CellscaperError(f"--dots {dots!r}: no image has such a file; {{stem}} stands for its name without ending")
    return found


def _described(
    folder: FolderFiles, photos: list[str], pairs: list[Pair], headers: dict[str, Picture], reasons: dict[str, str]
) -> Found:
    """Patterns that choose exactly the images with cells, and those without beside them."""
    cells = {pair.image: pair.cells for pair in pairs}
    groups = {series(image).lower() for image in cells}
    without = [
        image for image in photos if image not in cells and series(image).lower() in groups and image not in reasons
    ]
    for image in photos:
        if image not in cells and image not in without:
            reasons.setdefault(image, NO_CELLS)
    chosen = sorted([*cells, *without])
    others = [name for name in (*headers, *folder.lost) if name not in chosen]
    globs, out = _images(chosen, others)
    patterns: dict[str, list[str]] = {}
    for pair in pairs:
        patterns.setdefault(pair.pattern, []).append(pair.image)
    settled = {pairing.settled(pattern, images): len(images) for pattern, images in patterns.items()}
    dots = sorted(settled, key=lambda pattern: -settled[pattern])
    orders = [dots] if len(dots) > _MOST_ORDERED else [list(one) for one in permutations(dots)]
    dots = next((one for one in orders if {image: folder.cells_of(image, one) for image in cells} == cells), [])
    if not dots:
        raise CellscaperError(
            f"the dot files of {folder.root} follow no common pattern; name one with --dots '…{{stem}}…'"
        )
    return Found(cells, without, globs, out, dots, headers, None, reasons)


def _images(chosen: list[str], others: Iterable[str]) -> tuple[list[str], list[str]]:
    """Globs of the chosen images, and of the other pictures that they would match."""
    listed = FolderFiles.of_names([*chosen, *others])
    globs = pairing.globs(chosen)
    extra = set(listed.matching(globs)) - set(chosen)
    if extra and len({folder_of(image) for image in chosen}) <= 200:
        globs = [glob for folder in sorted({folder_of(image) for image in chosen})
                 for glob in pairing.globs([image for image in chosen if folder_of(image) == folder])]  # fmt: skip
        extra = set(listed.matching(globs)) - set(chosen)
    return globs, pairing.exclusions(sorted(extra), chosen)


def is_shared(found: Found) -> bool:
    """Whether one file holds the cells of all images."""
    return not any(has_place(pattern) for pattern in found.dots)
