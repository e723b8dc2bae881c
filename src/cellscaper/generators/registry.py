"""The generators by name. Imported where chosen, so that editing one reruns its experiments only.

A trained system offers ``prepare``: its model and loss, and ``draw``: layouts by its weights. Those on layout maps
share both (`layout_diffusion.MapDiffusion`). One that places points untrained offers ``place``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet


@dataclass(frozen=True)
class Training:
    """What a trainer needs: the model, its loss (see `diffusion.trainer.train`), the section with all that was derived
    from the cells filled in, and the facts beside it that ``draw`` will need."""

    model: nn.Module
    loss: Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]
    section: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)


def refuse_maps(name: str, section: Mapping[str, Any], density: Sequence[Tensor] | None) -> None:
    """CellscaperError where a system that moves points is given a density or losses on layout maps."""
    if density is not None or section["density"] is not None or section["losses"] is not None:
        raise CellscaperError(f"generator {name} takes no density and no losses; set density: none")


class TrainedSystem(Protocol):
    """A system with weights of its own."""

    def prepare(
        self, section: dict[str, Any], cells: LayoutSet, density: Sequence[Tensor] | None, device: torch.device
    ) -> Training:
        """The training on these cells; ``density`` are their normalised maps where the experiment names one."""

    def draw(
        self,
        weights: Mapping[str, Tensor],
        facts: dict[str, Any],
        targets: LayoutSet,
        seeds: Sequence[int],
        config: dict[str, Any],
        device: torch.device,
        what: str,
    ) -> tuple[dict[str, LayoutSet], dict[str, NDArray]]:
        """Layouts with the counts of ``targets``, one seed each, a set for each way to read them; arrays beside them.

        ``facts`` stand in the weights' file; ``what`` names the work in its progress lines.
        """


class PointGenerator(Protocol):
    """A system that places cells without a training; ``train`` holds the training images' cells."""

    def place(
        self, targets: LayoutSet, settings: dict[str, Any], seeds: Sequence[int], train: LayoutSet
    ) -> LayoutSet: ...


def trained_system(name: str) -> TrainedSystem:
    """The trained system of this name; CellscaperError for another."""
    if name == "adm":
        from cellscaper.generators import adm

        return adm.SYSTEM
    if name == "spatial_diffusion":
        from cellscaper.generators import spatial_diffusion

        return spatial_diffusion.SYSTEM
    if name == "topocellgen":
        from cellscaper.generators import topocellgen

        return topocellgen.SYSTEM
    if name == "point_diffusion":
        from cellscaper.generators import point_diffusion

        return point_diffusion.SYSTEM
    if name == "tmccg":
        from cellscaper.generators import tmccg

        return tmccg.SYSTEM
    raise CellscaperError(
        f"generator {name!r} is not trained (adm, spatial_diffusion, topocellgen, point_diffusion and tmccg are); "
        "give it `training: null`"
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
    if name == "packaged_points":
        from cellscaper.generators import packaged_points

        return packaged_points
    raise CellscaperError(
        f"generator {name!r} must be trained: `training: null` is for random, hard_core, permuted, real_halves, "
        "train_crops, retrieval and packaged_points"
    )
