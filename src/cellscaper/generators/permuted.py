"""The targets' own positions with the classes permuted among the cells: the ceiling of cross-class metrics.

Counts and the positions of all cells together stay; where one class lies among the others is lost.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cellscaper.layouts import Layout, LayoutSet


def place(targets: LayoutSet, settings: dict[str, Any], seeds: Sequence[int], train: LayoutSet) -> LayoutSet:
    """One layout for each target. ``seeds`` holds one seed a layout; ``settings`` and ``train`` are not used."""
    layouts = []
    for target, seed in zip(targets, seeds, strict=True):
        labels = np.random.default_rng(seed).permutation(target.labels)
        layouts.append(Layout(target.points, labels, target.size, target.source, target.origin))
    return LayoutSet.build(layouts, targets.classes, targets.mpp, {"target": np.arange(len(targets))})
