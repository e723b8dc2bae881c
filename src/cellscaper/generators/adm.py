"""ADM (Dhariwal and Nichol 2021) on layout maps alone, the baseline of both papers."""

from typing import Any

from torch import Tensor

from cellscaper.errors import CellscaperError
from cellscaper.generators.maps.engine import MapDiffusion


def channels(section: dict[str, Any], classes: int) -> int:
    """Channels of the maps: one for each class. CellscaperError if the experiment names a density."""
    if section["density"] is not None:
        raise CellscaperError("generator adm takes no density; use spatial_diffusion or set density: none")
    return classes


def compose(layout: Tensor, density: Tensor | None) -> Tensor:
    """The clean maps (B, C, side, side): the layout itself."""
    return layout


def extra(section: dict[str, Any], x0: Tensor, counts: Tensor, step: int) -> None:
    """No losses beyond the noise loss."""


SYSTEM = MapDiffusion(channels, compose, extra)
