"""Gaussian kernel density: Scott's bandwidth or a fixed factor (SD; docs/methods.md, section 2.1)."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cellscaper.density.maps import checked_points
from cellscaper.run.settings import Positive
from cellscaper.run.settings import Settings as Base

CHUNK = 512  # pixels evaluated at once: with some hundred cells the kernels' values stay in the cache


class Settings(Base):
    """A normal kernel on each cell."""

    bandwidth: Literal["scott"] | Annotated[float, Field(gt=0, strict=True)] = Field(
        "scott",
        description="width of the kernel: Scott's rule, or a factor of the data's spread",
        json_schema_extra={"expected": "scott or a factor above 0"},
    )
    regularise: Positive = Field(1.0, description="px² added to the variances of the data")


@dataclass(frozen=True)
class Kernels:
    """Equal normal kernels: means (N, 2) px y, x and their common covariance (2, 2) px², float64."""

    means: NDArray[np.float64]
    covariance: NDArray[np.float64]


def fit(points: NDArray, settings: Settings, seed: int) -> Kernels:
    """A kernel on each of ``points`` (N ≥ 3, 2) px; repeated points count repeatedly. No randomness.

    The kernel's standard deviations are the points' (N - 1 in the denominator) times ``bandwidth``, or times
    N^(-1/6) by Scott's rule (Scott 1992, equation 6.42, for two dimensions). ``regularise`` is first added to both
    variances of the points, so that points on one line or all at the same place have a kernel too.

    Raises CellscaperError for too few or non-finite points.
    """
    points = checked_points(points, "KDE")
    spread = np.cov(points.T) + settings.regularise * np.eye(2)
    factor = len(points) ** (-1 / 6) if settings.bandwidth == "scott" else settings.bandwidth
    return Kernels(points, factor**2 * spread)


def evaluate(params: Kernels, where: NDArray) -> NDArray[np.float64]:
    """Density per px² at ``where`` (M, 2) px: (M,).

    After whitening, all kernels are unit normals. The exponents -|p - m|²/2 = p·m - |m|²/2 - |p|²/2 of all pairs of
    a pixel p and a kernel m are then one matrix product.
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
