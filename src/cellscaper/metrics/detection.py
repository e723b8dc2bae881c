"""Scores of detected cells (docs/methods.md, section 8.3): matching, counting of matches, precision, recall, F1.

Protocol ``paper``: the matching is one-to-one and optimal. ``released`` counts as MCSpatNet's script does
(``detection_released.py``). The counts of all images are added up before anything is divided.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.detection_released import count_matches_released, ratios_released
from cellscaper.metrics.protocol import Column
from cellscaper.run.settings import Settings as Block

PROTOCOLS = ("paper", "released")
RADIUS = 6.0  # px at 20×, about 3 µm


OF = "detections"
COLUMNS = {
    name + suffix: Column(label + suffix, higher_is_better=True)
    for name, label in (("f1", "F1"), ("precision", "precision"), ("recall", "recall"))
    for suffix in ("", "_released")
}


class Settings(Block):
    """Distance at which a detection counts, and the bootstrap of each difference."""

    radius: float = Field(
        RADIUS,
        ge=1,
        le=100,
        description="px: largest distance of a detection to its dot; also scored at 1, 2, … radius",
    )
    bootstrap: int = Field(10_000, ge=100, description="resamples of the test images behind each Δ")


def match(reference: NDArray, predicted: NDArray, radius: float = RADIUS) -> NDArray[np.int64]:
    """One-to-one matching of points at most ``radius`` px apart: most pairs first, then smallest total distance.

    reference (N, 2), predicted (M, 2) px. Returns (K, 2) indices (reference, predicted), in order of reference.
    """
    left, right, distance = _candidates(reference, predicted, radius)
    lone = (np.bincount(left)[left] == 1) & (np.bincount(right)[right] == 1)  # neither end has another candidate
    pairs = [np.stack([left[lone], right[lone]], axis=1)]
    left, right, distance = left[~lone], right[~lone], distance[~lone]
    if len(left):
        pairs += [_assign(left[group], right[group], distance[group], radius) for group in _components(left, right)]
    found = np.concatenate(pairs)
    return found[np.argsort(found[:, 0])]


def _candidates(
    reference: NDArray, predicted: NDArray, radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """All pairs at most ``radius`` apart: index in reference, index in predicted, distance; each (E,)."""
    reference, predicted = (np.asarray(x, np.float64).reshape(-1, 2) for x in (reference, predicted))
    if not len(reference) or not len(predicted):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    from scipy.spatial import cKDTree  # in functions: tables and pictures read this module's names, and match nothing

    near = cKDTree(reference).sparse_distance_matrix(cKDTree(predicted), radius * (1 + 1e-9), output_type="ndarray")
    left, right = near["i"].astype(np.int64), near["j"].astype(np.int64)
    distance = np.hypot(*(reference[left] - predicted[right]).T)
    keep = distance <= radius
    return left[keep], right[keep], distance[keep]


def _components(left: NDArray[np.int64], right: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The candidate pairs (E,) in groups that share no point: indices of the pairs of each group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, m = int(left.max()) + 1, int(right.max()) + 1
    graph = coo_array((np.ones(len(left), bool), (left, right + n)), shape=(n + m, n + m))
    group = connected_components(graph, directed=False)[1][left]
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _assign(
    left: NDArray[np.int64], right: NDArray[np.int64], distance: NDArray[np.float64], radius: float
) -> NDArray[np.int64]:
    """The best matching (K, 2) among the candidate pairs (E,) of one group.

    A pair that is no candidate costs more than all candidate pairs of a matching together, so the cheapest full
    assignment has as many candidate pairs as possible and, among these assignments, the smallest distance.
    """
    from scipy.optimize import linear_sum_assignment

    rows, i = np.unique(left, return_inverse=True)
    columns, j = np.unique(right, return_inverse=True)
    forbidden = (radius + 1) * (min(len(rows), len(columns)) + 1)
    cost = np.full((len(rows), len(columns)), forbidden)
    cost[i, j] = distance
    a, b = linear_sum_assignment(cost)
    keep = cost[a, b] < forbidden
    return np.stack([rows[a[keep]], columns[b[keep]]], axis=1)


def count_matches(
    reference: Layout, predicted: Layout, classes: Sequence[str], radius: float = RADIUS
) -> NDArray[np.int64]:
    """True positives, false positives and false negatives of one image: (C + 1, 3).

    Row c: the cells of class c on both sides, matched among themselves. Last row: detection, all cells
    matched without regard to class. Add the arrays of several images and give the sum to :func:`scores`.
    """
    sides = [(reference.of_class(label), predicted.of_class(label)) for label in range(len(classes))]
    rows = []
    for one, two in [*sides, (reference.points, predicted.points)]:
        hits = len(match(one, two, radius))
        rows.append((hits, len(two) - hits, len(one) - hits))
    return np.array(rows, np.int64)


def image_counts(
    reference: LayoutSet, predicted: LayoutSet, radii: Sequence[float], protocol: str = "paper"
) -> NDArray[np.int64]:
    """True positives, false positives and false negatives of every image at every threshold, (L, R, C + 1, 3).

    Layout i on both sides is the same image. Raises CellscaperError if the sides differ in number, order
    (``source``) or classes.
    """
    if reference.classes != predicted.classes:
        raise CellscaperError(f"detection: classes {reference.classes} against {predicted.classes}; expected the same")
    if not np.array_equal(reference.source, predicted.source):
        raise CellscaperError(
            f"detection: {len(reference)} reference and {len(predicted)} predicted images are not the same ones "
            "in the same order (by source)"
        )
    classes = reference.classes
    found = [
        count_matches_released(one, two, classes, radii)
        if protocol == "released"
        else [count_matches(one, two, classes, radius) for radius in radii]
        for one, two in zip(reference, predicted, strict=True)
    ]
    return np.array(found, np.int64).reshape(len(reference), len(radii), len(classes) + 1, 3)


def ratios(counts: NDArray, protocol: str) -> dict[str, NDArray[np.float64]]:
    """Precision, recall and F1 from pooled counts (…, C + 1, 3): each (…, C + 2), classes, their mean, detection.

    Protocol ``paper``: 0/0 is NaN (precision without a prediction, recall without a reference, F1 with neither);
    the mean over the classes leaves NaN out, and is NaN if nothing is left. ``released``: see `ratios_released`.
    """
    counts = np.asarray(counts, np.float64)
    if protocol == "released":
        values = ratios_released(counts)
    else:
        hits, false, missed = np.moveaxis(counts, -1, 0)
        parts = ((hits, hits + false), (hits, hits + missed), (2 * hits, 2 * hits + false + missed))
        values = tuple(
            np.divide(over, under, out=np.full(hits.shape, np.nan), where=under > 0) for over, under in parts
        )
    return dict(zip(("precision", "recall", "f1"), map(_with_mean, values), strict=True))


def _with_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…, C + 1) → (…, C + 2): the mean of the classes that have a value goes before detection."""
    present = ~np.isnan(values[..., :-1])
    number = present.sum(axis=-1)
    total = np.where(present, values[..., :-1], 0).sum(axis=-1)
    mean = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
    return np.concatenate([values[..., :-1], mean[..., None], values[..., -1:]], axis=-1)


def scores(counts: NDArray, classes: Sequence[str], protocol: str = "paper") -> dict[str, dict[str, float]]:
    """Precision, recall and F1 from the counts (C + 1, 3) of all images together; 1 is best.

    Returns ``{"precision": {class: …, "mean": …, "detection": …}, "recall": {…}, "f1": {…}}``; see :func:`ratios`.
    """
    counts = np.asarray(counts, np.float64)
    if counts.shape != (len(classes) + 1, 3):
        raise CellscaperError(f"scores: counts of shape {counts.shape}, expected ({len(classes) + 1}, 3)")
    names = [*classes, "mean", "detection"]
    found = ratios(counts, protocol)
    return {name: dict(zip(names, map(float, row), strict=True)) for name, row in found.items()}


def detection_scores(
    reference: LayoutSet, predicted: LayoutSet, radius: float = RADIUS, protocol: str = "paper"
) -> dict[str, dict[str, float]]:
    """:func:`scores` of predicted cells over all images together; errors as in :func:`image_counts`."""
    counts = image_counts(reference, predicted, [radius], protocol)
    return scores(counts.sum(axis=0)[0], reference.classes, protocol)
