"""Spatial-FID: Fréchet distance between the features of two sets of layouts (SD section 3; papers.md section 9).

Its value depends on the feature network and, for few layouts, on their number: compare rows of one network and one
number of layouts, beside their floor.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from cellscaper.errors import CellscaperError
from cellscaper.metrics.frechet import frechet_distance, gaussian

Shrinkage = Literal["none", "ledoit_wolf"]

NAMES = {"autoencoder": "spatial_fid", "resnet50": "spatial_fid_released"}  # by feature network


def metric_name(method: str, shrinkage: Shrinkage) -> str:
    """Under which name a score is written: a shrunk covariance and the released network show in it."""
    return NAMES[method] if shrinkage == "none" else f"{NAMES[method]}_shrinkage"


def spatial_fid(real: NDArray, generated: NDArray, shrinkage: Shrinkage = "none") -> float:
    """Squared Fréchet distance of features (n, d) and (m, d), in the squared unit of the features; 0 is best.

    ``shrinkage="ledoit_wolf"`` estimates both covariances by Ledoit and Wolf (2004), for few layouts. Without it,
    CellscaperError where a side has no more layouts than features: its covariance would not have full rank.
    """
    if shrinkage not in ("none", "ledoit_wolf"):
        raise CellscaperError(f"spatial-FID: shrinkage {shrinkage!r} is unknown; use none or ledoit_wolf")
    one, two = (_moments(side, np.asarray(x), shrinkage) for side, x in (("real", real), ("generated", generated)))
    return frechet_distance(*one, *two)


def _moments(side: str, features: NDArray, shrinkage: Shrinkage) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, covariance = gaussian(features)
    n, d = features.shape
    if shrinkage == "ledoit_wolf":
        return mean, ledoit_wolf(features.astype(np.float64))[0]
    if n <= d:
        raise CellscaperError(
            f"spatial-FID: {n} {side} layouts for {d} features, needs at least {d + 1}; give more layouts, "
            "train fewer features (width) or set shrinkage: ledoit_wolf"
        )
    return mean, covariance
