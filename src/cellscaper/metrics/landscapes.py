"""Persistence landscapes: the vectors that TopoFD compares (Bubenik 2015)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BLOCK = 20_000  # diagram points sampled at once, a bound on memory


def landscapes(diagrams: Sequence[NDArray], axis: NDArray) -> NDArray[np.float64]:
    """First landscape function λ1 of each of L diagrams (K, 2), at the S values of one common ``axis``: (L, S).

    λ1(t) = max(0, max over the pairs of min(t - birth, death - t)), in the diagrams' unit. An empty diagram is a
    zero landscape.
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


def own_axis_landscapes(diagrams: Sequence[NDArray], samples: int) -> NDArray[np.float64]:
    """λ1 of each of L diagrams at ``samples`` values of its own axis, (L, samples), as in the released TopoFD.

    The axis of a diagram goes from its first birth to its last death, both included, as in giotto-tda's
    PersistenceLandscape, which the release calls for each diagram alone. A pair reaches half its life, without the √2
    of gudhi's Landscape. An empty diagram is a zero landscape.
    """
    low = np.array([one[:, 0].min() if len(one) else 0.0 for one in diagrams])
    width = np.array([np.ptp(one) if len(one) else 1.0 for one in diagrams])
    scaled = [(one - a) / b for one, a, b in zip(diagrams, low, width, strict=True)]
    return landscapes(scaled, np.linspace(0, 1, samples)) * width[:, None]
