"""Density maps: the density of one class of cells on a grid, and its normalisation (SD; docs/methods.md, section 2).

Every method has the two functions of density/protocol.py; other code uses only these.
"""

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError

Chosen = TypeVar("Chosen")  # the settings of a method
Params = TypeVar("Params")  # the result of its fit
FEWEST = 3  # cells of a class in an image; with fewer its map is zero


def grid_points(size: tuple[int, int], stride: int) -> NDArray[np.float64]:
    """(h·w, 2) px y, x of the pixel centres of a ``stride``-px grid over ``size`` (H, W) px, row by row.

    An integer coordinate is the centre of a 20× pixel, so grid pixel k holds the pixels k·stride … (k+1)·stride - 1
    and its centre is (k + ½)·stride - ½. h = ceil(H / stride), w = ceil(W / stride): the last pixel may extend beyond.
    """
    y, x = ((np.arange(math.ceil(side / stride)) + 0.5) * stride - 0.5 for side in size)
    return np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)


def checked_points(points: NDArray, method: str) -> NDArray[np.float64]:
    """Points (N, 2) as float64; CellscaperError for fewer than three or for a point that is not finite."""
    points = np.asarray(points, np.float64).reshape(-1, 2)
    if len(points) < FEWEST or not np.isfinite(points).all():
        raise CellscaperError(f"{method} density: {len(points)} points, expected at least {FEWEST}, all finite")
    return points


def density_map(
    method_fit: Callable[[NDArray, Chosen, int], Params],
    method_evaluate: Callable[[Params, NDArray], NDArray],
    points: NDArray,
    size: tuple[int, int],
    stride: int,
    settings: Chosen,
    seed: int,
) -> NDArray[np.float32]:
    """Density of ``points`` (N, 2) px y, x at the pixel centres of the ``stride``-px grid over ``size`` (H, W) px.

    Returns (ceil(H/stride), ceil(W/stride)), per px² at 20× for any stride, so that it integrates to one over
    the plane. All zero for fewer than three cells.
    """
    h, w = (math.ceil(side / stride) for side in size)
    if len(points) < FEWEST:
        return np.zeros((h, w), np.float32)
    params = method_fit(points, settings, seed)
    return method_evaluate(params, grid_points(size, stride)).reshape(h, w).astype(np.float32)


def quantile_scale(maps: Iterable[NDArray], q: float = 0.99) -> float:
    """The ``q`` quantile of all values of all maps (any shapes), zero maps included: SD's normalising constant.

    Raises CellscaperError if it is not positive, because nearly all values are zero.
    """
    values = np.concatenate([np.zeros(0, np.float32), *(np.ravel(one) for one in maps)])
    scale = float(np.quantile(values, q)) if len(values) else 0.0
    if not scale > 0:
        raise CellscaperError(
            f"density scale: the {q:g} quantile of {len(values)} map values is {scale:g}, expected above 0; "
            f"most classes have fewer than {FEWEST} cells an image: use more images"
        )
    return scale


def normalise(density: NDArray, scale: float) -> NDArray[np.float32]:
    """A map (…) divided by ``scale`` (:func:`quantile_scale`), mapped from [0, 1] to [-1, 1] and clamped there."""
    return np.clip(np.asarray(density, np.float32) * np.float32(2 / scale) - 1, -1, 1)
