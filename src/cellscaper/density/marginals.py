"""One-dimensional Gaussian mixtures and their inverse distribution functions, accurate in both tails.

A probability u is stored as its *normal score* t = Φ⁻¹(u), which loses no precision near 0 and 1: u = F(x) and 1 - u
are both summed over the components, and t is computed from the smaller one. Tails end at 1e-300 (|t| about 37); points
further out have the score of the tail's end.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from cellscaper.density.em import Mixture

_TAIL = 1e-300
_TOLERANCE = 1e-11  # error of normal scores, relative beyond |t| = 1
_STEPS = 200  # bisection alone needs about 60; only points in an empty gap between narrow components need nearly 200
_LOG_ROOT_2PI = 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True)
class Margins:
    """J one-dimensional mixtures of K normals with common weights (K,); means and deviations (J, K)."""

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]

    def only(self, j: int) -> "Margins":
        """Margin j alone, J = 1."""
        return Margins(self.weights, self.means[j : j + 1], self.deviations[j : j + 1])


def margins(mixture: Mixture) -> Margins:
    """The margins of a mixture in d dimensions, J = d."""
    variances = np.diagonal(mixture.covariances, axis1=1, axis2=2)  # (K, d)
    return Margins(mixture.weights, mixture.means.T, np.sqrt(variances.T))


def log_density(margin: Margins, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log density of mixture j at x[j]: (J, M) -> (J, M). Finite for all finite x."""
    parts = -0.5 * _standardised(margin, x) ** 2 + _log_heights(margin)[:, None]  # (J, M, K)
    top = parts.max(axis=-1, keepdims=True)
    return np.log(np.exp(parts - top).sum(axis=-1)) + top[..., 0] - _LOG_ROOT_2PI


def normal_scores(margin: Margins, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """t = Φ⁻¹(F_j(x[j])): (J, M) -> (J, M)."""
    return _scores(margin, _standardised(margin, x))


def quantiles(
    margin: Margins, scores: NDArray[np.float64], start: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The z[j] with F_j(z[j]) = Φ(scores[j]): (J, M) -> (J, M); inverse of :func:`normal_scores` to 1e-11 in t.

    Newton's method on the normal score, which is nearly linear, inside the bracket of the components' own
    quantiles. If a step leaves the bracket or gains too little, the bracket is halved. ``start``: a guess.
    """
    ends = margin.means[:, None] + margin.deviations[:, None] * scores[..., None]  # (J, M, K)
    low, high = ends.min(axis=-1), ends.max(axis=-1)
    z = np.clip(ends @ margin.weights if start is None else start, low, high)
    heights = margin.weights / margin.deviations
    allowed = _TOLERANCE * np.maximum(np.abs(scores), 1)
    before = np.full_like(z, np.inf)
    for _ in range(_STEPS):
        white = _standardised(margin, z)
        found = _scores(margin, white)
        gap = found - scores
        away = np.abs(gap) > allowed
        if not away.any():
            break
        low, high = np.where(gap < 0, z, low), np.where(gap > 0, z, high)
        slope = (np.exp(0.5 * (found[..., None] ** 2 - white**2)) * heights[:, None]).sum(axis=-1)  # ψ(z) / φ(t)
        newton = z - gap / np.maximum(slope, 1e-300)
        good = (newton >= low) & (newton <= high) & (np.abs(gap) < 0.5 * before)
        z, before = np.where(away, np.where(good, newton, 0.5 * (low + high)), z), np.abs(gap)
    return z


def _standardised(margin: Margins, x: NDArray[np.float64]) -> NDArray[np.float64]:
    return (x[..., None] - margin.means[:, None]) / margin.deviations[:, None]  # (J, M, K)


def _log_heights(margin: Margins) -> NDArray[np.float64]:
    return np.log(np.maximum(margin.weights, _TAIL)) - np.log(margin.deviations)  # (J, K)


def _scores(margin: Margins, white: NDArray[np.float64]) -> NDArray[np.float64]:
    below, above = ndtr(white) @ margin.weights, ndtr(-white) @ margin.weights
    score = ndtri(np.clip(np.minimum(below, above), _TAIL, 0.5))
    return np.where(below < above, score, -score)
