"""Random layouts whose cells keep a minimum distance: the requested counts, random sequential addition.

The distance between centres is that of nuclei which cannot overlap; nothing else of tissue is in these layouts.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet

TRIES = 1000  # positions refused in a row before the distance gives way
GIVE_WAY = 0.9


def place(targets: LayoutSet, settings: dict[str, Any], seeds: Sequence[int], train: LayoutSet) -> LayoutSet:
    """One layout for each target: its size and per-class counts, cells at least ``sampling.min_distance`` px apart.

    The distance of a layout that is too full for it gives way (`add_points`). ``seeds`` holds one seed a layout, so
    a layout does not depend on the others; ``train`` is not used. CellscaperError for a negative distance.
    """
    distance = settings["sampling"]["min_distance"]
    if distance < 0:
        raise CellscaperError(f"sampling.min_distance = {distance} px, expected 0 or more")
    layouts = []
    for target, seed in zip(targets, seeds, strict=True):
        rng = np.random.default_rng(seed)
        points = add_points(np.zeros((0, 2), np.float32), len(target), distance, target.size, rng)
        layouts.append(Layout(rng.permutation(points), target.labels, target.size))  # late cells lie in the gaps
    return LayoutSet.build(layouts, targets.classes, targets.mpp, {"target": np.arange(len(targets))})


def add_points(
    points: NDArray, n: int, distance: float, size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float32]:
    """n uniform positions (n, 2), one by one, each ``distance`` px or more from all before it and from ``points``.

    After TRIES refused positions in a row the distance shrinks by a tenth, as often as it must: a full layout
    ends with a smaller distance, never without its cells.
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
