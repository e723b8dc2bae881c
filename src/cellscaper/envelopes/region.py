"""Where cells may lie: a rectangle, or the pixels of a mask in it; its set covariance and the way to its border.

A cell belongs to the pixel whose centre, a whole number, is nearest (docs/methods.md, section 1.4); cells in the outer
half px of the rectangle belong to its last pixels. Pure functions of positions (N, 2), y then x, px.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import binary_dilation, map_coordinates
from scipy.spatial import cKDTree

Points = NDArray[np.float64]
SHARE = 0.25  # of the region that must still overlap with itself, moved by the largest radius
_REACH = np.sqrt(0.5)  # px from the centre of a pixel to its corner


@dataclass(frozen=True, eq=False)
class Region:
    """A rectangle of ``size`` (height, width) px, or the True pixels of ``mask`` (height, width) in it.

    ``limit`` px: no pair of cells further apart is asked for. ``whole``: cells lie on whole px alone, as annotators set
    them; a lattice has other distances than the plane, so null layouts must lie on it, too.
    """

    size: tuple[int, int]
    limit: int
    mask: NDArray[np.bool_] | None = None
    whole: bool = False

    @cached_property
    def area(self) -> float:
        """px²."""
        return float(self.size[0] * self.size[1] if self.mask is None else self.mask.sum())

    def holds(self, points: NDArray) -> NDArray[np.bool_]:
        """(N,) whether each position lies in the region; all must lie in the rectangle."""
        if self.mask is None:
            return np.ones(len(points), bool)
        pixel = np.floor(np.asarray(points, np.float64) + 0.5).astype(np.int64)
        return self.mask[tuple(np.minimum(pixel, np.array(self.size) - 1).T)]

    def uniform(self, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """n independent positions (n, 2), uniform in the region, or on its pixels if they are ``whole``."""
        low, high = self._box
        parts: list[NDArray[np.float32]] = [np.zeros((0, 2), np.float32)]
        found = 0
        while found < n:
            drawn = rng.uniform(low, high, size=(self._tries(n - found), 2))
            new = self._within(np.ceil(drawn - 0.5) if self.whole else drawn)
            new = new[self.holds(new)][: n - found]
            parts.append(new)
            found += len(new)
        return np.concatenate(parts)

    def snapped(self, points: NDArray) -> NDArray[np.float32]:
        """Positions in the region (n, 2), moved to the nearest pixels if they are ``whole``."""
        return self._within(np.floor(np.asarray(points, np.float64) + 0.5)) if self.whole else points

    def _within(self, points: Points) -> NDArray[np.float32]:
        """float32 may round up to the border; pixels may lie beyond it by half."""
        size = np.array(self.size, np.float32)
        return np.minimum(points.astype(np.float32), size - 1 if self.whole else np.nextafter(size, np.float32(0)))

    def _tries(self, n: int) -> int:
        """Positions to draw in the box for about n in the region."""
        low, high = self._box
        return min(int(1.1 * n * float(np.prod(high - low)) / self.area) + 16, 1 << 20)

    @cached_property
    def _box(self) -> tuple[Points, Points]:
        """The corners of the smallest rectangle around the region; around its pixels if cells are ``whole``."""
        size = np.array(self.size, np.float64)
        if self.mask is None:
            first, last = np.zeros(2), size - 1
        else:
            first, last = np.array([np.flatnonzero(self.mask.any(axis=axis))[[0, -1]] for axis in (1, 0)], np.float64).T
        if self.whole:
            return first - 0.5, last + 0.5
        return np.maximum(first - 0.5, 0), np.where(last == size - 1, size, last + 0.5)

    # -- the part of the region that stays in it when it is moved ----------------------------------------------

    def overlap(self, shifts: NDArray) -> NDArray[np.float64]:
        """(P,) |W ∩ (W + h)| / |W| for shifts h (P, 2) px, |h| ≤ ``limit``.

        Exact for masks of square pixels: bilinear between the whole shifts, which a Fourier transform counts.
        """
        h = np.abs(np.asarray(shifts, np.float64))
        if self.mask is None:
            return np.asarray((1 - h / self.size).clip(0).prod(axis=1))
        shift = np.asarray(shifts, np.float64)
        shift = np.where(shift[:, :1] < 0, -shift, shift)  # the covariance is even: h and -h have the same
        return map_coordinates(self._covariance, [shift[:, 0], shift[:, 1] + self.limit], order=1, mode="nearest")

    @cached_property
    def _covariance(self) -> NDArray[np.float64]:
        """(m + 1, 2m + 1) the overlap at the whole shifts 0…m down and -m…m right; m is ``limit``."""
        assert self.mask is not None
        rows, columns = (np.flatnonzero(self.mask.any(axis=axis)) for axis in (1, 0))
        part = self.mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        m = self.limit
        shape = [next_fast_len(side + m + 1, real=True) for side in part.shape]
        spectrum = rfft2(part.astype(np.float64), shape)
        found = irfft2(spectrum.real**2 + spectrum.imag**2, shape)
        right = np.concatenate([found[: m + 1, -m:], found[: m + 1, : m + 1]], axis=1)
        return np.rint(right) / self.area

    def largest_radius(self) -> int:
        """The largest whole radius, at most ``limit`` px, at which SHARE of the region overlaps in all directions.

        0 for a region that is too thin or too scattered for any radius.
        """
        turn = np.arange(0, np.pi, np.pi / 180)
        ways = np.stack([np.sin(turn), np.cos(turn)], axis=1)
        for radius in range(1, self.limit + 1):
            if self.overlap(ways * radius).min() < SHARE:
                return radius - 1
        return self.limit

    # -- the way to the border ---------------------------------------------------------------------------------

    def to_border(self, points: NDArray) -> NDArray[np.float64]:
        """(N,) px within which everything around a position of the region lies in the region.

        For masks the way to the centre of the nearest pixel outside, less half its diagonal: up to 0.71 px too little.
        """
        at = np.asarray(points, np.float64)
        way = np.minimum(at, np.array(self.size) - at).min(axis=1, initial=np.inf)
        if self._outside is None:
            return way
        return np.minimum(way, np.maximum(self._outside.query(at)[0] - _REACH, 0))

    @cached_property
    def _outside(self) -> cKDTree | None:
        """The pixels beside the region; None without a mask and for one that forbids nothing."""
        if self.mask is None or self.mask.all():
            return None
        beside = binary_dilation(self.mask, np.ones((3, 3), bool)) & ~self.mask
        return cKDTree(np.argwhere(beside).astype(np.float64))
