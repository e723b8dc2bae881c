"""The floor of every metric: real layouts compared with other real layouts.

The images behind the targets are split into two disjoint halves; a layout of the second half stands in
for each layout of the first. Count errors of this row pair unrelated patches: they are what a generator
that draws perfect layouts, but without regard to the requested counts, would score.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet


def place(targets: LayoutSet, settings: dict[str, Any], seeds: Sequence[int]) -> LayoutSet:
    """Layouts of one half of the images, with column ``target``: the number of a layout of the other half.

    The split of images and the pairing depend on the first seed.
    """
    images = np.unique(targets.source)
    if len(images) < 2:
        raise CellscaperError(f"real vs real needs at least 2 images to split into halves, {len(images)} given")
    rng = np.random.default_rng(seeds[0])
    first = rng.permutation(images)[: len(images) // 2]
    in_first = np.isin(targets.source, first)
    reference, other = rng.permutation(np.flatnonzero(in_first)), rng.permutation(np.flatnonzero(~in_first))
    n = min(len(reference), len(other))
    order = np.argsort(reference[:n])
    return targets[other[:n][order]].with_columns(target=reference[:n][order])
