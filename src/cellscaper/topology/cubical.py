"""Sublevel persistence of a map, with the pixels where each hole is born and dies.

Construction: pixels are the *vertices* of the cubical complex, so sublevel sets are 4-connected and their holes
8-connected (``CONSTRUCTION``, "V"). The other choice, pixels as top-dimensional cells, gives three times as many
holes in the distance map of a raster: one in each diagonal step of two touching discs. The number of V holes longer
than half a pixel equals the number of holes in the alpha complex of the cells.

gudhi's fast two-dimensional code accepts only top-dimensional cells, returns values without positions, and breaks
ties arbitrarily. Three steps solve this. First, by duality the holes of the sublevel sets are the components of the
superlevel sets that do not reach the border: the V holes of f are the top-cell components of −f with a lowest
frame around it. Second, each pixel gets a unique key that sorts by value and then by position, so that a key in the
answer *is* a pixel. Third, keys are whole numbers below 2⁵³, exact in float64: the ordered bits of the float32 value,
then the pixel's number in C order (gudhi's own indices are in Fortran order and are not used).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONSTRUCTION = "V"
MAX_PIXELS = 1 << 21  # 32 bits of value and 21 of position fill the 53 of float64


@cache
def _components() -> Any:
    """gudhi's diagrams of components; scikit-learn, which comes with them, is imported where they are needed."""
    from gudhi.sklearn import CubicalPersistence

    return CubicalPersistence(homology_dimensions=0)


@dataclass(frozen=True)
class Holes:
    """1-dimensional pairs of a map. birth, death (k,) int64: flat C-order pixels; diagram (k, 2): their values."""

    birth: NDArray[np.int64]
    death: NDArray[np.int64]
    diagram: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.birth)

    def __getitem__(self, rows: NDArray) -> "Holes":
        return Holes(self.birth[rows], self.death[rows], self.diagram[rows])

    @property
    def to_diagonal(self) -> float:
        """Squared distance of all holes to the diagonal."""
        return float(((self.diagram[:, 1] - self.diagram[:, 0]) ** 2).sum()) / 2

    @staticmethod
    def none() -> "Holes":
        return Holes(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)))


def holes(values: NDArray) -> Holes:
    """Holes of the sublevel sets of a map (H, W); :func:`holes_of_all` for one map."""
    return holes_of_all([values])[0]


def holes_of_all(maps: Sequence[NDArray]) -> list[Holes]:
    """Holes with birth < death of the sublevel sets of each map (H, W); finite values ≥ 0 taken as float32.

    Values are exact. If several pixels with the same value are possible, the result has one of them.
    Raises ValueError for another shape, values below 0 or not finite, or more than 2²¹ pixels.
    """
    flat = [np.ascontiguousarray(one, np.float32) for one in maps]
    found = _components().fit_transform(_framed_keys(one) for one in flat)  # one at a time: they stay in the cache
    return [_holes(one, keys) for one, keys in zip(flat, found, strict=True)]


def _framed_keys(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """(H + 2, W + 2) negative keys with a lower frame; keys are in the order of ``values`` and then of the pixels."""
    if values.ndim != 2 or not 0 < values.size <= MAX_PIXELS or not (values.min() >= 0 and values.max() < np.inf):
        raise ValueError(f"holes: {values.shape} map; expected (H, W), at most {MAX_PIXELS} pixels, finite values ≥ 0")
    bits = (values + np.float32(0)).view(np.int32)  # −0 becomes 0; the bits of floats ≥ 0 are ordered as they are
    size = values.size
    framed = np.full((values.shape[0] + 2, values.shape[1] + 2), -float(size) * (int(bits.max()) + 1))
    inside = framed[1:-1, 1:-1]
    np.multiply(bits, -float(size), out=inside)
    inside -= np.arange(size).reshape(values.shape)
    return framed


def _holes(values: NDArray[np.float32], components: NDArray[np.float64]) -> Holes:
    pixels = (-components[np.isfinite(components[:, 1])]).astype(np.int64) % values.size  # without the outside
    diagram = values.ravel()[pixels].astype(np.float64)
    lasting = diagram[:, 1] < diagram[:, 0]
    death, birth = pixels[lasting].T
    return Holes(birth, death, diagram[lasting, ::-1])
