"""The eight symmetries of a square window."""

import numpy as np
from numpy.typing import NDArray

from cellscaper.views.pixels import Coordinates, nearest_pixel

EIGHT = range(8)


def mirrored(points: Coordinates, side: int) -> Coordinates:
    """Coordinates (…,) px, float32, of a window of ``side`` px, mirrored: p becomes side − 1 − p, at least 0.

    The nearest pixel of the result is always the mirrored nearest pixel, so that points, images and maps flip alike.
    The mirror image of a tie is a tie and would go up as well; it becomes the next smaller float32 number. So does a
    mirror image that float32 rounds up to a tie.
    """
    turned = (side - 1 - points).clip(0)
    beyond = nearest_pixel(turned) > side - 1 - nearest_pixel(points)
    return turned - turned * 2**-24 * beyond


def transform(points: NDArray, symmetry: int, side: int) -> NDArray[np.float32]:
    """Points (N, 2) px of a ``side`` × ``side`` px window, mirrored or turned by one of EIGHT; 0 leaves them.

    Bit 1 mirrors y, bit 2 mirrors x (:func:`mirrored`), bit 4 then swaps the axes: points turn as rasters do.
    """
    out = np.array(points, np.float32)
    for axis in (0, 1):
        if symmetry >> axis & 1:
            out[:, axis] = mirrored(out[:, axis], side)
    return out[:, ::-1].copy() if symmetry & 4 else out


def inverse(symmetry: int) -> int:
    """The symmetry that undoes another."""
    return 4 | (symmetry & 1) << 1 | symmetry >> 1 & 1 if symmetry & 4 else symmetry
