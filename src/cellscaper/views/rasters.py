"""Layouts as maps: the papers' 3×3-marker raster and the compact grid, made on the device that needs them."""

import torch
from torch import Tensor

from cellscaper.views.grid import Grid
from cellscaper.views.pixels import nearest_pixel


def pixels(points: Tensor, grid: Grid) -> Tensor:
    """(M, 2) int64 the pixel that holds each point (M, 2) px of the region, without the padding."""
    return nearest_pixel(points).div_(grid.stride).floor_().long().clamp_(0, grid.inner - 1)


def rasterise(points: Tensor, labels: Tensor, index: Tensor, n: int, classes: int, grid: Grid) -> Tensor:
    """Markers of n layouts.

    points (M, 2) px in the region, y then x; labels (M,) int64; index (M,) int64, the layout of each cell.
    Returns (n, classes, side, side) float32 with ``grid.low`` as background and ``grid.high`` on markers. A marker's
    centre is the pixel nearest to the point (:mod:`cellscaper.views.pixels`); markers are cut at the region's border.
    Where soft markers meet, the higher value stands.
    """
    inner, side = grid.inner, grid.side
    shape = (n, classes, side, side)
    # the system gives zeros when memory is first used, without a pass over the maps
    maps = (
        torch.full(shape, float(grid.low), device=points.device)
        if grid.low
        else torch.zeros(shape, device=points.device)
    )
    cell = pixels(points, grid)  # (M, 2)
    half = grid.marker // 2
    step = torch.arange(-half, half + 1, device=points.device)
    shift = torch.cartesian_prod(step, step).view(-1, 2)  # (marker², 2)
    y, x = (cell[:, None] + shift).unbind(-1)  # (M, marker²)
    inside = (y >= 0) & (y < inner) & (x >= 0) & (x < inner)
    layer = (index * classes + labels)[:, None] * side
    pixel = (layer + y + grid.pad) * side + x + grid.pad
    if not grid.soft:
        maps.view(-1).index_fill_(0, pixel[inside], grid.high)
        return maps
    centre = to_pixels(points, grid) if grid.exact else cell.float()
    away = (torch.stack([y, x], -1) - centre[:, None]).square().sum(-1)  # (M, marker²) squared pixels
    away -= (cell - centre).square().sum(-1, keepdim=True)  # so that each cell's own pixel has the full value
    value = grid.low + (grid.high - grid.low) * (-away / (2 * grid.soft**2)).exp()
    maps.view(-1).scatter_reduce_(0, pixel[inside], value[inside], "amax")
    return maps


def to_pixels(points: Tensor, grid: Grid) -> Tensor:
    """Points (M, 2) px of the region in raster pixels, where whole numbers are the centres of pixels."""
    return (points + 0.5) / grid.stride - 0.5


def to_unit(maps: Tensor, grid: Grid) -> Tensor:
    """Layout maps in the grid's value range → 0 (background) to 1 (marker), without the padding."""
    end = grid.side - grid.pad
    return (maps[..., grid.pad : end, grid.pad : end] - grid.low) / (grid.high - grid.low)
