"""Images whose own dots do not lie on their nuclei, judged one by one, and what would make them fit.

A fit is a normal score (`dots_on_nuclei`). On the 120 images of BRCA-M2C, and on 959 ninths of them with 10 dots and
more, nothing is said of their own dots. Scales and tables of other images that are wrong reach 3.1 there at most.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cellscaper.datasets.contradictions import other_frame
from cellscaper.datasets.dots_on_nuclei import few, fit, on_dark_ground, shows_nuclei, spot
from cellscaper.datasets.frames import FRAMES
from cellscaper.datasets.identity import first_few

FEWEST = 10  # dots of an image that is judged
LOW, HIGH = 3.0, 4.5  # a fit below which dots are off their nuclei, and one from which they are on them
SURE = 5.5  # a fit from which dots are on nuclei in the best of many scales or other tables
DOUBTFUL, ENOUGH = 2.0, 40  # a fit below which, and dots from which, images that nothing explains are named
MANY = 0.25  # share of the images, at least 3, from which such images of fewer dots are named, too
CORNER, FILLED = 0.65, 0.75  # share of height and width that dots of another unit reach at most, and others at least
CORNER_DOTS = 20  # dots of an image that are all in its upper left part
MOST_OTHERS = 200  # tables of other images that are tried with an image
MOST_JOINED = 400  # images for which they are tried
MOST_SCALED = 40  # images with which scales are looked for
_QUICK = 100  # dots of an image with which scales and tables are chosen
_SCALES = np.exp(np.arange(np.log(0.2), np.log(5.0), 0.006)).tolist()  # 0.6 % apart
_USUAL = (0.25, 0.5, 2.0, 4.0)
NAMED = 8  # files in a sentence

_Points = NDArray[np.float64]
Pixels = Callable[[str], NDArray[np.uint8]]


@dataclass(frozen=True)
class Misfits:
    """Sentences about images whose dots do not fit: what explains them is a fault, what nothing explains is said.

    off     the images whose dots are off their nuclei, and which nothing explains; judged: all that were looked at
    whole   whether the dots of all of them were off, before any explanation
    bright  whether nuclei are bright, as in fluorescence
    """

    faults: list[str]
    off: list[str]
    judged: list[str]
    whole: bool
    bright: bool


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
    bright = sum(value <= -HIGH for value in fits.values()) > sum(value >= HIGH for value in fits.values())
    sign = -1.0 if bright else 1.0
    off = [image for image, value in fits.items() if sign * value < LOW]
    whole = bool(off) and len(off) == len(fits)
    if whole and sum(on_dark_ground(pixels(image)) for image in off) > len(off) / 2:
        bright, sign = True, -1.0
    names = _Names(files)
    faults: list[str] = []

    def of(images: Sequence[str], number: int = len(fits)) -> str:
        return f"the dots of {len(images)} of {number} images"

    for words, own in (framed := _framed(off, points, pixels, sign)).items():
        faults.append(
            f"{of(own)} do not lie on nuclei, and with {words} they do: {names.of(own)}; correct these files, or say "
            "--unit px if they are right"
        )
    off = _without(off, framed.values())
    if off and not whole:
        some = {image: pixels(image) for image in few_of(off, MOST_SCALED)}
        told = other_frame(points, some, f"{of(off)} ({names.of(off)})")
        if told is not None:
            return Misfits([*faults, told], [], list(fits), whole, bright)
    for factor, own in (scaled := _scaled(off, points, pixels, sign)).items():
        faults.append(
            f"{of(own)} do not lie on nuclei, and with all places {factor:.3g} times as large they do: "
            f"{names.of(own)}, are these in another unit? Correct them, or say --unit px if they are right"
        )
    off = _without(off, scaled.values())
    right = {image for image, value in fits.items() if sign * value >= LOW}
    cornered = _cornered(points, sizes, right.union(*scaled.values()))
    if cornered:
        reach = max(float((points[image].max(axis=0) / sizes[image]).max()) for image in cornered)
        faults.append(
            f"{of(cornered, len(sizes))} lie in the upper left part ({reach:.0%} of the sides or less), and nearer to "
            f"each other than those of the rest, which fill theirs: {names.of(cornered)}, are these in another unit? "
            "Correct them, or say --unit px if they are right"
        )
    off = _without(off, [cornered])
    others = _others(off, points, pixels, sign)
    if others:
        pairs = [f"{names.one(other)} on {image}" for image, other in others.items()]
        faults.append(
            f"{of(list(others))} do not lie on their nuclei, and those named after other images do: "
            f"{first_few(pairs, NAMED)}; correct the names of the files, or say --unit px if they are right"
        )
    left = [image for image in _without(off, [others]) if sign * fits[image] < DOUBTFUL and shows_nuclei(pixels(image))]
    if len(left) < max(3, MANY * len(fits)):
        left = [image for image in left if len(points[image]) >= ENOUGH]
    return Misfits(faults, left, list(fits), whole, bright)


def doubt(found: Misfits, files: Mapping[str, str]) -> str | None:
    """The sentence about dots that lie on nuclei no better than by chance, and that nothing explains; None without."""
    if not found.off or found.bright:
        return None
    return (
        f"the dots of {len(found.off)} of {len(found.judged)} images lie on dark nuclei no better than by chance: "
        f"{_Names(files).of(found.off)}; are they of these images, and in px?"
    )


def _framed(off: Sequence[str], points: Mapping[str, _Points], pixels: Pixels, sign: float) -> dict[str, list[str]]:
    """Images whose dots lie on nuclei in another frame, by the frame in words."""
    found: dict[str, list[str]] = {}
    for image in off:
        picture, own = pixels(image), points[image]
        size = np.array(picture.shape[:2])
        fitted = {words: sign * _known(fit(picture, frame(own, size))) for words, frame in FRAMES.items()}
        words = max(fitted, key=fitted.__getitem__)
        if fitted[words] >= HIGH and fitted[words] > sign * fit(picture, own) + LOW:
            found.setdefault(words, []).append(image)
    return found


def _scaled(off: Sequence[str], points: Mapping[str, _Points], pixels: Pixels, sign: float) -> dict[float, list[str]]:
    """Images whose dots lie on nuclei when all places are a factor times as large, by the factor."""
    factors: list[float] = []
    for image in few_of(off, MOST_SCALED):
        own, picture = points[image], pixels(image)
        some = few(own, _QUICK)
        last = np.array(picture.shape[:2]) - 1
        tried = [s for s in _SCALES if abs(s - 1) > 0.02 and (some * s <= last).mean() > 0.95]
        dark = [sign * spot(picture, some * s) for s in tried]
        best = [tried[k] for k in np.argsort(dark)[::-1][:5]]
        factor, value = max(((s, sign * _known(fit(picture, own * s))) for s in best), key=lambda one: one[1],
                            default=(1.0, -np.inf))  # fmt: skip
        for usual in _USUAL:  # a factor that someone chose rather than one beside it
            if abs(np.log(factor / usual)) < 0.03 and sign * _known(fit(picture, own * usual)) >= SURE:
                factor = usual
        if value >= SURE and all(abs(np.log(factor / one)) > 0.03 for one in factors):
            factors.append(factor)
    found: dict[float, list[str]] = {}
    for image in off if factors else ():
        fitted = {s: sign * _known(fit(pixels(image), points[image] * s)) for s in factors}
        factor = max(fitted, key=fitted.__getitem__)
        if fitted[factor] >= HIGH:
            found.setdefault(factor, []).append(image)
    return found


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


def _others(off: Sequence[str], points: Mapping[str, _Points], pixels: Pixels, sign: float) -> dict[str, str]:
    """Image → another image whose dots lie on its nuclei."""
    named = [image for image, own in points.items() if len(own) >= FEWEST]
    some = {image: few(points[image], _QUICK) for image in named}
    found = {}
    for image in few_of(off, MOST_JOINED):
        picture = pixels(image)
        last = np.array(picture.shape[:2]) - 1
        at = named.index(image)
        near = sorted(range(len(named)), key=lambda k: abs(k - at))[1 : MOST_OTHERS + 1]
        dark = {named[k]: sign * spot(picture, some[named[k]]) for k in near if (some[named[k]] <= last).mean() > 0.95}
        best = sorted(dark, key=dark.__getitem__)[-3:]
        value, other = max(((sign * _known(fit(picture, points[one])), one) for one in best), default=(-np.inf, ""))
        if value >= SURE:
            found[image] = other
    return found


def _known(value: float) -> float:
    """A fit with NaN as 0: dots that do not lie in the image tell nothing."""
    return value if np.isfinite(value) else 0.0


def few_of(images: Sequence[str], most: int) -> Sequence[str]:
    """At most ``most`` of the images, evenly from their order."""
    return images[:: max(1, -(-len(images) // most))]


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
