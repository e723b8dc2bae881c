"""TopoFD: how far apart the holes of two sets of layouts are (TC, Eq. 11-12; papers.md section 9).

Each class of each layout becomes the 1-dimensional persistence diagram of its cell centres, the diagram a
persistence landscape, and the two sets of landscapes are compared by their Fréchet distance. Here the mean is
the mean of the landscapes, not the landscape of a Wasserstein barycentre, and the filtration is the alpha
complex in disc radii, not Rips in distances: hence the name, and hence no comparison with the papers' numbers.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.frechet import frechet_distance, gaussian
from cellscaper.topology.persistence import alpha_diagrams

NAME = "topofd_mean_landscape"
SAMPLES = 100  # of a landscape, as released
LIMIT = 128.0  # px: half a 256 px patch; 99.9 % of the deaths on BRCA-M2C test patches are below it in every class
_BLOCK = 20_000  # diagram points sampled at once, a bound on memory


def landscapes(diagrams: Sequence[NDArray], axis: NDArray) -> NDArray[np.float64]:
    """First landscape function λ1 of each of L diagrams (K, 2), at the S values of one common ``axis``: (L, S).

    λ1(t) = max(0, max over the pairs of min(t - birth, death - t)) (Bubenik 2015), in the diagrams' unit.
    An empty diagram is a zero landscape.
    """
    axis = np.asarray(axis, np.float64)
    out = np.zeros((len(diagrams), len(axis)))
    sizes = np.array([len(one) for one in diagrams], np.int64)
    filled = np.flatnonzero(sizes)
    block = np.cumsum(sizes[filled]) // _BLOCK
    for rows in np.split(filled, np.flatnonzero(np.diff(block)) + 1):
        if not len(rows):
            continue
        pairs = np.concatenate([diagrams[row] for row in rows])  # (ΣK, 2)
        tents = np.minimum(axis - pairs[:, :1], pairs[:, 1:] - axis)  # (ΣK, S)
        starts = np.cumsum(sizes[rows]) - sizes[rows]
        out[rows] = np.maximum.reduceat(tents, starts, axis=0)
    return np.maximum(out, 0)


def topofd(
    real: LayoutSet, generated: LayoutSet, samples: int = SAMPLES, limit: float = LIMIT
) -> dict[str, dict[str, float]]:
    """Fréchet distance of landscapes for each class, and its mean over the classes; 0 is best.

    The landscapes are sampled at ``samples`` disc radii from 0 to ``limit`` px, the same for all. Returns
    ``{"topofd_mean_landscape": {class: value, …, "mean": value}}`` in px², squared as FID is. Raises
    CellscaperError where the classes differ or a side has fewer layouts than ``samples``: its covariance would
    not have full rank.
    """
    if real.classes != generated.classes:
        raise CellscaperError(
            f"{NAME}: classes {real.classes} against {generated.classes}; expected the same, in order"
        )
    for side, layouts in (("real", real), ("generated", generated)):
        if len(layouts) < samples:
            raise CellscaperError(
                f"{NAME}: {len(layouts)} {side} layouts, needs at least {samples} for {samples} samples of a "
                "landscape; give more layouts or fewer samples"
            )
    axis = np.linspace(0, limit, samples)
    values = {}
    for label, name in enumerate(real.classes):
        one, two = (gaussian(landscapes(alpha_diagrams(side, label), axis)) for side in (real, generated))
        values[name] = frechet_distance(*one, *two)
    return {NAME: {**values, "mean": float(np.mean(list(values.values())))}}
