"""The raster of a region. Without torch, so that stages that only name a raster start quickly."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field

from cellscaper.errors import CellscaperError


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
