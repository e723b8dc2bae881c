"""Gaussian mixture copula density (SD; docs/methods.md, section 2.1; Tewari et al., ICDM Workshops 2011).

Each coordinate has a one-dimensional Gaussian mixture, f_j with distribution function F_j. The dependence of the two
coordinates is the copula of a two-dimensional Gaussian mixture ψ with margins ψ_j, Ψ_j:

    f(x) = c(F_1(x_1), F_2(x_2)) · f_1(x_1) · f_2(x_2)        c(u) = ψ(z) / (ψ_1(z_1) · ψ_2(z_2)),  z_j = Ψ_j⁻¹(u_j)

c does not change when an axis of ψ is shifted or stretched, so ψ is kept at mean 0 and variance 1 in both coordinates.
Probabilities u are stored as normal scores (density/marginals.py).

``backend: copulae`` takes ψ from the package of this name (density/by_copulae.py); margins, BIC and evaluation are the
same.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cellscaper.density import by_copulae, em, marginals
from cellscaper.density.em import Mixture
from cellscaper.density.maps import checked_points
from cellscaper.run.settings import Count, Positive
from cellscaper.run.settings import Settings as Base

_MOST_STEPS = 100
_PATIENCE = 5  # steps without a gain of _GAIN end the fit
_GAIN = 1e-4  # smallest gain in the copula's mean log likelihood of a point
_EDGE = 4.753424308822899  # normal score of 1 - 1e-6: the unit square is cut there in space copula


class Settings(Base):
    """Mixtures of the margins and of the copula."""

    components: Literal["bic"] | Count = Field(
        "bic",
        description="number of components of the copula, or bic: the number with the lowest BIC",
        json_schema_extra={"expected": "bic or a number of components"},
    )
    max_components: Count = Field(10, description="largest number that BIC may choose for the copula")
    marginal_components: Count = Field(10, description="largest number that BIC may choose for a margin")
    regularise: Positive = Field(100.0, description="px² added to the variances of the margins")
    regularise_copula: Positive = Field(
        0.03, description="added to the variances of the copula, whose margins have variance 1 (backend own)"
    )
    backend: Literal["own", "copulae"] = Field(
        "own", description="what fits the copula: own, or the package copulae, slower and without regularise_copula"
    )
    space: Literal["pixels", "copula"] = Field(
        "pixels",
        description="pixels: density on the pixels (SD's text); copula: density on the copula's unit square (released)",
    )


@dataclass(frozen=True)
class CopulaModel:
    """margins: a mixture (d = 1) of px y and one of px x; copula: ψ (d = 2), standardised; space: pixels or copula."""

    margins: tuple[Mixture, Mixture]
    copula: Mixture
    space: str


def fit(points: NDArray, settings: Settings, seed: int) -> CopulaModel:
    """Fit margins, then the copula, to ``points`` (N ≥ 3, 2) px, y, x.

    In space ``pixels`` the density is per px² and integrates to one over the plane. In space ``copula`` the value of
    a pixel is c(u) itself, which integrates to one over the unit square, not over pixels (protocol ``released``); u is
    cut at 1e-6 and 1 - 1e-6, because c has poles in its corners.

    There are never more components than different points or coordinates. So the result is also defined for points on
    one line, even along an axis, or all at the same place. With K components the copula has 6K - 5 free parameters.
    Where backend ``copulae`` fails, there are fewer components (:func:`cellscaper.density.by_copulae.fit_copulas`).

    Raises CellscaperError for too few or non-finite points.
    """
    points = checked_points(points, "GMCM")
    y, x = (_fit_margin(column, settings, seed) for column in points.T)
    scores = np.stack([_scores(margin, column) for margin, column in zip((y, x), points.T, strict=True)])
    candidates, regularise = _candidates(settings, len(np.unique(points, axis=0))), settings.regularise_copula
    if settings.backend == "copulae":
        copulas = [_standardise(psi, None)[0] for psi in by_copulae.fit_copulas(points, candidates, seed)]
        fits = [(psi, _likelihood(psi, scores)) for psi in copulas]
    else:
        starts = em.fit_mixtures(scores.T, candidates, regularise, seed)
        fits = [_fit_copula(start, scores, regularise) for start in starts]
    copula, _ = min(fits, key=lambda found: _bic(found[0], found[1], len(points)))
    return CopulaModel((y, x), copula, settings.space)


def evaluate(params: CopulaModel, where: NDArray) -> NDArray[np.float64]:
    """Density at ``where`` (M, 2) px: (M,), per px² in space pixels, of the copula in space copula (:func:`fit`).

    Margins are inverted once for each different coordinate, so the work for a grid grows with its sides, not its area.
    """
    where = np.asarray(where, np.float64).reshape(-1, 2)
    z = np.empty_like(where)
    log_rest = np.zeros(len(where))  # all factors that depend on one coordinate
    copula_margins = marginals.margins(params.copula)
    for j, margin in enumerate(params.margins):
        coordinate, back = np.unique(where[:, j], return_inverse=True)
        scores = _scores(margin, coordinate)
        if params.space == "copula":
            scores = np.clip(scores, -_EDGE, _EDGE)
        inverse = marginals.quantiles(copula_margins.only(j), scores[None])
        rest = -marginals.log_density(copula_margins.only(j), inverse)[0]
        if params.space == "pixels":
            rest += marginals.log_density(marginals.margins(margin), coordinate[None])[0]
        z[:, j] = inverse[0, back]
        log_rest += rest[back]
    return np.exp(em.log_density(params.copula, z) + log_rest)


def _candidates(settings: Settings, distinct: int) -> list[int]:
    """The numbers of components of the copula to try for ``distinct`` different points."""
    if settings.components == "bic":
        return list(range(1, min(settings.max_components, distinct) + 1))
    return [min(settings.components, distinct)]


def _fit_margin(column: NDArray[np.float64], settings: Settings, seed: int) -> Mixture:
    """The mixture of one coordinate (N,) with the lowest BIC."""
    most = min(settings.marginal_components, len(np.unique(column)))
    fits = em.fit_mixtures(column[:, None], range(1, most + 1), settings.regularise, seed)
    return min(fits, key=lambda mixture: em.bic(mixture, column[:, None]))


def _scores(margin: Mixture, column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normal scores (M,) of coordinates (M,) under a one-dimensional mixture."""
    return marginals.normal_scores(marginals.margins(margin), column[None])[0]


def _bic(copula: Mixture, likelihood: float, n: int) -> float:
    return -2 * n * likelihood + (6 * len(copula.weights) - 5) * math.log(n)


def _fit_copula(start: Mixture, scores: NDArray[np.float64], regularise: float) -> tuple[Mixture, float]:
    """The best copula among the steps of pseudo-EM from ``start``, and its mean log likelihood of a point.

    scores (2, N). Each step inverts the margins of the present ψ, which gives z, and makes one EM step of ψ on z. That
    step raises the likelihood of the present z; the likelihood of the copula may fall. So the best copula is kept, and
    the fit ends when the likelihood has not risen for some steps.
    """
    best, reached, waited, psi, z = start, -math.inf, 0, start, None
    for _ in range(_MOST_STEPS):
        psi, z = _standardise(psi, z)
        margin = marginals.margins(psi)
        z = marginals.quantiles(margin, scores, z)
        shares, log_psi = _expect(psi, z)
        likelihood = float((log_psi - marginals.log_density(margin, z).sum(axis=0)).mean())
        waited = 0 if likelihood > reached + _GAIN else waited + 1
        if likelihood > reached:
            best, reached = psi, likelihood
        if waited == _PATIENCE:
            break
        psi = _maximise(shares, z, regularise)
    return best, reached


def _likelihood(psi: Mixture, scores: NDArray[np.float64]) -> float:
    """Mean log likelihood of a point under the copula of ``psi``; scores (2, N)."""
    margin = marginals.margins(psi)
    z = marginals.quantiles(margin, scores)
    return float((_expect(psi, z)[1] - marginals.log_density(margin, z).sum(axis=0)).mean())


def _standardise(psi: Mixture, z: NDArray[np.float64] | None) -> tuple[Mixture, NDArray[np.float64] | None]:
    """``psi`` with mean 0 and variance 1 in both coordinates, and points (2, N) moved with it."""
    centre = psi.weights @ psi.means
    variances = np.diagonal(psi.covariances, axis1=1, axis2=2) + (psi.means - centre) ** 2
    scale = np.sqrt(psi.weights @ variances)
    moved = Mixture(psi.weights, (psi.means - centre) / scale, psi.covariances / np.outer(scale, scale))
    return moved, None if z is None else (z - centre[:, None]) / scale[:, None]


def _expect(psi: Mixture, z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Responsibilities (K, N) of the components for z (2, N), and log ψ(z) (N,)."""
    yy, yx, xx = psi.covariances[:, 0, 0], psi.covariances[:, 0, 1], psi.covariances[:, 1, 1]
    determinant = yy * xx - yx * yx
    y, x = z[:, None] - psi.means.T[:, :, None]  # (K, N) each
    square = xx[:, None] * y * y - 2 * yx[:, None] * y * x + yy[:, None] * x * x
    logs = (np.log(psi.weights) - 0.5 * np.log(determinant))[:, None] - 0.5 * square / determinant[:, None]
    top = logs.max(axis=0)
    shares = np.exp(logs - top)
    total = shares.sum(axis=0)
    return shares / total, top + np.log(total) - math.log(2 * math.pi)


def _maximise(shares: NDArray[np.float64], z: NDArray[np.float64], regularise: float) -> Mixture:
    """ψ from responsibilities (K, N) of points (2, N)."""
    held = shares.sum(axis=1) + em.NO_POINTS
    parts = shares / held[:, None]
    means = parts @ z.T
    away = z - means[:, :, None]  # (K, 2, N)
    covariances = (parts[:, None] * away) @ away.transpose(0, 2, 1) + regularise * np.eye(2)
    return Mixture(held / held.sum(), means, covariances)
