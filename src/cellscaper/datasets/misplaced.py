"""What would put the dots of an image on its nuclei: another frame, another scale, a shift, or those of another image.

A fit is a normal score (`dots_on_nuclei`); ``sign`` is −1 where nuclei are bright.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cellscaper.datasets.dots_on_nuclei import few, fit, spot
from cellscaper.datasets.frames import FRAMES, shift_words

LOW, HIGH = 3.0, 4.5  # a fit below which dots are off their nuclei, and one from which they are on them
SURE = 5.5  # a fit from which dots are on nuclei in the best of many scales, shifts or other tables
FEWEST = 3  # images that a common shift is looked for with
EQUAL = 1.0  # difference of fits below which two explanations are named
MOST_OTHERS = 200  # tables of other images that are tried with an image
MOST_JOINED = 400  # images for which they are tried
MOST_SEARCHED = 40  # images with which scales and shifts are looked for
_QUICK = 100  # dots of an image with which scales and tables are chosen
_SCALES = np.exp(np.arange(np.log(0.2), np.log(5.0), 0.006)).tolist()  # 0.6 % apart
_USUAL = (0.25, 0.5, 2.0, 4.0)
_MANY = 300  # with which shifts are
_PEAKS = 8  # shifts that are darker than those beside them, of which the fit is looked at
_FARTHEST, _STEP = 40, 4  # px: shifts that are tried
_KEPT = 0.8  # share of the dots that must lie in the image after a shift
_CLOSE = 6  # px between shifts of different images that are called by one name

Points = NDArray[np.float64]
Pixels = Callable[[str], NDArray[np.uint8]]
Shift = tuple[int, int]


def framed(off: Sequence[str], points: Mapping[str, Points], pixels: Pixels, sign: float) -> dict[str, list[str]]:
    """Images whose dots lie on nuclei in another frame, by the frame in words."""
    found: dict[str, list[str]] = {}
    for image in off:
        picture, own = pixels(image), points[image]
        size = np.array(picture.shape[:2])
        fitted = {words: sign * known(fit(picture, frame(own, size))) for words, frame in FRAMES.items()}
        words = max(fitted, key=fitted.__getitem__)
        if fitted[words] >= HIGH and fitted[words] > sign * fit(picture, own) + LOW:
            found.setdefault(words, []).append(image)
    return found


def moved(off: Sequence[str], points: Mapping[str, Points], pixels: Pixels, sign: float) -> dict[str, list[str]]:
    """Images whose dots lie on nuclei after a change of scale or a shift, by this in words; two where both fit."""
    found: dict[str, list[str]] = {}
    if (common := _common_shift(off, points, pixels, sign)) is not None:
        found[common[0]] = common[1]
        off = [image for image in off if image not in set(common[1])]
    factors: list[float] = []
    shifts: list[Shift] = []
    for image in few_of(off, MOST_SEARCHED):
        factor, value = _best_scale(pixels(image), points[image], sign)
        if value >= SURE and all(abs(np.log(factor / one)) > 0.03 for one in factors):
            factors.append(factor)
        shift, value = _best_shift(pixels(image), points[image], sign)
        if value >= SURE + 1 and all(np.abs(np.subtract(shift, one)).max() > _CLOSE for one in shifts):
            shifts.append(shift)
    factors = [_refined(one, few_of(off, MOST_SEARCHED), points, pixels, sign) for one in factors]
    for image in off if factors or shifts else ():
        picture, own = pixels(image), points[image]
        fitted = {shift_words(*one): sign * _shifted(picture, own, one) for one in shifts}
        for one in factors:  # one beside it, where a little more leaves the image
            tried = [sign * known(fit(picture, own * near)) for near in (one, one * 0.98, one * 1.02)]
            fitted[f"all places {one:.3g} times as large"] = max(tried)
        best = max(fitted.values())
        if best >= HIGH or best >= LOW + max(0.0, sign * known(fit(picture, own))):  # found with others
            words = [one for one, value in fitted.items() if value > best - EQUAL]
            found.setdefault(", or with ".join(words[:2]), []).append(image)
    return found


def of_others(off: Sequence[str], points: Mapping[str, Points], pixels: Pixels, sign: float) -> dict[str, str]:
    """Image → another image whose dots, of at least 10, lie on its nuclei."""
    named = list(points)
    some = {image: few(points[image], _QUICK) for image in named}
    found = {}
    for image in few_of(off, MOST_JOINED):
        picture = pixels(image)
        last = np.array(picture.shape[:2]) - 1
        at = named.index(image)
        near = sorted(range(len(named)), key=lambda k: abs(k - at))[1 : MOST_OTHERS + 1]
        dark = {named[k]: sign * spot(picture, some[named[k]]) for k in near if (some[named[k]] <= last).mean() > 0.95}
        best = sorted(dark, key=dark.__getitem__)[-3:]
        value, other = max(((sign * known(fit(picture, points[one])), one) for one in best), default=(-np.inf, ""))
        if value >= SURE:
            found[image] = other
    return found


def _best_scale(picture: NDArray[np.uint8], own: Points, sign: float) -> tuple[float, float]:
    """The factor with which dots fit best, and their fit."""
    some = few(own, _QUICK)
    last = np.array(picture.shape[:2]) - 1
    tried = [s for s in _SCALES if abs(s - 1) > 0.02 and (some * s <= last).mean() > 0.95]
    dark = [sign * spot(picture, some * s) for s in tried]
    best = [tried[k] for k in np.argsort(dark)[::-1][:5]]
    factor, value = max(((s, sign * known(fit(picture, own * s))) for s in best), key=lambda one: one[1],
                        default=(1.0, -np.inf))  # fmt: skip
    for usual in _USUAL:  # a factor that someone chose rather than one beside it
        if abs(np.log(factor / usual)) < 0.03 and sign * known(fit(picture, own * usual)) >= SURE:
            factor = usual
    return factor, value


def _refined(factor: float, off: Sequence[str], points: Mapping[str, Points], pixels: Pixels, sign: float) -> float:
    """The factor near one of a single image that fits all images best which it fits at all; a usual one stays."""
    if factor in _USUAL:
        return factor
    own = [image for image in off if sign * known(fit(pixels(image), points[image] * factor)) >= LOW]
    near = (factor * np.exp(np.arange(-8, 9) * 0.004)).tolist()
    return max(near, key=lambda one: sum(sign * known(fit(pixels(image), points[image] * one)) for image in own))


def _best_shift(picture: NDArray[np.uint8], own: Points, sign: float) -> tuple[Shift, float]:
    """The shift in px down and right with which dots fit best, and their fit.

    Nuclei are wide, so that the middle of all shifts near the best one that fit nearly as well is taken.
    """
    dark = _dark_by_shift(picture, own, sign)
    steps = [(a, b) for a in (-_STEP, 0, _STEP) for b in (-_STEP, 0, _STEP)]
    peaks = [
        (y, x) for (y, x), value in dark.items() if value >= max(dark.get((y + a, x + b), value) for a, b in steps)
    ]
    peaks = sorted(peaks, key=dark.__getitem__)[-_PEAKS:]
    fitted = {one: sign * _shifted(picture, own, one) for one in peaks if max(map(abs, one)) >= _STEP}
    if not fitted:
        return (0, 0), -np.inf
    y, x = max(fitted, key=fitted.__getitem__)
    near = range(-2 * _STEP, 2 * _STEP + 1, 2)
    around = {(y + a, x + b): sign * _shifted(picture, own, (y + a, x + b)) for a in near for b in near}
    best = max(around.values())
    good = np.array([one for one, value in around.items() if value >= 0.9 * best])
    down, right = np.round(good.mean(axis=0)).astype(int).tolist()
    at = {one: sign * _shifted(picture, own, one) for one in ((down, right), (0, right), (down, 0)) if any(one)}
    straight = {one: value for one, value in at.items() if 0 in one and value > at[down, right] - EQUAL / 2}
    shift = max(straight, key=straight.__getitem__, default=(down, right))
    return shift, at[shift]


def _dark_by_shift(picture: NDArray[np.uint8], own: Points, sign: float) -> dict[Shift, float]:
    """How dark the places under the dots are after each shift that leaves most of them in the image."""
    some = few(own, _MANY)
    wide = range(-_FARTHEST, _FARTHEST + 1, _STEP)
    moved_to = {(y, x): _inside(picture, some + np.array([y, x])) for y in wide for x in wide}
    return {one: sign * spot(picture, inside) for one, inside in moved_to.items() if len(inside)}


def _common_shift(
    off: Sequence[str], points: Mapping[str, Points], pixels: Pixels, sign: float
) -> tuple[str, list[str]] | None:
    """One shift in words with which the dots of several images lie on nuclei, and these images; None without one."""
    looked = few_of(off, MOST_SEARCHED)
    every = [_dark_by_shift(pixels(image), points[image], sign) for image in looked]
    shared = [one for one in every[0] if all(one in dark for dark in every[1:])] if len(looked) >= FEWEST else []
    shared = [one for one in shared if any(one)]
    if not shared:
        return None
    y, x = max(shared, key=lambda one: sum(dark[one] for dark in every))
    near = [(y + a, x + b) for a in range(-_STEP, _STEP + 1, 2) for b in range(-_STEP, _STEP + 1, 2)]
    fitted = {one: sum(sign * _shifted(pixels(image), points[image], one) for image in looked) for one in near}
    best = max(fitted.values())
    if best / np.sqrt(len(looked)) < SURE:
        return None
    good = np.array([one for one, value in fitted.items() if value >= 0.9 * best])
    down, right = np.round(good.mean(axis=0)).astype(int).tolist()
    if max(abs(down), abs(right)) <= _STEP:  # places that are not exact
        return None
    own = [
        image
        for image in off
        if sign * _shifted(pixels(image), points[image], (down, right))
        >= max(HIGH, LOW + sign * known(fit(pixels(image), points[image])))
    ]
    return (shift_words(down, right), own) if len(own) >= max(FEWEST, len(off) // 2 + 1) else None


def _shifted(picture: NDArray[np.uint8], own: Points, shift: Shift) -> float:
    return known(fit(picture, _inside(picture, own + shift)))


def _inside(picture: NDArray[np.uint8], points: Points) -> Points:
    """The points in the picture; none if too few of them are."""
    kept = ((points >= 0) & (points <= np.array(picture.shape[:2]) - 1)).all(axis=1)
    return points[kept] if kept.mean() >= _KEPT else points[:0]


def known(value: float) -> float:
    """A fit with NaN as 0: dots that do not lie in the image tell nothing."""
    return value if np.isfinite(value) else 0.0


def few_of(images: Sequence[str], most: int) -> Sequence[str]:
    """At most ``most`` of the images, evenly from their order."""
    return images[:: max(1, -(-len(images) // most))]
