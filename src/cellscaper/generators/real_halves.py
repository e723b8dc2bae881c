"""The floor of every metric: real layouts compared with other real layouts.

The targets are split into two disjoint halves; a layout of the second stands in for each layout of the first.
Halves of the patches differ as two samples of the same images do; halves of the images as two samples of patients do.
Count errors of these rows pair unrelated patches: they are what a generator that draws perfect layouts, but
without regard to the requested counts, would score.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet


def place(targets: LayoutSet, settings: dict[str, Any], seeds: Sequence[int], train: LayoutSet) -> LayoutSet:
    """Layouts of one half, with column ``target``: the number of a layout of the other half.

    ``settings["sampling"]["halves"]`` is patches or images. The split and the pairing depend on the first seed;
    ``train`` is not used. CellscaperError where there are not two patches or images to split.
    """
    by = settings["sampling"]["halves"]
    unit = np.arange(len(targets)) if by == "patches" else np.unique(targets.source, return_inverse=True)[1]
    units = np.unique(unit)
    if len(units) < 2:
        raise CellscaperError(f"real vs real needs at least 2 {by} to split into halves, {len(units)} given")
    rng = np.random.default_rng(seeds[0])
    in_first = np.isin(unit, rng.permutation(units)[: len(units) // 2])
    reference, other = rng.permutation(np.flatnonzero(in_first)), rng.permutation(np.flatnonzero(~in_first))
    n = min(len(reference), len(other))
    order = np.argsort(reference[:n])
    return targets[other[:n][order]].with_columns(target=reference[:n][order])
