"""Retrieval: for each target the training crop with the nearest counts. A trained generator should be better than this.

With repair, counts are exact: surplus cells are dropped at random, and missing cells are placed at random.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial import cKDTree

from cellscaper.generators.hard_core import add_points
from cellscaper.generators.protocol import Made, Request
from cellscaper.layouts import Layout, LayoutSet, crop
from cellscaper.run.settings import Count, Small
from cellscaper.run.settings import Settings as Block
from cellscaper.views.patches import large_enough
from cellscaper.views.symmetries import EIGHT, transform

DECODERS = ("points",)


class Settings(Block):
    """The crops that are searched, and whether the counts are made exact."""

    window_stride: Count = Field(8, description="px between the windows of the training images")
    repair: bool = Field(False, description="drop or add cells to the exact counts")
    min_distance: float = Field(8.0, ge=0, description="px between an added cell and any other")


def generate(request: Request) -> Made:
    """One training window of the region for each target, in a random one of the eight symmetries.

    Windows lie ``window_stride`` px apart inside the training images. The chosen window has the smallest L1 distance of
    class counts to the target's; among equal ones the choice is random, by the seed. ``repair`` makes the counts exact;
    added cells lie ``min_distance`` px from all others where there is room.
    """
    targets, train, settings, region = request.targets, request.train, request.settings, request.region
    windows, counts = window_counts(train, region, settings.window_stride, request.small)
    kinds, kind = np.unique(counts, axis=0, return_inverse=True)
    by_kind = np.split(np.argsort(kind, kind="stable"), np.bincount(kind).cumsum()[:-1])
    tree = cKDTree(kinds)
    wanted = targets.counts()
    least = tree.query(wanted, p=1)[0]
    layouts = []
    for target, counted, distance, seed in zip(targets, wanted, least, request.seeds, strict=True):
        rng = np.random.default_rng(seed)
        equals = np.concatenate([by_kind[i] for i in sorted(tree.query_ball_point(counted, distance + 0.5, p=1))])
        row, y, x = windows[rng.choice(equals)].tolist()
        found = crop(train.layout(row), y, x, region, region)
        points = transform(found.points, int(rng.choice(EIGHT)), region)
        labels = found.labels
        if settings.repair:
            points, labels = repair(points, labels, target.labels, settings.min_distance, region, rng)
        layouts.append(Layout(points, labels, found.size, found.source, found.origin))
    made = LayoutSet.build(layouts, targets.classes, targets.mpp, {"target": np.arange(len(targets))})
    return Made({"points": made})


def window_counts(train: LayoutSet, region: int, stride: int, small: Small) -> tuple[NDArray[np.int64], NDArray]:
    """Every ``region`` px window on the grid of ``stride`` px: (W, 3) row, y, x, and its cells of each class (W, C).

    Windows come layout by layout, row by row, as in `patches.sliding_windows`; ``small`` as there.
    """
    windows, counts = [], []
    for row in np.flatnonzero(large_enough(train, region, small)).tolist():
        layout = train.layout(row)
        height, width = layout.size
        at = np.zeros((train.n_classes, height + 1, width + 1), np.int32)
        y, x = layout.points.astype(np.int64).T
        np.add.at(at, (layout.labels, y + 1, x + 1), 1)
        below = at.cumsum(axis=1).cumsum(axis=2)  # [c, y, x]: cells of class c above y and left of x
        ys, xs = np.arange(0, height - region + 1, stride), np.arange(0, width - region + 1, stride)
        rows, columns = (ys[:, None], ys[:, None] + region), (xs[None], xs[None] + region)
        inside = sum((1 if i == j else -1) * below[:, rows[i], columns[j]] for i in (0, 1) for j in (0, 1))
        counts.append(np.reshape(inside, (train.n_classes, -1)).T)
        corners = np.stack(np.meshgrid(ys, xs, indexing="ij"), axis=-1).reshape(-1, 2)
        windows.append(np.column_stack([np.full(len(corners), row), corners]))
    return np.concatenate(windows), np.concatenate(counts)


def repair(
    points: NDArray, labels: NDArray, wanted: NDArray, distance: float, side: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Cells (N, 2), (N,) changed to the class counts of the labels ``wanted``.

    If a class has too many cells, random ones are dropped. Then the missing cells of all classes are added at uniform
    positions, ``distance`` px or more from every other cell where there is room (`hard_core.add_points`).
    """
    keep, missing = [], []
    for label in np.union1d(labels, wanted):
        cells, n = np.flatnonzero(labels == label), int((wanted == label).sum())
        keep.append(rng.permutation(cells)[:n])
        missing.append(np.full(max(n - len(cells), 0), label, np.uint8))
    kept, added = np.sort(np.concatenate([*keep, np.zeros(0, int)])), np.concatenate([*missing, np.zeros(0, np.uint8)])
    new = rng.permutation(add_points(points[kept], len(added), distance, (side, side), rng))
    return np.concatenate([points[kept], new]), np.concatenate([labels[kept], added])
