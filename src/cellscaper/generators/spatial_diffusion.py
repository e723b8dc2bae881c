"""Spatial Diffusion (MICCAI 2024): the layout and its density maps, generated together as one image."""

import torch
from pydantic import Field
from torch import Tensor

from cellscaper.diffusion.settings import MapSampling
from cellscaper.generators.maps.engine import PAPER_TRAINING, MapDiffusion, MapSettings, read_maps
from cellscaper.generators.protocol import Made, Recipe, Request

DECODERS = ("components", "released", "peaks", "requested")
DENSITY = True  # an experiment may name the density that is generated with the layout
TRAINING = PAPER_TRAINING


class Settings(MapSettings):
    """ADM's network and noise process."""


class Sampling(MapSampling):
    """DDIM sampling of maps."""

    keep_density: int = Field(16, ge=0, description="layouts whose generated density maps are kept, for pictures")


def channels(recipe: Recipe, classes: int) -> int:
    """Channels of the maps: a layout and a density channel for each class (6 for BRCA-M2C), or the layout alone."""
    return classes if recipe.density is None else 2 * classes


def compose(layout: Tensor, density: Tensor | None) -> Tensor:
    """The clean maps: layout (B, C, side, side), then density (B, C, side, side) in -1…1."""
    return layout if density is None else torch.cat([layout, density], dim=1)


def extra(recipe: Recipe, x0: Tensor, ahead: None, step: int) -> None:
    """No losses beyond the noise loss."""


SYSTEM = MapDiffusion(channels, compose, extra)
prepare = SYSTEM.prepare


def generate(request: Request) -> Made:
    """A set for each decoder, and the density maps of the first layouts."""
    return read_maps(request, request.settings.keep_density)
