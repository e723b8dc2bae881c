"""ADM (Dhariwal and Nichol 2021) on layout maps alone, the baseline of both papers."""

from torch import Tensor

from cellscaper.diffusion.settings import MapSampling
from cellscaper.generators.maps.engine import PAPER_TRAINING, MapDiffusion, MapSettings
from cellscaper.generators.protocol import Recipe, refuse_density

DECODERS = ("components", "released", "peaks", "requested")
TRAINING = PAPER_TRAINING


class Settings(MapSettings):
    """ADM's network and noise process."""


class Sampling(MapSampling):
    """DDIM sampling of maps."""


def channels(recipe: Recipe, classes: int) -> int:
    """Channels of the maps: one for each class. CellscaperError if the experiment names a density."""
    refuse_density(recipe)
    return classes


def compose(layout: Tensor, density: Tensor | None) -> Tensor:
    """The clean maps (B, C, side, side): the layout itself."""
    return layout


def extra(recipe: Recipe, x0: Tensor, ahead: None, step: int) -> None:
    """No losses beyond the noise loss."""


SYSTEM = MapDiffusion(channels, compose, extra)
prepare, generate = SYSTEM.prepare, SYSTEM.generate
