"""Precision and coverage of generated layouts among real ones, in the features of spatial-FID.

Each real layout has a ball that reaches to the nearest layout of *another* image. Precision is the share of generated
layouts in a ball (Kynkäänniemi et al. 2019), coverage the share of balls with a generated layout (Naeem et al. 2020).
Published radii reach to the k-th neighbour of any source; the windows of an image overlap, so their nearest neighbours
are they themselves, shifted. Coverage grows with the number of generated layouts: compare rows of equal numbers.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist


def precision_and_coverage(real: NDArray, images: Sequence[str], made: NDArray) -> tuple[float, float]:
    """Shares in 0 … 1 for features (n, d) of real layouts, the image of each, and (m, d) of generated ones.

    A real layout without an image ('') is an image of its own. NaN if all are of one image: there are no balls.
    """
    radii = _to_another_image(real, images)
    if not np.isfinite(radii).all():
        return float("nan"), float("nan")
    inside = cdist(real, made) <= radii[:, None]
    return float(inside.any(axis=0).mean()), float(inside.any(axis=1).mean())


def _to_another_image(features: NDArray, images: Sequence[str]) -> NDArray[np.float64]:
    """(n,) distance of each layout to the nearest one of another image; infinite if there is none."""
    names = np.array([name or f"\0{i}" for i, name in enumerate(images)])
    apart = cdist(features, features)
    apart[names[:, None] == names] = np.inf
    return apart.min(axis=1, initial=np.inf)
