"""Candidates compete by evidence: names, kinds of pixels, sizes that fit the dots, equal contents; a tie stops."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
from scipy.spatial import cKDTree

from cellscaper.datasets import pictures
from cellscaper.datasets.candidates import Candidates, preferred
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
    """Of several files of cells for an image those of the pattern that the evidence prefers."""
    by_image: dict[str, dict[str, Pair]] = {}
    for pair in pairs:
        by_image.setdefault(pair.image, {})[pair.pattern] = pair
    dropped: dict[str, str] = {}
    while True:
        both = next(
            ([p for p in own if p not in dropped][:2] for own in by_image.values()
             if sum(p not in dropped for p in own) > 1),
            None,
        )  # fmt: skip
        if both is None:
            break
        shared = [own for own in by_image.values() if both[0] in own and both[1] in own]
        first, second = ([own[pattern].cells for own in shared] for pattern in both)
        side, why = preferred(candidates, first, second, (both[0], both[1]))
        if side == 0:
            number = len(next(own for own in by_image.values() if both[0] in own and both[1] in own))
            apart = _apart(candidates, first[0], second[0])
            hint = (
                f"; if each of the {number} holds other cells, put them into one file"
                + _AS_ONE[first[0].endswith(MASKS)]
            ) * apart
            raise CellscaperError(
                f"{first[0]} and {second[0]} fit the same image, {len(shared)} images have two such files; name one "
                f"with --dots {shlex.quote(both[0])} or --dots {shlex.quote(both[1])}{hint}"
            )
        lost, kept = (both[1], both[0]) if side < 0 else (both[0], both[1])
        dropped[lost] = f"{kept} is taken, {why}"
    for own in by_image.values():
        for pattern, pair in own.items():
            if pattern in dropped:
                reasons[pair.cells] = dropped[pattern]
    return [pair for pair in pairs if pair.pattern not in dropped]


def _apart(candidates: Candidates, one: str, other: str) -> bool:
    """Whether two files have no cell in common: classes or cells in files of their own."""
    found = [candidates.contents(name) for name in (one, other)]
    points = [part.points for part in found if part is not None and len(part.points)]
    return len(points) == 2 and bool(cKDTree(points[0]).query(points[1])[0].min() > 1.0)
