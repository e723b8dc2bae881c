"""Random layouts whose cells keep a minimum distance: the requested counts, random sequential addition.

Nuclei cannot overlap, so their centres keep a distance. These layouts share only this property with tissue.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cellscaper.generators.protocol import Made, Request
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.settings import Settings as Block

DECODERS = ("points",)
TRIES = 1000  # positions refused in a row before the distance shrinks
GIVE_WAY = 0.9


class Settings(Block):
    """The distance that cells keep."""

    min_distance: float = Field(8.0, ge=0, description="px between any two cells")


def generate(request: Request) -> Made:
    """One layout for each target: its size and per-class counts, cells at least ``min_distance`` px apart.

    In a layout that is too full, the distance shrinks (`add_points`).
    """
    targets, distance = request.targets, request.settings.min_distance
    layouts = []
    for target, seed in zip(targets, request.seeds, strict=True):
        rng = np.random.default_rng(seed)
        points = add_points(np.zeros((0, 2), np.float32), len(target), distance, target.size, rng)
        layouts.append(Layout(rng.permutation(points), target.labels, target.size))  # late cells lie in the gaps
    made = LayoutSet.build(layouts, targets.classes, targets.mpp, {"target": np.arange(len(targets))})
    return Made({"points": made})


def add_points(
    points: NDArray, n: int, distance: float, size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float32]:
    """n uniform positions (n, 2), one by one, each ``distance`` px or more from all before it and from ``points``.

    After TRIES refused positions in a row the distance shrinks by a tenth, as often as necessary. So a full layout
    has a smaller distance, but all its cells.
    """
    start = len(points)
    taken = np.concatenate([np.asarray(points, np.float32), np.zeros((n, 2), np.float32)])
    last = np.nextafter(np.array(size, np.float32), np.float32(0))  # float32 may round up to the border
    filled, refused, nearest = start, 0, distance**2
    while filled < len(taken):
        for candidate in np.minimum(rng.uniform(0, size, size=(64, 2)).astype(np.float32), last):
            gap = taken[:filled].astype(np.float64) - candidate
            if ((gap * gap).sum(axis=1) >= nearest).all():
                taken[filled] = candidate
                filled, refused = filled + 1, 0
            else:
                refused += 1
            if refused == TRIES:
                nearest, refused = nearest * GIVE_WAY**2, 0
            if filled == len(taken):
                break
    return taken[start:]
