"""Distance of each pixel to the nearest cell, and the soft distance that carries its gradient.

The soft distance of a pixel p over seeds with presence b in [0, 1] is the generalised distance transform

    D(p) = min over q of ( |p − q| + v (1 − b_q) )

(Felzenszwalb & Huttenlocher 2012; geodesic distance libraries compute it with λ = 0). A present seed (b = 1) counts
with its distance, an absent one v px more. If the minimum is unique, its gradient is −v at the arg-min and 0 elsewhere.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from cellscaper.errors import CellscaperError
from cellscaper.run.packages import need

BACKENDS = ("edt", "fastgeodis")


@dataclass(frozen=True)
class DistanceMap:
    """Euclidean distance to the nearest foreground pixel: values (H, W) float32 px; seed (H, W) int32, its flat index.

    An empty mask has no nearest seed: values are all inf and seeds −1.
    """

    values: NDArray[np.float32]
    seed: NDArray[np.int32]

    @property
    def empty(self) -> bool:
        return self.seed.size == 0 or bool(self.seed[0, 0] < 0)


def distance_map(mask: NDArray[np.bool_], backend: str = "edt") -> DistanceMap:
    """Distances of a binary map (H, W).

    edt         exact
    fastgeodis  chamfer distance of FastGeodis (λ = 0), up to 8 % off; the nearest seeds stay exact. Its own gradient is
                not used: it puts v on each pixel itself, where −v belongs to the pixel's nearest seed

    CellscaperError for an unknown backend, or FastGeodis without the package.
    """
    if backend not in BACKENDS:
        raise CellscaperError(f"distance backend {backend!r} is unknown; choose one of {', '.join(BACKENDS)}")
    height, width = mask.shape
    if not mask.any():
        return DistanceMap(np.full(mask.shape, np.inf, np.float32), np.full(mask.shape, -1, np.int32))
    y, x = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    seed = y * np.int32(width) + x
    if backend == "fastgeodis":
        return DistanceMap(_chamfer(mask), seed)
    dy, dx = y - np.arange(height, dtype=np.int32)[:, None], x - np.arange(width, dtype=np.int32)
    return DistanceMap(np.sqrt((dy * dy + dx * dx).astype(np.float32)), seed)


def union(maps: list[DistanceMap]) -> DistanceMap:
    """Distance to the foreground of any of ``maps``, all (H, W): the smallest of their distances."""
    values, seed = maps[0].values, maps[0].seed
    for one in maps[1:]:
        closer = one.values < values
        values, seed = np.where(closer, one.values, values), np.where(closer, one.seed, seed)
    return DistanceMap(values, seed)


LATTICE = 8  # samples on each side of a pixel: discs up to this radius are searched pixel by pixel
_STEPS = np.mgrid[-LATTICE : LATTICE + 1, -LATTICE : LATTICE + 1].reshape(2, -1).astype(np.float32)
_STEPS = _STEPS[:, np.hypot(*_STEPS) <= LATTICE]  # (2, S)


@dataclass(frozen=True)
class Discs:
    """Samples of discs around k pixels: pixel (k, S) flat index; reach (k, S) float32 px, inf outside disc or map."""

    pixel: NDArray[np.int64]
    reach: NDArray[np.float32]


def discs(shape: tuple[int, int], pixels: NDArray[np.integer], radius: NDArray) -> Discs:
    """Pixels nearer than ``radius`` (k,) to each of ``pixels`` (k,), flat indices of an (H, W) map.

    Up to a radius of ``LATTICE`` px all these pixels; in larger discs a square lattice with the same number of samples.
    """
    height, width = shape
    step = np.maximum(radius / LATTICE, 1).astype(np.float32)[:, None]
    dy, dx = np.rint(step * _STEPS[0]), np.rint(step * _STEPS[1])
    y, x = (pixels // width)[:, None] + dy.astype(np.int32), (pixels % width)[:, None] + dx.astype(np.int32)
    reach = np.sqrt(dy * dy + dx * dx)
    outside = (reach >= radius[:, None]) | (y < 0) | (y >= height) | (x < 0) | (x >= width)
    reach[outside] = np.inf
    return Discs(np.where(outside, 0, y * np.int64(width) + x), reach)


def _chamfer(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    need("FastGeodis", "losses.distance: fastgeodis", "edt")
    import FastGeodis

    away = torch.from_numpy(~mask)[None, None].float()
    found = FastGeodis.generalised_geodesic2d(torch.zeros_like(away), away, 1e10, 0.0, 2)
    return found.detach()[0, 0].numpy()
