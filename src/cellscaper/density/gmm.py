"""Gaussian mixture density: full covariances, EM, number of components by BIC (SD; papers.md section 2)."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from cellscaper.density.maps import FEWEST
from cellscaper.errors import CellscaperError


@dataclass(frozen=True)
class Mixture:
    """weights (K,), summing to 1; means (K, 2) px y, x; covariances (K, 2, 2) px²; all float64."""

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]


def fit(points: NDArray, settings: Mapping[str, Any], seed: int) -> Mixture:
    """Fit a mixture to ``points`` (N ≥ 3, 2) px by EM, started from k-means.

    settings: ``components``, a number or "bic", the number from 1 to ``max_components`` with the lowest BIC
    (on a tie the smaller); ``regularise``, px² added to both variances of every component. There are never more
    components than different points, so points on one line or all in one place have a defined answer too.

    ``regularise`` is what keeps BIC honest: it rewards a component shrunk onto one to three cells without
    bound, and at 1e-6 px² a class of 10 to 30 cells always gets ten such spikes. On BRCA-M2C's training images the
    likelihood of held-out cells rises steeply up to about 100 px² and little beyond.

    Raises CellscaperError for too few or non-finite points and for settings outside their range.
    """
    points = np.asarray(points, np.float64).reshape(-1, 2)
    if len(points) < FEWEST or not np.isfinite(points).all():
        raise CellscaperError(f"GMM density: {len(points)} points, expected at least {FEWEST}, all finite")
    distinct = len(np.unique(points, axis=0))
    fits = [_em(points, k, settings["regularise"], seed) for k in _candidates(settings, distinct)]
    best = fits[0] if len(fits) == 1 else min(fits, key=lambda model: model.bic(points))
    return Mixture(best.weights_, best.means_, best.covariances_)


def _candidates(settings: Mapping[str, Any], distinct: int) -> list[int]:
    """The numbers of components to try, by the settings, for so many different points."""
    components, most, regularise = settings["components"], settings["max_components"], settings["regularise"]
    if not regularise > 0:
        raise CellscaperError(f"GMM density: regularise is {regularise} px², expected above 0, e.g. 100")
    if components == "bic":
        if most < 1:
            raise CellscaperError(f"GMM density: max_components is {most}, expected at least 1")
        return list(range(1, min(most, distinct) + 1))
    if not isinstance(components, int) or components < 1:
        raise CellscaperError(f"GMM density: components is {components!r}, expected 'bic' or a number of at least 1")
    return [min(components, distinct)]


def _em(points: NDArray[np.float64], components: int, regularise: float, seed: int) -> GaussianMixture:
    """One EM run; one that stops at its 100 iterations counts as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(components, reg_covar=regularise, random_state=seed).fit(points)


def evaluate(params: Mixture, where: NDArray) -> NDArray[np.float64]:
    """Density per px² of the mixture at ``where`` (M, 2) px: (M,)."""
    where = np.asarray(where, np.float64).reshape(-1, 2)
    density = np.zeros(len(where))
    for weight, mean, covariance in zip(params.weights, params.means, params.covariances, strict=True):
        white = np.linalg.solve(np.linalg.cholesky(covariance), (where - mean).T)  # (2, M)
        density += weight * np.exp(-0.5 * (white**2).sum(axis=0)) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))
    return density
