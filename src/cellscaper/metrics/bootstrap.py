"""Is one detector better than another? Paired bootstrap over the test images (Efron and Tibshirani 1993, chapter 13).

Each resample takes images with replacement, the same for both detectors, and computes the pooled scores again. The
result shows how much the scores of these trained networks depend on the test *images*. How much they depend on the
training shows in the seeds.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError

LEVEL = 0.95
_BLOCK = 2_000  # resamples at once, a bound on memory

Score = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Difference:
    """A score of one side minus the other side's: value, its interval, two-sided p-value of no difference."""

    value: float
    low: float
    high: float
    p: float


def image_weights(images: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each resample contains each image: (resamples, images), rows sum to ``images``."""
    draws = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=resamples)
    return draws.astype(np.float64)


def paired_differences(
    one: NDArray, two: NDArray, score: Score, resamples: int, seed: int = 0, level: float = LEVEL
) -> list[Difference]:
    """``score(one) − score(two)`` for each of the K values that ``score`` gives, with percentile intervals.

    one, two: counts (S, L, …) of S trainings (their number may differ) on the same L images in the same order; a
    side's score is the mean over its trainings. ``score`` takes pooled counts (…) with any leading axes to (…, K).
    p = 2 · min(#{d* ≤ 0} + 1, #{d* ≥ 0} + 1) / (resamples + 1), at most 1: the inverse of the percentile interval
    (Davison and Hinkley 1997, section 4.2, for the + 1). A resample has no value if none of its images holds the class;
    it is left out. A difference without a value, or with fewer than half of its resamples, is NaN.

    CellscaperError if the sides have different images or fewer than two.
    """
    one, two = np.asarray(one, np.float64), np.asarray(two, np.float64)
    if one.shape[1:] != two.shape[1:] or one.shape[1] < 2:
        raise CellscaperError(
            f"bootstrap: counts of shape {one.shape[1:]} against {two.shape[1:]}; expected the same two or more images"
        )
    weights = image_weights(one.shape[1], resamples, seed)
    parts = [
        _score(one, part, score) - _score(two, part, score)
        for part in np.split(weights, range(_BLOCK, resamples, _BLOCK))
    ]
    drawn = np.concatenate(parts)  # (resamples, K)
    whole = np.ones((1, one.shape[1]))
    found = (_score(one, whole, score) - _score(two, whole, score))[0]
    return [_difference(value, column, level) for value, column in zip(found, drawn.T, strict=True)]


def _score(counts: NDArray[np.float64], weights: NDArray[np.float64], score: Score) -> NDArray[np.float64]:
    """(resamples, K): the mean over trainings of the score of the weighted sums of images."""
    pooled = np.einsum("bl,sl...->bs...", weights, counts)
    return score(pooled).mean(axis=1)


def _difference(value: float, drawn: NDArray[np.float64], level: float) -> Difference:
    kept = drawn[~np.isnan(drawn)]
    if np.isnan(value) or 2 * len(kept) < len(drawn):
        return Difference(float("nan"), float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    below, above = (int(side.sum()) + 1 for side in (kept <= 0, kept >= 0))
    return Difference(float(value), float(low), float(high), min(1.0, 2 * min(below, above) / (len(kept) + 1)))
