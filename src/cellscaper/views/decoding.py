"""From a sampled map to cells: four decoders (docs/methods.md, section 6.1).

A decoder takes one map (C, h, w) in unit range, 0 background and 1 marker, without the padding
(:func:`cellscaper.views.rasters.to_unit`), and gives points (N, 2) float32, y then x, in px of the region, and
labels (N,) uint8, class after class. Pixel (i, j) of a grid with stride s has its centre at
((i + ½)s − ½, (j + ½)s − ½): at stride 1 this is the integer dot, and every point lies in the region.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.segmentation import watershed
from torch import Tensor

from cellscaper.errors import CellscaperError
from cellscaper.views.grid import Grid

Cells = tuple[NDArray[np.float32], NDArray[np.uint8]]

# On the 1550 real test patches (rasters of known cells) 4-connectivity loses 0.044 cells per class and patch
# at stride 1 with 3×3 markers, 8-connectivity 0.053; single pixels lose 0.030 at stride 4 with 1×1 markers,
# 4-connected components 0.059, 8-connected ones 0.176.
_FOUR_CONNECTED = ndimage.generate_binary_structure(2, 1)
RELEASED = 0.4  # threshold of the papers' code, on the values of its maps
_TIE = 1e-6  # size of the fixed random numbers that order equally well supported pixels


def components(maps: NDArray, grid: Grid, threshold: float = 0.5) -> Cells:
    """Protocol ``paper``: one cell at the centroid of each 4-connected component above the threshold.

    On a grid with 1×1 markers each pixel above the threshold is a cell, which inverts the raster exactly.
    A marker cut by the border gives a cell at the centroid of its rest, half a pixel inside.
    """
    found: list[NDArray] = []
    for one in maps:
        mask = one > threshold
        if grid.marker == 1:
            found.append(np.argwhere(mask))
        else:
            found.append(centroids(*ndimage.label(mask, _FOUR_CONNECTED)))
    return _cells(found, grid)


def released(maps: NDArray, grid: Grid, threshold: float | None = None) -> Cells:
    """Protocol ``released``: distance transform, its 3×3 maxima, watershed, small regions dropped; centroids.

    threshold in unit range; None: :func:`released_threshold`.
    The papers' code drops regions of at most 5 px where a marker has 9; other markers get the same share of
    their area, rounded down (1×1 markers: nothing is dropped). So a 3×3 marker cut by a corner is lost. The
    counts which that code reports are not these numbers of cells, see :func:`released_counts`.
    """
    limit = 5 * grid.marker**2 // 9
    found = []
    level = released_threshold(grid) if threshold is None else threshold
    for one in maps:
        mask = one > level
        distance = ndimage.distance_transform_edt(mask)
        peaks = mask & (distance == ndimage.maximum_filter(distance, 3))
        regions = watershed(-distance, ndimage.label(peaks)[0], mask=mask)
        area = np.bincount(regions.ravel())[1:]
        found.append(centroids(regions, len(area))[area > limit])
    return _cells(found, grid)


def released_threshold(grid: Grid) -> float:
    """The papers' threshold 0.4 in unit range.

    Both released codes compare the raw map: 0.4 on TC's 0…1 is 0.4, on SD's −1…1 it is 0.7 of the way to the marker.
    Grids with another marker value than 1 are ours, and 0.4 of the way is taken there.
    """
    return (RELEASED - grid.low) / (grid.high - grid.low) if grid.high == 1 else RELEASED


def peaks(maps: NDArray, grid: Grid, threshold: float = 0.5) -> Cells:
    """Ours, for soft markers: one cell at each pixel above the threshold that no pixel of the 3×3 around it exceeds.

    Of flat markers the mean of the map over the marker is taken first, which is highest in the marker's middle. With
    ``grid.exact`` the cell stands where the Gaussian through the peak and its two neighbours along each axis has its
    top, at most half a pixel away. Equal neighbours are cells of their own, as in the raster of two cells.
    """
    found = []
    for one in maps if grid.soft else [_support(one, grid.marker) for one in maps]:
        top = np.argwhere((one > threshold) & (one == ndimage.maximum_filter(one, 3, mode="nearest")))
        found.append(top + _tops(one, top, grid.soft) if grid.exact else top)
    return _cells(found, grid)


def _tops(one: NDArray, top: NDArray[np.int64], sd: float) -> NDArray[np.float64]:
    """(n, 2) where a Gaussian of known sd has its top, from the peak's pixel, −½ … ½; 0 at the map's border."""
    padded = np.pad(np.log(np.maximum(one.astype(np.float64), 1e-3)), 1, mode="edge")
    y, x = top.T + 1
    before = np.stack([padded[y - 1, x], padded[y, x - 1]], 1)
    after = np.stack([padded[y + 1, x], padded[y, x + 1]], 1)
    moved = (after - before) * sd**2 / 2
    last = np.array(one.shape) - 1
    return np.where((top == 0) | (top == last), 0.0, moved).clip(-0.5, 0.5)


def requested(maps: NDArray, grid: Grid, counts: ArrayLike) -> Cells:
    """Exactly ``counts[k]`` cells of class k: its best-supported peaks whose markers do not overlap.

    The support of a pixel is the mean of the map over the marker around it (the part inside the map). Pixels
    are taken greedily by support; each excludes the pixels of its class nearer than ``marker`` pixels along both
    axes. Fixed random numbers order pixels with equal support (a sampler clips its maps, so large areas are equal),
    so that cells without support are spread and not crowded into a corner.

    Raises CellscaperError if counts are not C whole numbers ≥ 0, or if there is no place for so many cells.
    """
    wanted = _whole(counts, len(maps))
    tie = _ties(maps.shape[-2:])
    reach = grid.marker - 1
    found = []
    for label, (one, count) in enumerate(zip(maps, wanted, strict=True)):
        support = _support(one, grid.marker) + tie
        chosen = np.empty((count, 2))
        for k in range(count):
            i, j = divmod(int(support.argmax()), support.shape[1])
            if support[i, j] == -np.inf:
                raise CellscaperError(
                    f"{count} cells of class {label} (counted from 0) requested on a map of {support.shape[0]} × "
                    f"{support.shape[1]} pixels: "
                    f"only {k} markers of {grid.marker}×{grid.marker} px found a place; use a finer grid or fewer cells"
                )
            chosen[k] = i, j
            support[max(i - reach, 0) : i + reach + 1, max(j - reach, 0) : j + reach + 1] = -np.inf
        found.append(chosen)
    return _cells(found, grid)


DECODERS: dict[str, Callable[..., Cells]] = {
    "components": components,
    "released": released,
    "peaks": peaks,
    "requested": requested,
}


def decode(
    maps: ArrayLike | Tensor,
    grid: Grid,
    decoder: str,
    counts: ArrayLike | None = None,
    settings: Mapping[str, Any] | None = None,
) -> list[Cells]:
    """Cells of B maps (B, C, inner, inner) in unit range, a tensor or an array.

    ``decoder`` is a name in ``DECODERS``; ``settings`` its keyword arguments (``threshold``); ``counts``
    (B, C), the requested numbers of cells, are needed by ``requested`` and ignored by the others.

    Raises CellscaperError for an unknown decoder or setting, maps that do not fit the grid or are not finite,
    missing counts, and for errors of the decoder.
    """
    if decoder not in DECODERS:
        raise CellscaperError(f"decoder {decoder!r} is unknown; choose one of {', '.join(DECODERS)}")
    array = _checked(maps, grid)
    options = dict(settings or {})
    if unknown := options.keys() - ({"threshold"} if decoder != "requested" else set()):
        raise CellscaperError(f"decoder {decoder!r} has no setting {sorted(unknown)[0]!r}; remove it")
    if decoder != "requested":
        return [DECODERS[decoder](one, grid, **options) for one in array]
    rows = np.zeros(0) if counts is None else np.asarray(counts)
    if len(rows) != len(array):
        raise CellscaperError(f"decoder 'requested' got counts for {len(rows)} of {len(array)} maps; give all of them")
    return [requested(one, grid, row) for one, row in zip(array, rows, strict=True)]


def released_counts(labels: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """(C,) the counts that the papers' code reports for labels (N,) of :func:`released`.

    It counts the background among the watershed's labels: one too many in every class.
    """
    return np.bincount(labels, minlength=classes) + 1


def centroids(regions: NDArray[np.integer], n: int) -> NDArray[np.float64]:
    """(n, 2) mean pixel (y, x) of each of the regions 1…n of a label image (h, w); 0 is background."""
    y, x = np.nonzero(regions)
    region = regions[y, x] - 1
    area = np.bincount(region, minlength=n)
    return np.stack([np.bincount(region, where, n) / area for where in (y, x)], axis=1)


def _checked(maps: ArrayLike | Tensor, grid: Grid) -> NDArray[np.float32]:
    array = torch.as_tensor(maps).detach().float().cpu().numpy()
    if array.ndim != 4 or array.shape[2:] != (grid.inner, grid.inner):
        raise CellscaperError(
            f"layout maps of shape {array.shape} do not fit the grid: "
            f"expected (B, C, {grid.inner}, {grid.inner}), without padding"
        )
    if bad := array.size - int(np.isfinite(array).sum()):
        raise CellscaperError(
            f"{bad} of {array.size} layout map values are not finite: the sampler diverged; "
            "train the generator longer or lower its learning rate"
        )
    return array


def _cells(found: list[NDArray], grid: Grid) -> Cells:
    """Pixels (n, 2) of each class → points and labels."""
    pixels = np.concatenate([np.zeros((0, 2)), *found])
    points = (pixels + 0.5) * grid.stride - 0.5
    labels = np.repeat(np.arange(len(found)), [len(one) for one in found])
    return points.astype(np.float32), labels.astype(np.uint8)


def _whole(counts: ArrayLike, classes: int) -> list[int]:
    values = np.asarray(counts)
    rounded = np.rint(values)
    if values.shape != (classes,) or (rounded != values).any() or (values < 0).any():
        raise CellscaperError(f"requested counts {values.tolist()}: expected {classes} whole numbers ≥ 0, one a class")
    return [int(c) for c in rounded]


def _support(one: NDArray, marker: int) -> NDArray[np.float64]:
    """(h, w) the mean of a map over the marker around each pixel, of its part inside the map."""
    return ndimage.uniform_filter(one.astype(np.float64), marker, mode="constant") / _marker_area(one.shape, marker)


@lru_cache(maxsize=4)
def _marker_area(shape: tuple[int, int], marker: int) -> NDArray[np.float64]:
    """(h, w) the share of the marker around each pixel that lies inside the map."""
    return ndimage.uniform_filter(np.ones(shape), marker, mode="constant")


@lru_cache(maxsize=4)
def _ties(shape: tuple[int, int]) -> NDArray[np.float64]:
    """(h, w) random numbers that order equal support."""
    return _TIE * np.random.default_rng(0).random(shape)
