"""The targets' own positions with the classes permuted among the cells: the worst case for cross-class metrics.

The counts and the positions of all cells stay. The arrangement of the classes among each other is lost.
"""

import numpy as np

from cellscaper.generators.protocol import Made, Request
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.settings import Settings as Block

DECODERS = ("points",)


class Settings(Block):
    """Nothing to choose."""


def generate(request: Request) -> Made:
    """One layout for each target."""
    targets, layouts = request.targets, []
    for target, seed in zip(targets, request.seeds, strict=True):
        labels = np.random.default_rng(seed).permutation(target.labels)
        layouts.append(Layout(target.points, labels, target.size, target.source, target.origin))
    made = LayoutSet.build(layouts, targets.classes, targets.mpp, {"target": np.arange(len(targets))})
    return Made({"points": made})
