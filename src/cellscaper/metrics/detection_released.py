"""Detected cells scored as MCSpatNet's script does: protocol ``released`` (docs/methods.md, section 8.3).

It is kept because both papers' numbers were made with it, and only under this name. Its quirks:

- dots and detections are pixels: two of the same class in a pixel count once (for detection, two of any classes).
  A detection between two pixels goes to the even one, as Python rounds, and not up as in all our rasters
  (docs/methods.md, section 1.4);
- reference dots come in raster order and each takes the nearest detection that is still free, so a dot's match depends
  on the dots above it;
- a detection must lie *strictly* nearer than the threshold, and only the 50 nearest are looked at;
- an image without a detection adds its missed dots once for each threshold: six times with thresholds 1…6;
- 0/0 is 1 for precision and recall, and an F1 without either is 0.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cellscaper.layouts import Layout

NEIGHBOURS = 50  # detections looked at for each dot


def to_pixels(points: NDArray, size: tuple[int, int]) -> NDArray[np.int64]:
    """The pixels (M, 2) of points (N, 2), each once, in raster order."""
    whole = np.minimum(np.rint(np.asarray(points, np.float64).reshape(-1, 2)).astype(np.int64), np.array(size) - 1)
    return np.unique(whole, axis=0)


def greedy_hits(reference: NDArray[np.int64], predicted: NDArray[np.int64], radius: float) -> int:
    """Number of dots with a free detection nearer than ``radius`` px, in the order of ``reference`` (N, 2).

    predicted (M, 2). Among detections at the same distance, a dot takes the first (the script leaves that to its tree).
    """
    if not len(reference) or not len(predicted):
        return 0
    from scipy.spatial import cKDTree  # as in `detection`

    within = cKDTree(predicted).query_ball_point(reference, radius, return_sorted=True)
    free = np.ones(len(predicted), bool)
    for dot, found in zip(reference, within, strict=True):
        candidates = np.asarray(found, np.int64)
        distance = ((predicted[candidates] - dot) ** 2).sum(axis=1)
        strict = distance < radius**2
        order = np.argsort(distance[strict], kind="stable")[:NEIGHBOURS]
        candidates = candidates[strict][order]
        candidates = candidates[free[candidates]]
        if len(candidates):
            free[candidates[0]] = False
    return int((~free).sum())


def count_matches_released(
    reference: Layout, predicted: Layout, classes: Sequence[str], radii: Sequence[float]
) -> NDArray[np.int64]:
    """True positives, false positives and false negatives of one image: (R, C + 1, 3), last class row detection.

    ``radii``: all thresholds of the evaluation. An image without detections counts its missed dots once for each.
    """
    counts = np.zeros((len(radii), len(classes) + 1, 3), np.int64)
    sides = [(reference.of_class(label), predicted.of_class(label)) for label in range(len(classes))]
    for row, pair in enumerate([*sides, (reference.points, predicted.points)]):
        dots, found = (to_pixels(points, reference.size) for points in pair)
        if not len(found):
            counts[:, row, 2] = len(dots) * len(radii)
            continue
        for level, radius in enumerate(radii):
            hits = greedy_hits(dots, found, radius)
            counts[level, row] = hits, len(found) - hits, len(dots) - hits
    return counts


def ratios_released(counts: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Precision, recall and F1 (…,) from counts (…, 3) with the script's values for 0/0."""
    hits, false, missed = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    precision, recall = (
        np.divide(hits, under, out=np.ones_like(hits), where=under > 0) for under in (hits + false, hits + missed)
    )
    both = precision + recall
    return precision, recall, np.divide(2 * precision * recall, both, out=np.zeros_like(hits), where=both > 0)
