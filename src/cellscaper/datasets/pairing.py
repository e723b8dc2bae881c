"""Which file of cells belongs to which image: by names, as patterns that hold for whole folders.

A pattern is the path of a dot file with {stem} or {name} for the image's file name and {1}, {2} … for its folders.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from cellscaper.datasets.folder_files import escaped, filled, stem

_MOST = 60  # images of one name in many folders, beyond which only near files are looked at


@dataclass(frozen=True)
class Pair:
    """An image, a file that may hold its cells, the pattern that leads from one to the other, how near they lie."""

    image: str
    cells: str
    pattern: str
    nearness: int


def pairs(images: Sequence[str], files: Sequence[str]) -> list[Pair]:
    """All pairs by names; of the images that a file may belong to, the nearest ones."""
    by_stem: dict[str, list[str]] = {}
    alone = Counter(str(PurePosixPath(image).parent) for image in images)
    for image in images:
        by_stem.setdefault(stem(image), []).append(image)
    single = sum(number == 1 for number in alone.values()) >= 0.9 * len(alone)  # a folder for each image
    by_folder = {str(PurePosixPath(image).parent): image for image in images}
    found = []
    for file in files:
        own = _named(file, by_stem)
        if not own and single:
            own = [pair for image in _of_folder(file, by_folder, alone) if (pair := _in_folder(image, file))]
        best = max((pair.nearness for pair in own), default=0)
        found += [pair for pair in own if pair.nearness == best]
    return found


def _named(file: str, by_stem: Mapping[str, list[str]]) -> list[Pair]:
    """Pairs with the images whose stem is in the file's name, or is a folder of its path."""
    path = PurePosixPath(file)
    name, spans = path.name, []
    end = len(name)
    starts = [0, *(k + 1 for k in range(end) if not name[k].isalnum())]
    for start in starts:
        for stop in range(end - 1, start, -1):
            if name[start:stop] in by_stem and not (name[stop].isalnum()):
                spans.append((stop - start, start, stop))
                break
    if spans:
        _, start, stop = max(spans)
        before, behind = name[:start], name[stop:]
        near = _near(file, by_stem[name[start:stop]])
        made = [_pair(image, path, before, behind) for image in near]
        return [one for one in made if one is not None]
    for part in reversed(path.parts[:-1]):
        if part in by_stem:
            made = [_pair(image, path, None, name) for image in _near(file, by_stem[part])]
            return [one for one in made if one is not None]
    return []


def _near(file: str, images: list[str]) -> list[str]:
    if len(images) <= _MOST:
        return images
    first = file.split("/")[0]
    return [image for image in images if image.split("/")[0] == first][:_MOST]


def _pair(image: str, file: PurePosixPath, before: str | None, behind: str) -> Pair | None:
    """The pair with a pattern; ``before`` None: the file's name says nothing, a folder of it is the stem."""
    path = PurePosixPath(image)
    folders, nearness = [], 0
    for k, part in enumerate(file.parts[:-1]):
        known = path.parts[:-1]
        if k < len(known) and known[k] == part and k < 9:
            folders.append(f"{{{k + 1}}}")
            nearness += 3
        elif part == stem(image):
            folders.append("{stem}")
            nearness += 2
        elif known.count(part) == 1 and known.index(part) < 9:
            folders.append(f"{{{known.index(part) + 1}}}")
            nearness += 2
        else:
            folders.append(part)
    if before is None:
        last = behind
    elif before == "" and behind.startswith(path.suffix) and (rest := behind[len(path.suffix) :]).startswith("."):
        last = "{name}" + rest
    else:
        last = before + "{stem}" + behind
    pattern = "/".join([*folders, last])
    return Pair(image, str(file), pattern, nearness) if filled(pattern, image) == str(file) else None


def _of_folder(file: str, by_folder: Mapping[str, str], alone: Mapping[str, int]) -> list[str]:
    """The only image in the folder of a file, or in a folder beside or below it."""
    parent = PurePosixPath(file).parent
    if str(parent) == ".":
        return []
    near = [str(parent), str(parent.parent)] if len(parent.parts) > 1 else [str(parent)]
    for folder in near:
        inner = [one for one in by_folder if one == folder or PurePosixPath(one).parent == PurePosixPath(folder)]
        if len(inner) == 1 and alone[inner[0]] == 1:
            return [by_folder[inner[0]]]
        if inner:
            return []
    return []


def _in_folder(image: str, file: str) -> Pair | None:
    """The pair of an image and a file in a folder of their own, whose name may be part of the file's."""
    path, cells = PurePosixPath(image), PurePosixPath(file)
    folder = next((k for k, part in enumerate(path.parts[:-1]) if k < 9 and part == cells.parts[k]), None)
    if folder is None:
        return None
    pair = _pair(image, cells, None, cells.name)
    if pair is None:
        return None
    last = pair.pattern.rsplit("/", 1)
    name = cells.parent.parts[-1]
    if cells.name.startswith(name) and not cells.name[len(name) :][:1].isalnum():
        at = next((k for k, part in enumerate(path.parts[:-1]) if part == name and k < 9), None)
        if at is not None:
            pattern = f"{last[0]}/{{{at + 1}}}{cells.name[len(name) :]}"
            return Pair(image, file, pattern, pair.nearness) if filled(pattern, image) == file else pair
    return pair


def settled(pattern: str, images: Sequence[str]) -> str:
    """A pattern with the folders that are the same for all images written out."""
    paths = [PurePosixPath(image).parts[:-1] for image in images]

    def value(place: re.Match[str]) -> str:
        k = int(place[1]) - 1
        same = {folders[k] for folders in paths if k < len(folders)}
        return same.pop() if len(same) == 1 else place[0]

    return re.sub(r"\{(\d)\}", value, pattern)


def globs(images: Sequence[str]) -> list[str]:
    """Patterns of images: one for each depth and ending, * where their folders differ."""
    groups: dict[tuple[int, str], list[PurePosixPath]] = {}
    for image in images:
        path = PurePosixPath(image)
        groups.setdefault((len(path.parts), path.suffix), []).append(path)
    made = []
    for (depth, suffix), paths in sorted(groups.items()):
        parts = []
        for k in range(depth - 1):
            same = {path.parts[k] for path in paths}
            parts.append(escaped(same.pop()) if len(same) == 1 else "*")
        names = {path.name for path in paths}
        last = escaped(names.pop()) if len(names) == 1 and len(paths) > 1 else f"*{escaped(suffix)}"
        made.append("/".join([*parts, last]))
    return made


def exclusions(names: Sequence[str], chosen: Sequence[str]) -> list[str]:
    """Globs that match these names and none of the chosen: by the end of their names where it tells them apart."""
    made: dict[str, None] = {}
    for name in names:
        path = PurePosixPath(name)
        end = re.search(r"[\W_][^\W\d_]+(?:[\W_][^\W\d_]+)*$", path.stem)
        ending = f"{end[0]}{path.suffix}" if end else ""
        tells = ending and not any(one.endswith(ending) for one in chosen)
        made[f"**/*{escaped(ending)}" if tells else escaped(name)] = None
    return list(made)
