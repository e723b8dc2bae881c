"""Sizes that the formulas of several networks share."""

from typing import Any

CELLS = 128  # cells in 256 × 256 px, with padding: BRCA-M2C has 20 to 125


def cells(region: int) -> int:
    """Cells of a region, padded to a multiple of 16, at the density of BRCA-M2C's fullest windows."""
    return max(16, round(CELLS * (region / 256) ** 2 / 16) * 16)


def halved(side: int) -> int:
    """The side behind a convolution or a pooling of stride 2 that rounds up."""
    return -(-side // 2)


def map_side(grid: Any) -> int:
    """Pixels a side of a grid's maps, with the padding."""
    return grid["region"] // grid["stride"] + 2 * grid["pad"]
