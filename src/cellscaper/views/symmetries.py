"""The eight symmetries of a square window."""

import numpy as np
from numpy.typing import NDArray

EIGHT = range(8)


def transform(points: NDArray, symmetry: int, side: int) -> NDArray[np.float32]:
    """Points (N, 2) px of a ``side`` × ``side`` px window, mirrored or turned by one of EIGHT; 0 leaves them.

    Bit 1 mirrors y, bit 2 mirrors x, bit 4 then swaps the axes. As in training crops, a mirrored cell at pixel y
    moves to side - 1 - y (at least 0), so that cells and rasters turn alike.
    """
    out = np.array(points, np.float32)
    for axis in (0, 1):
        if symmetry >> axis & 1:
            out[:, axis] = np.maximum(np.float32(side - 1) - out[:, axis], 0)
    return out[:, ::-1].copy() if symmetry & 4 else out


def inverse(symmetry: int) -> int:
    """The symmetry that undoes another."""
    return 4 | (symmetry & 1) << 1 | symmetry >> 1 & 1 if symmetry & 4 else symmetry
