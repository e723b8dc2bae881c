"""Candidates compete by evidence: names, kinds of pixels, sizes that fit the dots, equal contents; a tie stops."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
from scipy.spatial import cKDTree

from cellscaper.datasets import pictures
from cellscaper.datasets.candidates import SAME_CELLS, Candidates, preferred
from cellscaper.datasets.identity import first_few
from cellscaper.datasets.pairing import Pair
from cellscaper.datasets.pictures import Picture
from cellscaper.disk.formats.label_mask import ENDINGS as MASKS
from cellscaper.errors import CellscaperError

_AS_ONE = (", a table with a column class", ", a label mask with a number for each cell")  # text, masks


def folder_of(name: str) -> str:
    return str(PurePosixPath(name).parent)


def competed(
    pairs: list[Pair], headers: Mapping[str, Picture], candidates: Candidates, reasons: dict[str, str]
) -> list[Pair]:
    """One file of cells an image, one image a file; CellscaperError for a tie."""
    pairs = _readable(pairs, candidates, reasons)
    pairs = _one_image(pairs, headers, candidates, reasons)
    return _one_file(pairs, candidates, reasons)


def _readable(pairs: list[Pair], candidates: Candidates, reasons: dict[str, str]) -> list[Pair]:
    """Without patterns whose files hold no cells, if another pattern's do; of each the first three files are read."""
    patterns: dict[str, list[Pair]] = {}
    for pair in pairs:
        patterns.setdefault(pair.pattern, []).append(pair)
    bad = {
        pattern for pattern, own in patterns.items() if all(candidates.contents(pair.cells) is None for pair in own[:3])
    }
    texts = {p for p in bad if p.lower().endswith((".txt", *MASKS))}
    drop = bad if len(bad) < len(patterns) else texts
    for pattern in drop:
        for pair in patterns[pattern]:
            why = candidates.why.get(patterns[pattern][0].cells, "")
            reasons.setdefault(pair.cells, "no cells can be read" + (f" ({brief(why)})" if why else ""))
    return [pair for pair in pairs if pair.pattern not in drop]


def brief(text: str) -> str:
    """An error for a place among others: without its file, shortened."""
    words = text.split(" ", 1)[-1] if text.startswith("/") else text
    return words if len(words) <= 120 else words[:117] + "…"


def _one_image(
    pairs: list[Pair], headers: Mapping[str, Picture], candidates: Candidates, reasons: dict[str, str]
) -> list[Pair]:
    """Of several images with the same file of cells the one that the evidence prefers, folder by folder."""
    owners: dict[str, list[Pair]] = {}
    for pair in pairs:
        owners.setdefault(pair.cells, []).append(pair)
    rivals: dict[tuple[str, ...], list[list[Pair]]] = {}
    for own in owners.values():
        kinds = tuple(sorted({series(pair.image) for pair in own}))
        if len(kinds) > 1:
            rivals.setdefault(kinds, []).append(own)
    lost: set[str] = set()
    for kinds, cases in rivals.items():
        best = _bestseries(kinds, cases, headers, candidates)
        for own in cases:
            for pair in own:
                if series(pair.image) != best:
                    lost.add(pair.image)
                    reasons.setdefault(pair.image, f"pictures of the same cells as {best}")
    return [pair for pair in pairs if pair.image not in lost]


def series(image: str) -> str:
    return f"{folder_of(image)}/*{PurePosixPath(image).suffix}".removeprefix("./")


def _bestseries(
    kinds: Sequence[str], cases: list[list[Pair]], headers: Mapping[str, Picture], candidates: Candidates
) -> str:
    ranks = {kind: pictures.standing(str(PurePosixPath(kind).parent)) for kind in kinds}
    best = [kind for kind in kinds if ranks[kind] == max(ranks.values())]
    if len(best) > 1:
        fits = {kind: _fit(kind, cases, headers, candidates) for kind in best}
        best = [kind for kind in best if fits[kind] >= max(fits.values()) - 0.02]
    if len(best) > 1 and len({str(PurePosixPath(kind).parent) for kind in best}) == 1:
        order = (".tif", ".tiff", ".png", ".bmp", ".jpg", ".jpeg")  # the same picture: without losses first
        best = sorted(best, key=lambda kind: order.index(PurePosixPath(kind).suffix.lower()))[:1]
    if len(best) > 1:
        named = sorted((pair for pair in cases[0] if series(pair.image) in best), key=lambda pair: pair.image)
        more = f", and {len(cases) - 1} more files of cells to several" if len(cases) > 1 else ""
        kinds_in_words = " and ".join(best[:3]) + (f" and {len(best) - 3} more" if len(best) > 3 else "")
        raise CellscaperError(
            f"{named[0].cells} belongs to {len(named)} images by its name, {first_few([one.image for one in named])}"
            f"{more}; if {kinds_in_words} are pictures of the same cells, name the images with --images "
            f"{shlex.quote(best[0])}; if they are different images, put each file of cells into the folder of its image"
        )
    return best[0]


def _fit(kind: str, cases: list[list[Pair]], headers: Mapping[str, Picture], candidates: Candidates) -> float:
    """How well the dots fill the images of a series: the share inside, less what they leave empty."""
    values = []
    for own in cases[:5]:
        for pair in own:
            header, found = headers.get(pair.image), candidates.contents(pair.cells)
            if series(pair.image) == kind and header is not None and found is not None and len(found.points):
                inside = ((found.points >= 0) & (found.points < header.size)).all(axis=1).mean()
                reach = float(np.min(found.points.max(axis=0) / header.size))
                values.append(float(inside) - max(0.0, 0.8 - min(reach, 0.8)))
    return float(np.mean(values)) if values else 0.0


def _one_file(pairs: list[Pair], candidates: Candidates, reasons: dict[str, str]) -> list[Pair]:
    """Of several files of cells for an image those of the pattern that the evidence prefers.

    Of two patterns that hold the same cells, each still counts for the images that the other lacks.
    """
    by_image: dict[str, dict[str, Pair]] = {}
    for pair in pairs:
        by_image.setdefault(pair.image, {})[pair.pattern] = pair
    dropped: dict[str, str] = {}
    lost_here: dict[tuple[str, str], str] = {}  # image, pattern

    def left(image: str) -> list[str]:
        return [p for p in by_image[image] if p not in dropped and (image, p) not in lost_here]

    while True:
        both = next((left(image)[:2] for image in by_image if len(left(image)) > 1), None)
        if both is None:
            break
        shared = [image for image in by_image if both[0] in left(image) and both[1] in left(image)]
        first, second = ([by_image[image][pattern].cells for image in shared] for pattern in both)
        side, why = preferred(candidates, first, second, (both[0], both[1]))
        if side == 0:
            raise CellscaperError(_tie(by_image, both, shared, candidates))
        lost, kept = (both[1], both[0]) if side < 0 else (both[0], both[1])
        if why == SAME_CELLS:
            lost_here |= {(image, lost): f"{kept} is taken, {why}" for image in shared}
        else:
            dropped[lost] = f"{kept} is taken, {why}"
    for image, own in by_image.items():
        for pattern, pair in own.items():
            told = dropped.get(pattern) or lost_here.get((image, pattern))
            if told is not None:
                reasons[pair.cells] = told
    return [pair for pair in pairs if pair.pattern not in dropped and (pair.image, pair.pattern) not in lost_here]


def _tie(
    by_image: Mapping[str, Mapping[str, Pair]], both: Sequence[str], shared: Sequence[str], candidates: Candidates
) -> str:
    """The sentence about images with two files of cells: with a pattern only where it has a file for all images."""
    one, other = (by_image[shared[0]][pattern].cells for pattern in both)
    text = (
        f"{one} and {other} fit the same image, {'1 image has' if len(shared) == 1 else f'{len(shared)} images have'}"
    )
    text += " two such files"
    number = len(by_image[shared[0]])
    whole = [f"--dots {shlex.quote(p)}" for p in both if all(p in own for own in by_image.values())]
    if len(whole) == len(both):
        text += f"; name one with {' or '.join(whole)}"
    else:
        which = "that image" if len(shared) == 1 else f"each of them, {first_few(list(shared))}"
        text += f", and they differ; remove one of the two files of {which}" + f", or name {''.join(whole)}" * bool(
            whole
        )
    if _apart(candidates, one, other):
        text += f"; if each of the {number} holds other cells, put them into one file{_AS_ONE[one.endswith(MASKS)]}"
    return text


def _apart(candidates: Candidates, one: str, other: str) -> bool:
    """Whether two files have no cell in common: classes or cells in files of their own."""
    found = [candidates.contents(name) for name in (one, other)]
    points = [part.points for part in found if part is not None and len(part.points)]
    return len(points) == 2 and bool(cKDTree(points[0]).query(points[1])[0].min() > 1.0)
