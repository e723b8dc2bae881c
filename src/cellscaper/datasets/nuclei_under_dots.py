"""How dark images are under and around dots: nuclei are dark, and their radius tells the scale."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RADII = np.arange(0, 49)  # px around a dot
_ANGLES = np.linspace(0, 2 * np.pi, 12, endpoint=False)
MOST = 300  # dots of an image


def darkness(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W) optical density of the red channel of an RGB image (H, W, 3): haematoxylin absorbs red, eosin hardly."""
    red = image[..., 0].astype(np.float32)
    return -np.log((red + 1) / 256)


def under(image: NDArray[np.uint8], points: NDArray[np.float64]) -> float:
    """Mean darkness under the points (N, 2) y, x px that lie in the image; NaN if none does."""
    places = np.round(points).astype(np.int64)
    size = np.array(image.shape[:2])
    places = places[((places >= 0) & (places < size)).all(axis=1)]
    if not len(places):
        return float("nan")
    return float(darkness(image[places[:, 0], places[:, 1]][None]).mean())


def profile(image: NDArray[np.uint8], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R,) summed darkness at the distances RADII around dots (N, 2) y, x px, and (R,) the number of places: (2, R)."""
    rng = np.random.default_rng(0)
    chosen = points if len(points) <= MOST else points[rng.permutation(len(points))[:MOST]]
    ring = np.stack([np.sin(_ANGLES), np.cos(_ANGLES)], axis=-1)  # (A, 2)
    places = chosen[:, None, None] + RADII[:, None, None] * ring  # (N, R, A, 2)
    places = np.round(places).astype(np.int64)
    size = np.array(image.shape[:2])
    inside = ((places >= 0) & (places < size)).all(axis=-1)
    y, x = np.clip(places, 0, size - 1)[..., 0], np.clip(places, 0, size - 1)[..., 1]
    dark = darkness(image)[y, x] * inside
    return np.stack([dark.sum(axis=(0, 2)), inside.sum(axis=(0, 2))]).astype(np.float64)


def radius(profiles: Sequence[NDArray[np.float64]]) -> float | None:
    """Radius in px at which darkness falls half-way from the dots to the lightest ring; None where dots are not dark.

    ``profiles``: (2, R) of each image.
    """
    if not profiles:
        return None
    dark, number = np.sum(profiles, axis=0)
    if number.min() < 50:
        return None
    mean = dark / number
    mean = np.convolve(np.concatenate([mean[:1], mean, mean[-1:]]), [0.25, 0.5, 0.25], "valid")
    top = float(mean[:3].max())
    lightest = int(mean.argmin())
    contrast = top - float(mean[lightest])
    far = float(mean[-8:].mean())
    if lightest < 2 or contrast < 0.06 or top - far < 0.03:
        return None
    half = float(mean[lightest]) + contrast / 2
    below = int(np.flatnonzero(mean < half)[0])
    if below == 0:
        return None  # the darkest ring is not at the dots
    before = mean[below - 1]
    return float(below - 1 + (before - half) / max(float(before - mean[below]), 1e-9))
