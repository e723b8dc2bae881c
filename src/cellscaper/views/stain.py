"""Optical density of H&E images: the statistics of a stain, and the transfer of one stain to another."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError

Image = NDArray[np.uint8]
GLASS = 0.15  # optical density (Macenko et al., ISBI 2009): pixels below it in every channel show no tissue
_LEAST = 1e-6  # smallest variance along an axis of a stain, squared optical density
_DENSITY = -np.log10((np.arange(256) + 1) / 256)  # optical density of each value of a channel


def optical_density(image: Image) -> NDArray[np.float64]:
    """−log10((I + 1) / 256) of each value of an image (…, 3) uint8: 0 for white, 2.41 for black."""
    if image.dtype != np.uint8:
        raise CellscaperError(f"optical density: an image of {image.dtype}, expected uint8 on 0…255")
    return _DENSITY[image]


@dataclass(frozen=True)
class Stain:
    """Optical density of the tissue of a set of images: ``mean`` (3,) and ``cov`` (3, 3) over its pixels, RGB, NaN
    for fewer than two pixels; ``glass``: the share of all pixels that show no tissue."""

    mean: NDArray[np.float64]
    cov: NDArray[np.float64]
    glass: float


def stain(images: Iterable[Image], glass: float = GLASS) -> Stain:
    """Stain statistics of RGB images (H, W, 3) uint8. A pixel is glass if all its channels are below ``glass``."""
    total, kept = 0, 0
    first, second = np.zeros(3), np.zeros((3, 3))
    for image in images:
        density = optical_density(image).reshape(-1, 3)
        tissue = density[(density >= glass).any(axis=1)]
        total, kept = total + len(density), kept + len(tissue)
        first, second = first + tissue.sum(axis=0), second + tissue.T @ tissue
    if not total:
        raise CellscaperError("stain statistics: no images; give at least one")
    share = 1 - kept / total
    if kept < 2:
        return Stain(np.full(3, np.nan), np.full((3, 3), np.nan), share)
    mean = first / kept
    return Stain(mean, (second - kept * np.outer(mean, mean)) / (kept - 1), share)


def transfer(image: Image, own: Stain, wanted: Stain) -> Image:
    """The image with the stain ``wanted`` in place of its ``own``: the optimal transport between the Gaussians of their
    optical densities, which gives mean and covariance of ``wanted`` (Pitié & Kokaram 2007, the linear map).

    Pixels of glass keep their values. The image itself if a stain is not known (NaN: no tissue).
    """
    if np.isnan(own.mean).any() or np.isnan(wanted.mean).any():
        return image
    root, back = _power(own.cov, 0.5, _LEAST), _power(own.cov, -0.5, _LEAST)
    matrix = back @ _power(root @ wanted.cov @ root, 0.5, 0.0) @ back
    density = optical_density(image)
    moved = (density - own.mean) @ matrix + wanted.mean
    light = (256 * 10.0**-moved - 1).round().clip(0, 255).astype(np.uint8)
    return np.where((density >= GLASS).any(axis=-1, keepdims=True), light, image)


def _power(cov: NDArray, power: float, least: float) -> NDArray[np.float64]:
    """A power of a symmetric matrix whose eigenvalues are at least ``least``."""
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    return (vectors * np.maximum(values, least) ** power) @ vectors.T
