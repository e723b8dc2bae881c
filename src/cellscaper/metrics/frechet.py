"""Fréchet distance between two Gaussians (Dowson & Landau 1982), the distance in FID, spatial-FID and TopoFD."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError

Shrinkage = Literal["none", "ledoit_wolf"]


def gaussian(features: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (d,) and covariance (d, d), with the divisor n - 1, of features (n, d)."""
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < 2:
        raise CellscaperError(f"features of shape {features.shape}: a covariance needs (n, d) with at least n = 2")
    mean = features.mean(axis=0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)


def feature_moments(
    features: NDArray, shrinkage: Shrinkage, what: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (d,) and covariance (d, d) of the features (n, d) of a side of a FID; ``what`` begins error messages.

    ``shrinkage="ledoit_wolf"`` estimates the covariance by Ledoit and Wolf (2004). Without it CellscaperError for
    n ≤ d: the covariance would not have full rank. CellscaperError for an unknown ``shrinkage``, too.
    """
    if shrinkage not in ("none", "ledoit_wolf"):
        raise CellscaperError(f"{what}: shrinkage {shrinkage!r} is unknown; use none or ledoit_wolf")
    mean, covariance = gaussian(features)
    n, d = features.shape
    if shrinkage == "ledoit_wolf":
        from sklearn.covariance import ledoit_wolf  # half a second of imports, which few need

        return mean, ledoit_wolf(features.astype(np.float64))[0]
    if n <= d:
        raise CellscaperError(
            f"{what} for {d} features, needs at least {d + 1}; give more, train fewer features (width) or set "
            "shrinkage: ledoit_wolf"
        )
    return mean, covariance


def fid(metric: str, unit: str, sides: Mapping[str, NDArray], shrinkage: Shrinkage) -> float:
    """Squared Fréchet distance of two sides' features {side: (n, d)}, in the squared unit of the features; 0 is best.

    Errors as in :func:`feature_moments`; ``metric``, the side and ``unit`` begin their messages.
    """
    one, two = (
        feature_moments(np.asarray(x), shrinkage, f"{metric}: {len(x)} {side} {unit}") for side, x in sides.items()
    )
    return frechet_distance(*one, *two)


def fid_name(name: str, shrinkage: Shrinkage) -> str:
    """The name of a FID in tables; it shows whether covariances are shrunk."""
    return name if shrinkage == "none" else f"{name}_shrinkage"


def frechet_distance(mean1: NDArray, cov1: NDArray, mean2: NDArray, cov2: NDArray) -> float:
    """|μ1 - μ2|² + tr(Σ1 + Σ2 - 2 (Σ1^½ Σ2 Σ1^½)^½): squared, as in FID, in the squared unit of the features.

    means (d,), covariances (d, d) symmetric, positive semi-definite, of any rank. With factors Σ = F Fᵀ from
    the eigenvalues, the trace of the root is the sum of the singular values of F1ᵀ F2. This takes no square root of a
    rounding error, so that equal Gaussians of low rank are at distance 0 and not at 1e-6.
    Raises CellscaperError if shapes differ or a value is not finite.
    """
    mean1, cov1, mean2, cov2 = (np.asarray(x, np.float64) for x in (mean1, cov1, mean2, cov2))
    d = mean1.size
    if mean1.shape != (d,) or mean2.shape != (d,) or cov1.shape != (d, d) or cov2.shape != (d, d):
        shapes = f"{mean1.shape}, {cov1.shape} and {mean2.shape}, {cov2.shape}"
        raise CellscaperError(f"Fréchet distance: shapes {shapes} are not two means (d,) and covariances (d, d)")
    if not all(np.isfinite(x).all() for x in (mean1, cov1, mean2, cov2)):
        raise CellscaperError("Fréchet distance: a mean or covariance holds NaN or infinity; look at the features")
    shift = mean1 - mean2
    root = np.linalg.svd(_factor(cov1).T @ _factor(cov2), compute_uv=False).sum()
    return max(float(shift @ shift + np.trace(cov1) + np.trace(cov2) - 2 * root), 0.0)


def _factor(cov: NDArray[np.float64]) -> NDArray[np.float64]:
    """F (d, d) with F Fᵀ = cov; negative eigenvalues are rounding errors and become 0."""
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    return vectors * np.sqrt(np.maximum(values, 0))
