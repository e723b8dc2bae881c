"""Layouts as maps: the papers' 3×3-marker raster and the compact grid, made on the device that needs them."""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from cellscaper.errors import CellscaperError
from cellscaper.views.pixels import nearest_pixel


@dataclass(frozen=True)
class Grid:
    """A raster of ``region`` px at 20× with ``stride`` px a pixel, ``marker`` pixels a cell, ``pad`` pixels around.

    TC: region 256, stride 1, marker 3, values {0, 1}. SD: region 464, stride 2, marker 3, pad 12, values {-1, 1}
    (docs/methods.md, section 1.4). Compact grid: region 256, stride 4, marker 1.
    Soft markers (ours) fall off like a Gaussian, around the cell's pixel or, with ``exact``, around the cell itself.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    region: Annotated[int, Field(ge=1, description="side of the region, px")]
    stride: Annotated[int, Field(ge=1, description="side of a raster pixel, px")] = 1
    marker: Annotated[int, Field(ge=1, description="side of a cell's marker, raster pixels")] = 3
    pad: Annotated[int, Field(ge=0, description="background around the region, raster pixels")] = 0
    low: Annotated[float, Field(description="value of the background")] = 0.0
    high: Annotated[float, Field(description="value of a marker")] = 1.0
    soft: Annotated[float, Field(ge=0, description="sd of a soft marker, raster pixels; 0: a marker is flat")] = 0.0
    exact: Annotated[bool, Field(description="soft markers stand at the cell's place inside its pixel")] = False

    def __post_init__(self) -> None:
        if self.region < 1 or self.stride < 1 or self.region % self.stride:
            region = f"grid: region {self.region} px"
            raise CellscaperError(f"{region} must be a positive multiple of stride {self.stride} px")
        if self.marker < 1 or self.marker % 2 == 0:
            raise CellscaperError(f"grid: marker {self.marker} must be odd, so that it has a centre")
        if self.soft < 0 or (self.exact and not self.soft):
            raise CellscaperError(f"grid: soft {self.soft} must be 0 or above, and above 0 where exact is true")
        if self.pad < 0 or not self.low < self.high:
            raise CellscaperError(f"grid: pad {self.pad} must be ≥ 0 and low {self.low} below high {self.high}")

    @property
    def inner(self) -> int:
        """Pixels a side without the padding."""
        return self.region // self.stride

    @property
    def side(self) -> int:
        """Pixels a side with the padding: the network's input size."""
        return self.inner + 2 * self.pad


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
