"""Frames in which places of cells can be written by mistake: axes swapped, or counted from another side."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_Points = NDArray[np.float64]
_Size = NDArray[np.float64] | NDArray[np.int64]

FRAMES: dict[str, Callable[[_Points, _Size], _Points]] = {
    "y and x swapped": lambda points, size: points[:, ::-1],
    "y counted from below": lambda points, size: np.stack([size[0] - 1 - points[:, 0], points[:, 1]], 1),
    "x counted from the right": lambda points, size: np.stack([points[:, 0], size[1] - 1 - points[:, 1]], 1),
    "the image turned by half": lambda points, size: size - 1 - points,
    "the image turned to the right": lambda points, size: np.stack([size[0] - 1 - points[:, 1], points[:, 0]], 1),
    "the image turned to the left": lambda points, size: np.stack([points[:, 1], size[1] - 1 - points[:, 0]], 1),
}


def shift_words(down: float, right: float) -> str:
    """A shift in px in words."""
    parts = [
        f"{abs(value):g} px further {way if value > 0 else back}"
        for value, way, back in ((down, "down", "up"), (right, "right", "left"))
        if value
    ]
    return "all of them about " + " and ".join(parts)
