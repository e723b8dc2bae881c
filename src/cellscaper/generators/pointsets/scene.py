"""A request in the form that the model needs: a canvas of windows, filled with tissue around the region.

The model knows only squares of its training size that are filled with tissue. So a smaller region lies in the middle
of a square, and surrounding cells fill the rest of it as well as the pixels that a mask forbids. They are as dense as
the requested cells; they are denoised with them and then dropped. If cells are given (inpainting), these are the
surroundings, and the pixels that the mask forbids get no other cells.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.constraints import Area, push
from cellscaper.generators.pointsets.network import DATA_SCALE
from cellscaper.generators.pointsets.request import Request
from cellscaper.generators.pointsets.tiling import windows

DENSEST = 200  # most surrounding cells in 256 × 256 px: BRCA-M2C's images have up to 188
FULL = 2048  # cells that a window may hold at most: memory grows with the square
PUSHES = 3  # rounds of pushing apart at each of the last steps


@dataclass(frozen=True, eq=False)
class Scene:
    """The canvas and the cells that are denoised.

    size (height, width) px of the canvas; ``shift`` (2,) px from its corner to the region's; ``corners`` (W, 2) of the
    windows; ``area`` for new cells and ``outside`` for surrounding ones, both on the canvas. Cells come in the
    order new, given (if a window can see them), surrounding: ``labels`` (N,), ``numbers`` of each of the three.
    ``scale`` px is the standard deviation of a coordinate in a window.
    """

    size: tuple[int, int]
    shift: NDArray[np.int64]
    corners: NDArray[np.int64]
    area: Area
    outside: Area | None
    labels: NDArray[np.int64]
    numbers: tuple[int, int, int]
    given: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    scale: float

    def start(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Clean positions (L, N, 2) to start from, px from the canvas's corner, from uniform numbers in 0…1."""
        new, given, _ = self.numbers
        places = np.empty_like(unit)
        places[:, new : new + given] = self.given
        if self.weights is None:
            places[:, :new] = spread_evenly(unit[:, :new], self.area)
        else:
            for label in np.unique(self.labels[:new]):
                which = np.flatnonzero(self.labels[:new] == label)
                places[:, which] = spread_by(unit[:, which], self.weights[min(label, len(self.weights) - 1)])
        if self.outside is not None:
            places[:, new + given :] = spread_evenly(unit[:, new + given :], self.outside)
        return places

    def constrain(self, clean: NDArray[np.float64], sigma: float, distance: float) -> NDArray[np.float64]:
        """Clean positions (L, N, 2) that respect areas and given cells and, near the end, the minimum distance.

        A clean position at noise ``sigma`` is the mean of the cell's possible places. It becomes the mean of those
        inside the area, for a normal distribution: the posterior of a cell that lies anywhere in a window.
        """
        new, given, _ = self.numbers
        clean[:, new : new + given] = self.given
        deviation = sigma * self.scale / math.hypot(sigma, self.scale)
        for row in clean:
            row[:new] = self.area.expected(row[:new], deviation)
            if sigma <= distance:
                row[:new] = push(row[:new], row[new : new + given], distance, self.area, PUSHES)
            if self.outside is not None:
                row[new + given :] = self.outside.expected(row[new + given :], deviation)
        return clean

    def belonging(self, clean: NDArray[np.float64]) -> NDArray[np.float64]:
        """Clean positions (L, N, 2), each moved to the nearest position of its area."""
        new, given, _ = self.numbers
        where = clean.copy()
        for row in where:
            row[:new] = self.area.nearest(row[:new])
            if self.outside is not None:
                row[new + given :] = self.outside.nearest(row[new + given :])
        return where


def scene(request: Request, window: int) -> Scene:
    """The canvas of a request for a model of windows of ``window`` px; CellscaperError if a window is too full."""
    size = (max(request.size[0], window), max(request.size[1], window))
    shift = np.array([(size[0] - request.size[0]) // 2, (size[1] - request.size[1]) // 2], np.int64)
    corners = windows(size, window)
    region = _placed(np.ones(request.size, bool), size, shift) if size != request.size else None
    allowed = _placed(request.mask, size, shift) if request.mask is not None else region
    if allowed is not None:
        seen = [allowed[y : y + window, x : x + window].any() for y, x in corners]
        corners = corners[seen]
    outside = _outside(size, corners, window, allowed, region, len(request.fixed) > 0, request.area.corner)
    given = request.fixed.astype(np.float64) + shift
    near = np.zeros(len(given), bool)
    for corner in corners:
        near |= ((given >= corner) & (given <= corner + window)).all(axis=1)
    around = _surrounding(request, outside, window)
    new = np.repeat(np.arange(len(request.counts)), request.counts)
    labels = np.concatenate([new, request.fixed_labels[near], np.repeat(np.arange(len(around)), around)])
    numbers = (len(new), int(near.sum()), int(around.sum()))
    area = Area(size, allowed, request.area.corner)
    weights = _weights(request, area, shift) if request.spread is not None else None
    _check_full(request, window)
    return Scene(
        size, shift, corners, area, outside, labels.astype(np.int64), numbers, given[near], weights, DATA_SCALE * window
    )


def _placed(mask: NDArray[np.bool_], size: tuple[int, int], shift: NDArray) -> NDArray[np.bool_]:
    canvas = np.zeros(size, bool)
    canvas[shift[0] : shift[0] + mask.shape[0], shift[1] : shift[1] + mask.shape[1]] = mask
    return canvas


def _outside(
    size: tuple[int, int],
    corners: NDArray,
    window: int,
    allowed: NDArray[np.bool_] | None,
    region: NDArray[np.bool_] | None,
    given: bool,
    corner: float,
) -> Area | None:
    """The area of surrounding cells: pixels where no new cell may lie; with given cells, those beyond the region.

    ``corner`` is that of the pixels ``allowed``.
    """
    kept = region if given else allowed
    if kept is None:
        return None
    seen = np.zeros(size, bool)
    for y, x in corners:
        seen[y : y + window, x : x + window] = True
    seen &= ~kept
    return Area(size, seen, 0.0 if given else corner) if seen.any() else None


def _surrounding(request: Request, outside: Area | None, window: int) -> NDArray[np.int64]:
    """(C,) surrounding cells: as dense as the new cells (or, with given ones, all cells), up to DENSEST."""
    if outside is None:
        return np.zeros(len(request.counts), np.int64)
    cells, pixels = request.counts, request.area.pixels
    if len(request.fixed):
        cells = cells + np.bincount(request.fixed_labels, minlength=len(cells))
        pixels = request.size[0] * request.size[1]
    density = cells / pixels  # per px²
    density *= min(1.0, DENSEST / 256**2 / density.sum())
    return (density * outside.pixels).round().astype(np.int64)


def _weights(request: Request, area: Area, shift: NDArray) -> NDArray[np.float64]:
    """(1 or C, height, width) density maps of the canvas: the request's, stretched to the region; 0 off the area."""
    assert request.spread is not None
    maps = np.zeros((len(request.spread), *area.size))
    height, width = request.size
    rows = np.arange(height) * request.spread.shape[1] // height
    columns = np.arange(width) * request.spread.shape[2] // width
    stretched = request.spread[:, rows[:, None], columns]
    maps[:, shift[0] : shift[0] + height, shift[1] : shift[1] + width] = stretched
    if area.mask is not None:
        maps *= area.mask
    needed = [0] if len(maps) == 1 else np.flatnonzero(request.counts).tolist()
    if any(maps[label].sum() <= 0 for label in needed):
        raise CellscaperError("--spread is 0 wherever cells may lie; give densities above 0 there")
    return maps


def _check_full(request: Request, window: int) -> None:
    fullest = request.counts.sum() / request.area.pixels * min(request.area.pixels, window**2)
    if fullest > FULL:
        raise CellscaperError(
            f"{fullest:.0f} cells in {window}×{window} px are more than the model can hold ({FULL}; tissue has up to "
            f"{DENSEST}); ask for fewer cells or a larger --size"
        )


def spread_evenly(unit: NDArray[np.float64], area: Area) -> NDArray[np.float64]:
    """(…, 2) positions, uniform over an area, from uniform numbers (…, 2) in 0…1."""
    if area.mask is None:
        return unit * area.size
    pixels = np.flatnonzero(area.mask)
    at = unit[..., 0] * len(pixels)
    chosen = np.minimum(at.astype(np.int64), len(pixels) - 1)
    return (_in_pixel(pixels[chosen], at - chosen, unit[..., 1], area.size[1]) - area.corner).clip(0)


def spread_by(unit: NDArray[np.float64], density: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…, 2) positions, distributed by a density (height, width), from uniform numbers (…, 2) in 0…1."""
    pixels = np.flatnonzero(density)
    total = np.cumsum(density.ravel()[pixels])
    at = unit[..., 0] * total[-1]
    chosen = np.minimum(np.searchsorted(total, at, side="right"), len(pixels) - 1)
    part = 1 - (total[chosen] - at) / density.ravel()[pixels[chosen]]
    return _in_pixel(pixels[chosen], part.clip(0, 1), unit[..., 1], density.shape[1])


def _in_pixel(pixel: NDArray, y: NDArray, x: NDArray, width: int) -> NDArray[np.float64]:
    return np.stack([pixel // width + y, pixel % width + x], axis=-1)
