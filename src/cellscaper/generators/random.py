"""Random layouts (the papers' "Rand."): the requested counts of each class, uniform positions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cellscaper.layouts import Layout, LayoutSet


def place(targets: LayoutSet, settings: dict[str, Any], seeds: Sequence[int], train: LayoutSet) -> LayoutSet:
    """One layout for each target: its size and per-class counts, cells independent and uniform.

    ``seeds`` holds one seed a layout, so a layout does not depend on the others; ``settings`` and ``train`` are
    not used.
    """
    layouts = []
    for target, seed in zip(targets, seeds, strict=True):
        rng = np.random.default_rng(seed)
        points = rng.uniform(0, target.size, size=(len(target), 2)).astype(np.float32)
        last = np.nextafter(np.array(target.size, np.float32), np.float32(0))  # float32 may round up to the border
        layouts.append(Layout(np.minimum(points, last), target.labels, target.size))
    return LayoutSet.build(layouts, targets.classes, targets.mpp, {"target": np.arange(len(targets))})
