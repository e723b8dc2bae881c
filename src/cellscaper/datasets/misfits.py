"""Images whose own dots do not lie on their nuclei, judged one by one, and what would make them fit.

A fit is a normal score (`dots_on_nuclei`). On the 120 images of BRCA-M2C, and on 959 ninths of them with 10 dots and
more, nothing is said of their own dots. Scales and tables of other images that are wrong reach 3.1 there at most.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cellscaper.datasets import misfit_parts, misplaced
from cellscaper.datasets.contradictions import other_frame
from cellscaper.datasets.dots_on_nuclei import fit, on_dark_ground, shows_nuclei
from cellscaper.datasets.identity import first_few
from cellscaper.datasets.misplaced import HIGH, LOW, Pixels, few_of

FEWEST = 10  # dots of an image that is judged
DOUBTFUL, ENOUGH = 2.0, 40  # a fit below which, and dots from which, images that nothing explains are named
MANY = 0.25  # share of the images, at least 3, from which such images of fewer dots are named, too
CORNER, FILLED = 0.65, 0.75  # share of height and width that dots of another unit reach at most, and others at least
CORNER_DOTS = 20  # dots of an image that are all in its upper left part
NAMED = 8  # files in a sentence

_Points = NDArray[np.float64]


@dataclass(frozen=True)
class Misfits:
    """Sentences about images whose dots do not fit: what explains them is a fault, what nothing explains is said.

    off     the images whose dots are off their nuclei, and which nothing explains; judged: all that were looked at
    whole   whether the dots of all of them were off, before any explanation
    bright  whether nuclei are bright, as in fluorescence
    parts   sentences about a part of an image's cells
    """

    faults: list[str]
    off: list[str]
    judged: list[str]
    whole: bool
    bright: bool
    parts: list[str] = field(default_factory=list)


def find(points: Mapping[str, _Points], pixels: Pixels, files: Mapping[str, str]) -> Misfits:
    """Judge each image by its own dots. ``points`` (N, 2) y, x px; ``files``: the file of cells of each image."""
    sizes: dict[str, NDArray[np.int64]] = {}
    fits: dict[str, float] = {}
    for image, dots in points.items():
        if len(dots) >= FEWEST:
            picture = pixels(image)
            sizes[image] = np.array(picture.shape[:2])
            if np.isfinite(value := fit(picture, dots)):
                fits[image] = value
    light, dark = (sum(value * way >= HIGH for value in fits.values()) for way in (-1, 1))
    bright = light > dark and 2 * light >= len(fits)  # dots beside nuclei lie on light places, too
    sign = -1.0 if bright else 1.0
    off = [image for image, value in fits.items() if sign * value < LOW]
    whole = bool(off) and len(off) == len(fits)
    if whole and sum(on_dark_ground(pixels(image)) for image in off) > len(off) / 2:
        bright, sign = True, -1.0
    names = _Names(files)
    faults: list[str] = []

    def of(images: Sequence[str], number: int = len(fits)) -> str:
        return f"the dots of {len(images)} of {number} images"

    for words, own in (framed := misplaced.framed(off, points, pixels, sign)).items():
        faults.append(
            f"{of(own)} do not lie on nuclei, and with {words} they do: {names.of(own)}; correct these files, or say "
            "--unit px if they are right"
        )
    off = _without(off, framed.values())
    for words, own in (moved := misplaced.moved(off, points, pixels, sign)).items():
        unit = ", are these in another unit? Correct them" if "times as large" in words else "; correct these files"
        faults.append(
            f"{of(own)} do not lie on nuclei, and with {words} they do: {names.of(own)}{unit}, or say --unit px if "
            "they are right"
        )
    off = _without(off, moved.values())
    right = {image for image, value in fits.items() if sign * value >= LOW}
    cornered = _cornered(points, sizes, right.union(*moved.values()))
    if cornered:
        reach = max(float((points[image].max(axis=0) / sizes[image]).max()) for image in cornered)
        faults.append(
            f"{of(cornered, len(sizes))} lie in the upper left part ({reach:.0%} of the sides or less), and nearer to "
            f"each other than those of the rest, which fill theirs: {names.of(cornered)}, are these in another unit? "
            "Correct them, or say --unit px if they are right"
        )
    off = _without(off, [cornered])
    many = {image: own for image, own in points.items() if len(own) >= FEWEST}
    others = misplaced.of_others(off, many, pixels, sign)
    if others:
        pairs = [f"{names.one(other)} on {image}" for image, other in others.items()]
        faults.append(
            f"{of(list(others))} do not lie on their nuclei, and those named after other images do: "
            f"{first_few(pairs, NAMED)}; correct the names of the files, or say --unit px if they are right"
        )
    off = _without(off, [others])
    if len(off) > 1 and not whole:  # one by one, nothing explains them
        some = {image: pixels(image) for image in few_of(off, misplaced.MOST_SEARCHED)}
        told = other_frame(points, some, f"{of(off)} ({names.of(off)})")
        if told is not None:
            return Misfits([*faults, told], [], list(fits), whole, bright)
    whole_ones = {image: points[image] for image in fits if image in right or image in off}
    stops, parts = misfit_parts.sentences(whole_ones, many, pixels, sign, names.one)
    faults += stops
    left = [image for image in off if sign * fits[image] < DOUBTFUL and shows_nuclei(pixels(image))]
    if len(left) < max(3, MANY * len(fits)):
        left = [image for image in left if len(points[image]) >= ENOUGH]
    return Misfits(faults, left, list(fits), whole, bright, parts)


def doubt(found: Misfits, files: Mapping[str, str]) -> str | None:
    """The sentence about dots that lie on nuclei no better than by chance, and that nothing explains; None without."""
    if not found.off or found.bright:
        return None
    return (
        f"the dots of {len(found.off)} of {len(found.judged)} images lie on dark nuclei no better than by chance: "
        f"{_Names(files).of(found.off)}; are they of these images, and in px?"
    )


def _cornered(points: Mapping[str, _Points], sizes: Mapping[str, NDArray[np.int64]], on: set[str]) -> list[str]:
    """Images with dots in their upper left part alone, and nearer to each other than in images that are filled.

    ``on``: images whose dots lie on their nuclei, which are right.
    """
    held = {image: own for image, own in points.items() if len(own) >= CORNER_DOTS and image in sizes}
    reach = {image: float((own.max(axis=0) / sizes[image]).max()) for image, own in held.items()}
    filled = [image for image, value in reach.items() if value >= FILLED]
    few_filled = [image for image, value in reach.items() if value <= CORNER and image not in on]
    if not filled or not few_filled:
        return []
    usual = float(np.median([_neighbours(held[image]) for image in filled]))
    return [image for image in few_filled if _neighbours(held[image]) < CORNER * usual]


def _neighbours(points: _Points) -> float:
    """Median distance in px to the nearest other dot."""
    return float(np.median(cKDTree(points).query(points, 2)[0][:, 1]))


def _without(images: Sequence[str], groups: Iterable[Iterable[str]]) -> list[str]:
    gone = {image for own in groups for image in own}
    return [image for image in images if image not in gone]


class _Names:
    """Names the files of cells of images; images where one file holds the cells of several."""

    def __init__(self, files: Mapping[str, str]):
        self._files = files
        listed = list(files.values())
        self._single = len(set(listed)) == len(listed)

    def one(self, image: str) -> str:
        return self._files.get(image, image) if self._single else image

    def of(self, images: Sequence[str]) -> str:
        return first_few([self.one(image) for image in images], NAMED)
