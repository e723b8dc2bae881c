"""The generators by name. Imported where chosen, so that editing one reruns its experiments only.

A trained generator offers ``channels(section, classes)`` and ``compose(layout, density)``: the maps its model learns.
One that places points offers ``place(targets, settings, seeds)``.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet


class MapGenerator(Protocol):
    """A diffusion on layout maps."""

    def channels(self, section: dict[str, Any], classes: int) -> int: ...
    def compose(self, layout: Tensor, density: Tensor | None) -> Tensor: ...


class PointGenerator(Protocol):
    """A system that places cells directly."""

    def place(self, targets: LayoutSet, settings: dict[str, Any], seeds: Sequence[int]) -> LayoutSet: ...


def map_generator(name: str) -> MapGenerator:
    """The trained generator of this name; CellscaperError for another."""
    if name == "adm":
        from cellscaper.generators import adm

        return adm
    if name == "spatial_diffusion":
        from cellscaper.generators import spatial_diffusion

        return spatial_diffusion
    raise CellscaperError(f"generator {name!r} is not trained (adm, spatial_diffusion are); give it `training: null`")


def point_generator(name: str) -> PointGenerator:
    """The untrained generator of this name; CellscaperError for another."""
    if name == "random":
        from cellscaper.generators import random

        return random
    if name == "real_halves":
        from cellscaper.generators import real_halves

        return real_halves
    raise CellscaperError(f"generator {name!r} must be trained: `training: null` is for random and real_halves")
