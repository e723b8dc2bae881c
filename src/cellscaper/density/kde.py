"""Gaussian kernel density: Scott's bandwidth or a fixed factor (SD; papers.md section 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellscaper.density.maps import checked_points
from cellscaper.errors import CellscaperError

CHUNK = 512  # pixels evaluated at once: with some hundred cells the kernels' values stay in the cache


@dataclass(frozen=True)
class Kernels:
    """Equal normal kernels: means (N, 2) px y, x and their common covariance (2, 2) px², float64."""

    means: NDArray[np.float64]
    covariance: NDArray[np.float64]


def fit(points: NDArray, settings: Mapping[str, Any], seed: int) -> Kernels:
    """A kernel on each of ``points`` (N ≥ 3, 2) px; equal points count as often as they come. No randomness.

    settings: ``bandwidth``, the factor of the points' standard deviations (N - 1 in the denominator) that makes the
    kernel's, a number or "scott", N^(-1/6) (Scott 1992, equation 6.42, for two dimensions); ``regularise``, px²
    added to both variances of the points first, so that points on one line or all in one place have a kernel too.

    Raises CellscaperError for too few or non-finite points and for settings outside their range.
    """
    points = checked_points(points, "KDE")
    if not settings["regularise"] > 0:
        raise CellscaperError(f"KDE density: regularise is {settings['regularise']} px², expected above 0, e.g. 1")
    spread = np.cov(points.T) + settings["regularise"] * np.eye(2)
    return Kernels(points, _factor(settings["bandwidth"], len(points)) ** 2 * spread)


def _factor(bandwidth: Any, n: int) -> float:
    """Kernel width in standard deviations of ``n`` points."""
    if bandwidth == "scott":
        return n ** (-1 / 6)
    number = isinstance(bandwidth, (int, float)) and not isinstance(bandwidth, bool)
    if not number or not 0 < bandwidth < np.inf:
        raise CellscaperError(f"KDE density: bandwidth is {bandwidth!r}, expected 'scott' or a factor above 0")
    return float(bandwidth)


def evaluate(params: Kernels, where: NDArray) -> NDArray[np.float64]:
    """Density per px² at ``where`` (M, 2) px: (M,).

    Whitened, all kernels are unit normals, and the exponent -|p - m|²/2 = p·m - |m|²/2 - |p|²/2 of all pairs of
    a pixel p and a kernel m is one matrix product.
    """
    where = np.asarray(where, np.float64).reshape(-1, 2)
    root = np.linalg.cholesky(params.covariance)
    centre = params.means.mean(axis=0)
    means, places = (np.linalg.solve(root, (some - centre).T) for some in (params.means, where))  # (2, N), (2, M)
    kernels = np.stack([*means, np.ones(means.shape[1]), -0.5 * (means**2).sum(axis=0)], axis=1)  # (N, 4)
    pixels = np.stack([*places, -0.5 * (places**2).sum(axis=0), np.ones(len(where))])  # (4, M)
    height = np.full(len(means.T), 1 / (len(means.T) * 2 * np.pi * root[0, 0] * root[1, 1]))
    density = np.empty(len(where))
    for start in range(0, len(where), CHUNK):
        density[start : start + CHUNK] = height @ np.exp(kernels @ pixels[:, start : start + CHUNK])
    return density
