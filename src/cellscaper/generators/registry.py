"""The generators by name. Imported where chosen, so that editing one reruns its experiments only.

A trained generator offers ``channels(section, classes)`` and ``compose(layout, density)``: the maps its model learns,
and ``extra(section, x0, counts, step)``: losses on the predicted maps of one training step, or None.
One that places points offers ``place(targets, settings, seeds, train)``; ``train`` holds the training images' cells.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from cellscaper.diffusion.objective import Extra
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet


class MapGenerator(Protocol):
    """A diffusion on layout maps."""

    def channels(self, section: dict[str, Any], classes: int) -> int: ...
    def compose(self, layout: Tensor, density: Tensor | None) -> Tensor: ...
    def extra(self, section: dict[str, Any], x0: Tensor, counts: Tensor, step: int) -> Extra | None: ...


class PointGenerator(Protocol):
    """A system that places cells directly."""

    def place(
        self, targets: LayoutSet, settings: dict[str, Any], seeds: Sequence[int], train: LayoutSet
    ) -> LayoutSet: ...


def map_generator(name: str) -> MapGenerator:
    """The trained generator of this name; CellscaperError for another."""
    if name == "adm":
        from cellscaper.generators import adm

        return adm
    if name == "spatial_diffusion":
        from cellscaper.generators import spatial_diffusion

        return spatial_diffusion
    if name == "topocellgen":
        from cellscaper.generators import topocellgen

        return topocellgen
    raise CellscaperError(
        f"generator {name!r} is not trained (adm, spatial_diffusion, topocellgen are); give it `training: null`"
    )


def point_generator(name: str) -> PointGenerator:
    """The untrained generator of this name; CellscaperError for another."""
    if name == "random":
        from cellscaper.generators import random

        return random
    if name == "hard_core":
        from cellscaper.generators import hard_core

        return hard_core
    if name == "permuted":
        from cellscaper.generators import permuted

        return permuted
    if name == "real_halves":
        from cellscaper.generators import real_halves

        return real_halves
    if name == "train_crops":
        from cellscaper.generators import train_crops

        return train_crops
    if name == "retrieval":
        from cellscaper.generators import retrieval

        return retrieval
    raise CellscaperError(
        f"generator {name!r} must be trained: `training: null` is for random, hard_core, permuted, real_halves, "
        "train_crops and retrieval"
    )
