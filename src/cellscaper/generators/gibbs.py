"""Gibbs process: the multi-type Geyer saturation process with a hard core, fitted on the training images (ours).

The classical model of a pattern with attraction and repulsion: a layout's probability depends on how many neighbours of
each class the cells have at each distance, up to a saturation (`geyer.model`). The fit is a logistic regression
(`geyer.fit`); a layout is drawn by Metropolis moves and swaps of classes with the requested counts (`geyer.chain`).
It has no more than some dozens of numbers, one for each two classes and annulus. What it lacks beside a trained
generator is what these numbers cannot say: differences between patients, glands, and shapes.
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cellscaper.errors import CellscaperError
from cellscaper.generators.geyer.chain import Chain
from cellscaper.generators.geyer.fit import fit
from cellscaper.generators.geyer.model import Shape
from cellscaper.generators.protocol import Made, Request
from cellscaper.generators.side_by_side import Stack, generate_side_by_side
from cellscaper.run.settings import Count
from cellscaper.run.settings import Settings as Block

DECODERS = ("points",)
FIT_SEED = 0  # of the dummy cells: all seeds of a run draw from one process


class Settings(Block):
    """Distances and saturations of the interaction, the fit, and the length of a chain."""

    hard_core: float = Field(5.0, ge=0, description="px between any two cells")
    radii: tuple[Count, ...] = Field((8, 11, 14, 18, 24, 32, 45, 60), description="px: outer radii of the annuli")
    saturation: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1, 1, 2, 3, 4, 6, 8, 10), description="most neighbours of a class that count in each annulus"
    )
    dummies: Count = Field(4, description="dummy cells of the fit for each cell")
    sweeps: Count = Field(200, description="steps of the chain for each cell")
    batch: Count = Field(64, description="layouts at a time")

    @model_validator(mode="after")
    def _annuli(self) -> "Settings":
        if list(self.radii) != sorted(set(self.radii)) or not self.radii or self.radii[0] <= self.hard_core:
            raise ValueError(f"expected radii that rise from above the hard core of {self.hard_core:g} px")
        if len(self.saturation) != len(self.radii):
            raise ValueError(f"{len(self.saturation)} saturations for {len(self.radii)} radii; expected one for each")
        return self


def generate(request: Request) -> Made:
    """One layout for each target: its size and per-class counts, drawn from the process fitted on the training images.

    A chain starts from the hard core alone (`hard_core.add_points`). CellscaperError if a target is smaller than twice
    the last radius, where a torus would count cells twice.
    """
    targets, settings = request.targets, request.settings
    shape = Shape(targets.n_classes, settings.hard_core, settings.radii, settings.saturation)
    if len(targets) and int(targets.size.min()) < 2 * shape.radii[-1]:
        raise CellscaperError(
            f"gibbs: layouts of {int(targets.size.min())} px are smaller than twice the last of settings.radii, "
            f"{shape.radii[-1]} px; take smaller radii"
        )
    theta = fit(list(request.train), shape, settings.dummies, FIT_SEED)

    def run(stack: Stack, rngs: list[np.random.Generator], cells: NDArray) -> None:
        Chain(stack, shape, theta).run(rngs, settings.sweeps * cells)

    return generate_side_by_side(request, shape.core, run)
