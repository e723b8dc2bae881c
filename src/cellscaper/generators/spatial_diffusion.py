"""Spatial Diffusion (MICCAI 2024): the layout and its density maps, generated together as one image."""

from typing import Any

import torch
from torch import Tensor

from cellscaper.generators.maps.engine import MapDiffusion


def channels(section: dict[str, Any], classes: int) -> int:
    """Channels of the maps: layout, then density, each one a class (6 for BRCA-M2C); layout alone without density."""
    return classes if section["density"] is None else 2 * classes


def compose(layout: Tensor, density: Tensor | None) -> Tensor:
    """The clean maps: layout (B, C, side, side) and, below it, density (B, C, side, side) in -1…1."""
    return layout if density is None else torch.cat([layout, density], dim=1)


def extra(section: dict[str, Any], x0: Tensor, counts: Tensor, step: int) -> None:
    """No losses beyond the noise loss."""


SYSTEM = MapDiffusion(channels, compose, extra)
