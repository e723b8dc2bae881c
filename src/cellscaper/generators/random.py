"""Random layouts (the papers' "Rand."): the requested counts of each class, uniform positions."""

import numpy as np

from cellscaper.generators.protocol import Made, Request
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.settings import Settings as Block

DECODERS = ("points",)


class Settings(Block):
    """Nothing to choose."""


def generate(request: Request) -> Made:
    """One layout for each target: its size and per-class counts, cells independent and uniform."""
    targets, layouts = request.targets, []
    for target, seed in zip(targets, request.seeds, strict=True):
        rng = np.random.default_rng(seed)
        points = rng.uniform(0, target.size, size=(len(target), 2)).astype(np.float32)
        last = np.nextafter(np.array(target.size, np.float32), np.float32(0))  # float32 may round up to the border
        layouts.append(Layout(np.minimum(points, last), target.labels, target.size))
    made = LayoutSet.build(layouts, targets.classes, targets.mpp, {"target": np.arange(len(targets))})
    return Made({"points": made})
