"""The pixel of a point (docs/methods.md, section 1.4): whole numbers are the centres of pixels, ties go up.

Pixel i of a map with stride s covers [i·s − ½, (i + 1)·s − ½) along an axis, so it is ⌊(p + ½) / s⌋, and its centre is
(i + ½)·s − ½. Layouts reach from 0 to below their side: the last half pixel, beyond side − ½, counts to the last pixel.
"""

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from torch import Tensor

Coordinates = TypeVar("Coordinates", NDArray[np.floating], "Tensor")


def nearest_pixel(points: Coordinates) -> Coordinates:
    """⌊p + ½⌋ of coordinates (…,) px, float64 whole numbers: the nearest pixel at stride 1, without borders.

    Exact for float32. In single precision the sum would round, for example for 0.49999997.
    """
    if isinstance(points, np.ndarray):
        return np.floor(points.astype(np.float64) + 0.5)
    return (points.double() + 0.5).floor()


def pixels_of(points: NDArray[np.floating], size: ArrayLike) -> NDArray[np.int64]:
    """(N, 2) the nearest pixels of points (N, 2) px, y then x, in a map of ``size`` (height, width) px."""
    return nearest_pixel(points).astype(np.int64).clip(0, np.asarray(size) - 1)
