"""Gaussian mixture density: full covariances, EM, number of components by BIC (SD; papers.md section 2)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellscaper.density.em import Mixture, bic, density, fit_mixtures
from cellscaper.density.maps import checked_points
from cellscaper.errors import CellscaperError


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
    points = checked_points(points, "GMM")
    distinct = len(np.unique(points, axis=0))
    mixtures = fit_mixtures(points, _candidates(settings, distinct), settings["regularise"], seed)
    return mixtures[0] if len(mixtures) == 1 else min(mixtures, key=lambda mixture: bic(mixture, points))


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


def evaluate(params: Mixture, where: NDArray) -> NDArray[np.float64]:
    """Density per px² of the mixture at ``where`` (M, 2) px: (M,)."""
    return density(params, where)
