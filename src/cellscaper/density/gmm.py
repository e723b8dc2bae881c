"""Gaussian mixture density: full covariances, EM, number of components by BIC (SD; docs/methods.md, section 2.1)."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cellscaper.density.em import Mixture, bic, density, fit_mixtures
from cellscaper.density.maps import checked_points
from cellscaper.run.settings import Count, Positive
from cellscaper.run.settings import Settings as Base


class Settings(Base):
    """Components and their width."""

    components: Literal["bic"] | Count = Field(
        "bic",
        description="number of components, or bic: the number with the lowest BIC",
        json_schema_extra={"expected": "bic or a number of components"},
    )
    max_components: Count = Field(10, description="largest number that BIC may choose")
    regularise: Positive = Field(100.0, description="px² added to both variances of every component")


def fit(points: NDArray, settings: Settings, seed: int) -> Mixture:
    """Fit a mixture to ``points`` (N ≥ 3, 2) px by EM, started from k-means.

    If BICs are equal, the smaller number of components wins. There are never more components than different points, so
    the result is also defined for points on one line or all at the same place.

    ``regularise`` is necessary. Without it, a component that shrinks onto one to three cells improves BIC unboundedly.
    At 1e-6 px² a class of 10 to 30 cells always gets ten such spikes. On BRCA-M2C's training images the likelihood of
    held-out cells rises steeply up to about 100 px² and little beyond.

    Raises CellscaperError for too few or non-finite points.
    """
    points = checked_points(points, "GMM")
    distinct = len(np.unique(points, axis=0))
    mixtures = fit_mixtures(points, _candidates(settings, distinct), settings.regularise, seed)
    return mixtures[0] if len(mixtures) == 1 else min(mixtures, key=lambda mixture: bic(mixture, points))


def _candidates(settings: Settings, distinct: int) -> list[int]:
    """The numbers of components to try for ``distinct`` different points."""
    if settings.components == "bic":
        return list(range(1, min(settings.max_components, distinct) + 1))
    return [min(settings.components, distinct)]


def evaluate(params: Mixture, where: NDArray) -> NDArray[np.float64]:
    """Density per px² of the mixture at ``where`` (M, 2) px: (M,)."""
    return density(params, where)
