"""Is one way of training better than another? A bootstrap over the test images and over the trainings (seeds).

`metrics/bootstrap.py` asks what other test images would change for these trained networks. Here trainings are resampled
as well, so that the interval is about the way of training. Images are drawn once for both sides. Of S trainings of a
side S − 1 are drawn with replacement: the variance of a mean is then unbiased (Rao and Wu 1988; drawing S of them
would make it S / (S − 1) times too small, which for three is a third). A side with one training has none to resample;
its interval is about the images alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from cellscaper.errors import CellscaperError
from cellscaper.metrics.bootstrap import LEVEL, Score, image_weights

POWER = 0.8  # with which the smallest difference is seen
_BLOCK = 2_000  # resamples at once, a bound on memory


@dataclass(frozen=True)
class Gain:
    """A score of one side minus the other side's.

    value, low, high, p   the difference, its percentile interval, two-sided p-value of no difference
    smallest              the difference that a test at this level would see with POWER, by the normal approximation
    """

    value: float
    low: float
    high: float
    p: float
    smallest: float


NOTHING = Gain(*[float("nan")] * 5)


def two_way_gains(
    one: NDArray,
    two: NDArray,
    score: Score,
    resamples: int,
    seed: int = 0,
    level: float = LEVEL,
    paired: bool = False,
) -> list[Gain]:
    """``score(one) − score(two)`` for each of the K values that ``score`` gives.

    one, two: counts (S, L, …) of S trainings on the same L images in the same order; a side's score is the mean over
    its trainings. ``score`` takes pooled counts (…) with any leading axes to (…, K). ``paired``: training s of both
    sides belongs together (the same training images, say), and both draw the same ones. p as in
    `bootstrap.paired_differences`; a difference without a value, or with fewer than half of its resamples, is NaN.

    CellscaperError if the sides have different images, fewer than two, or, paired, different numbers of trainings.
    """
    one, two = np.asarray(one, np.float64), np.asarray(two, np.float64)
    if one.shape[1:] != two.shape[1:] or one.shape[1] < 2:
        raise CellscaperError(
            f"bootstrap: counts of shape {one.shape[1:]} against {two.shape[1:]}; expected the same two or more images"
        )
    if paired and len(one) != len(two):
        raise CellscaperError(f"bootstrap: {len(one)} trainings against {len(two)}; pairs need as many on both sides")
    drawn = drawn_differences(one, two, score, resamples, seed, paired)
    every = np.ones((1, one.shape[1]))
    whole = [_scores(side, every, score).mean(axis=1)[0] for side in (one, two)]
    return [_gain(value, column, level) for value, column in zip(whole[0] - whole[1], drawn.T, strict=True)]


def drawn_differences(
    one: NDArray, two: NDArray, score: Score, resamples: int, seed: int, paired: bool
) -> NDArray[np.float64]:
    """(resamples, K): the differences of the resampled images and trainings."""
    rng = np.random.default_rng([seed, 1])  # images draw from `seed` itself
    images = image_weights(one.shape[1], resamples, seed)
    trainings = [_training_weights(len(one), resamples, rng)]
    trainings.append(trainings[0] if paired else _training_weights(len(two), resamples, rng))
    parts = []
    for first in range(0, resamples, _BLOCK):
        rows = slice(first, first + _BLOCK)
        means = [
            np.einsum("bs,bsk->bk", weights[rows], _scores(side, images[rows], score))
            for side, weights in zip((one, two), trainings, strict=True)
        ]
        parts.append(means[0] - means[1])
    return np.concatenate(parts)


def _training_weights(trainings: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(resamples, trainings) weights of the trainings, rows sum to 1."""
    if trainings == 1:
        return np.ones((resamples, 1))
    draws = rng.multinomial(trainings - 1, np.full(trainings, 1 / trainings), size=resamples)
    return draws / (trainings - 1)


def _scores(counts: NDArray[np.float64], weights: NDArray[np.float64], score: Score) -> NDArray[np.float64]:
    """(resamples, trainings, K): the score of the weighted sum of images, of each training."""
    return score(np.einsum("bl,sl...->bs...", weights, counts))


def _gain(value: float, drawn: NDArray[np.float64], level: float) -> Gain:
    kept = drawn[~np.isnan(drawn)]
    if np.isnan(value) or 2 * len(kept) < len(drawn):
        return NOTHING
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    below, above = (int(side.sum()) + 1 for side in (kept <= 0, kept >= 0))
    p = min(1.0, 2 * min(below, above) / (len(kept) + 1))
    smallest = (norm.ppf((1 + level) / 2) + norm.ppf(POWER)) * kept.std(ddof=1)
    return Gain(float(value), float(low), float(high), p, float(smallest))
