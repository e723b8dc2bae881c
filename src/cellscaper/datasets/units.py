"""Whether the places of cells are px of their images: fractions, µm, px of the slide or of another scale are told."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellscaper.datasets.identity import first_few
from cellscaper.disk.formats.doubts import FEW_INSIDE, FEWEST

NEAR = 3.0  # px beyond the border within which cells may be cut by it


@dataclass(frozen=True, eq=False)
class Placed:
    """The points (N, 2) y, x of an image as written, and its size (height, width) px."""

    name: str
    points: NDArray[np.float64]
    size: tuple[int, int]


def are_fractions(images: Sequence[Placed]) -> bool:
    """Whether all places lie between 0 and 1, and images have many pixels: fractions of height and width."""
    points = np.concatenate([np.zeros((0, 2)), *(one.points for one in images)])
    large = all(min(one.size) >= 16 for one in images)
    return bool(large and len(points) >= 20 and (points >= 0).all() and (points <= 1).all() and np.ptp(points) > 0.2)


def reach(images: Sequence[Placed]) -> tuple[float, float]:
    """The largest y and x of all dots in heights and widths of their images."""
    filled = [one.points.max(axis=0) / one.size for one in images if len(one.points)]
    height, width = np.max(filled, axis=0).tolist() if filled else (0.0, 0.0)
    return height, width


def few_inside(images: Sequence[Placed]) -> bool:
    """Whether the dots of all images lie in a part at the upper left, as places in a larger unit than px do."""
    number = sum(len(one.points) for one in images)
    filled = sum(len(one.points) >= 10 for one in images)
    return number >= FEWEST * (1 if filled >= 2 else 2) and max(reach(images)) <= FEW_INSIDE


def upper_left(images: Sequence[Placed], given: str | None = None) -> str:
    """The sentence about dots in a part at the upper left; ``given``: the unit that the user says."""
    height, width = reach(images)
    number = sum(len(one.points) for one in images)
    way = "are they in µm or px of another scale? Say --unit um with --mpp"
    way += ", or --unit px if they are right" if given is None else ""
    if given == "um":
        way = "are they in px, or is --mpp too large?"
    return (
        f"all {number} dots lie in the upper left part of their images ({height:.0%} of the height, {width:.0%} of the "
        f"width): {way}"
    )


def outside(images: Sequence[Placed]) -> str | None:
    """The sentence about dots outside their images; None if there are none."""
    number, left, beyond, farthest = 0, [], [], 0.0
    first: list[str] = []
    for one in images:
        out = ((one.points < 0) | (one.points >= one.size)).any(axis=1)
        number += int(out.sum())
        if out.any():
            first += ["y={:g} x={:g}".format(*place) for place in one.points[out][:3].tolist()] if not first else []
            farthest = max(farthest, float(np.maximum(-one.points, one.points - np.array(one.size))[out].max()))
        left += [one.name] if out.any() else []
        if len(one.points):
            beyond.append((one.points.min(axis=0) >= one.size).any())
    if not number:
        return None
    text = (
        f"{number} dots lie outside their images, in {len(left)} of {len(images)} images: {first_few(left)} (first "
        f"{', '.join(first)})"
    )
    if farthest == 0:
        return text + _at_the_end(images)
    text += "; correct them or the order of y and x"
    if farthest <= NEAR:
        return text + f"; none by more than {farthest:.2g} px: are these cells that the border cuts?"
    height, width = reach(images)
    if beyond and np.mean(beyond) > 0.5:
        return text + "; most begin beyond the images: are they px of the whole slide?"
    if min(height, width) > 1.3:
        return text + f"; they reach {max(height, width):.3g} times the sides: are they px of another scale?"
    return text


def _at_the_end(images: Sequence[Placed]) -> str:
    """The end of the sentence about dots whose y or x is the height or width, and none of which is beyond."""
    whole = all((one.points == np.round(one.points)).all() for one in images)
    first = min(float(one.points.min()) for one in images if len(one.points))
    if whole and first >= 1:
        return (
            "; these have y or x equal to the height or width, and no dot of any image has a 0: are places counted "
            "from 1, as MATLAB and R count? Then take 1 off all y and x in the files"
        )
    return (
        "; these have y or x equal to the height or width, where px go from 0 to one less: take 1 off these, or off "
        "all places if they are counted from 1"
    )
