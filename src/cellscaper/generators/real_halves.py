"""Real layouts compared with other real layouts: the best value that a generator can expect, the floor of a metric.

The targets are split into two disjoint halves; a layout of the second stands in for each layout of the first.
Halves of the windows differ as two samples of the same images do; halves of the images as two samples of patients do.
Count errors of these rows compare unrelated windows: a generator of perfect layouts that ignores the requested counts
would score the same.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from cellscaper.errors import CellscaperError
from cellscaper.generators.protocol import Made, Request
from cellscaper.run.settings import Settings as Block

DECODERS = ("points",)


class Settings(Block):
    """The units that are split into halves."""

    halves: Literal["windows", "images"] = Field(
        "windows", description="real against real between halves of the windows or of their images"
    )


def generate(request: Request) -> Made:
    """Layouts of one half, with column ``target``: the number of a layout of the other half.

    The split and the pairing depend on the first seed. CellscaperError for fewer than two windows or images.
    """
    targets, seeds, by = request.targets, request.seeds, request.settings.halves
    unit = np.arange(len(targets)) if by == "windows" else np.unique(targets.source, return_inverse=True)[1]
    units = np.unique(unit)
    if len(units) < 2:
        raise CellscaperError(f"real vs real needs at least 2 {by} to split into halves, {len(units)} given")
    rng = np.random.default_rng(seeds[0])
    in_first = np.isin(unit, rng.permutation(units)[: len(units) // 2])
    reference, other = rng.permutation(np.flatnonzero(in_first)), rng.permutation(np.flatnonzero(~in_first))
    n = min(len(reference), len(other))
    order = np.argsort(reference[:n])
    return Made({"points": targets[other[:n][order]].with_columns(target=reference[:n][order])})
