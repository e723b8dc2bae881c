"""The bootstrap over images and trainings against algebra, plain loops and simulation."""

import numpy as np
import pytest
from scipy.stats import norm

from cellscaper.errors import CellscaperError
from cellscaper.metrics.bootstrap import paired_differences
from cellscaper.metrics.detection import ratios
from cellscaper.metrics.two_way_bootstrap import drawn_differences, two_way_gains

IMAGES = 12


def mean_of_images(pooled):
    """Scores that are linear in the images: (…, K) sums over the images, divided by their number."""
    return pooled / IMAGES


def f1(pooled):
    return ratios(pooled, "paper")["f1"]


def values(rng, trainings, shift=0.0):
    """(S, L, 1) with effects of training, image and both."""
    by_training, by_image = rng.normal(0, 1, (trainings, 1)), rng.normal(0, 2, (1, IMAGES))
    return (shift + by_training + by_image + rng.normal(0, 0.5, (trainings, IMAGES)))[..., None]


def covariance(n, draws):
    """Of the shares of n things in ``draws`` draws with replacement."""
    return (np.eye(n) / n - 1 / n**2) / draws


def variance(one, two, paired=False):
    """Of the bootstrapped difference of means, by algebra: u = X₁ᵀv₁ − X₂ᵀv₂ over trainings, uᵀw over images."""
    x, y = one[..., 0], two[..., 0]
    of = [covariance(len(side), len(side) - 1) if len(side) > 1 else np.zeros((1, 1)) for side in (x, y)]
    spread = (x - y).T @ of[0] @ (x - y) if paired else x.T @ of[0] @ x + y.T @ of[1] @ y
    mean, over = x.mean(0) - y.mean(0), covariance(IMAGES, IMAGES)
    shares = np.full(IMAGES, 1 / IMAGES)
    return np.trace(spread @ over) + mean @ over @ mean + shares @ spread @ shares


@pytest.mark.parametrize(("first", "second", "paired"), [(3, 3, False), (3, 1, False), (5, 2, False), (3, 3, True)])
def test_the_spread_is_the_one_of_algebra(first, second, paired):
    rng = np.random.default_rng(0)
    one, two = values(rng, first, 1.0), values(rng, second)
    drawn = drawn_differences(one, two, mean_of_images, 40_000, 0, paired)[:, 0]
    assert drawn.mean() == pytest.approx(one.mean() - two.mean(), abs=4 * drawn.std() / 200)
    assert drawn.var() == pytest.approx(variance(one, two, paired), rel=0.03)
    (gain,) = two_way_gains(one, two, mean_of_images, 40_000, paired=paired)
    assert gain.value == pytest.approx(one.mean() - two.mean())
    assert gain.smallest == pytest.approx(
        (norm.ppf(0.975) + norm.ppf(0.8)) * variance(one, two, paired) ** 0.5, rel=0.02
    )


def counts(rng, trainings, quality):
    """(S, L, C + 1, 3) hits, false and missed of two classes and of all cells."""
    cells = rng.integers(5, 40, (IMAGES, 2))
    share = np.clip(quality + rng.normal(0, 0.03, (trainings, 1, 1)) + rng.normal(0, 0.1, (1, IMAGES, 2)), 0.05, 0.95)
    hits = rng.binomial(cells[None], share)
    false = rng.poisson(0.2 * cells[None], hits.shape)
    two = np.stack([hits, false, cells[None] - hits], axis=-1)
    return np.concatenate([two, two.sum(axis=2, keepdims=True)], axis=2)


def by_loops(one, two, resamples, seed):
    """The same bootstrap with indices, image for image and training for training."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(resamples):
        rows = rng.integers(0, IMAGES, IMAGES)
        sides = []
        for side in (one, two):
            chosen = rng.integers(0, len(side), len(side) - 1) if len(side) > 1 else [0]
            per_training = []
            for s in chosen:
                hits, false, missed = sum(side[s][row] for row in rows).T.astype(float)
                each = 2 * hits / (2 * hits + false + missed)
                per_training.append([*each[:-1], each[:-1].mean(), each[-1]])
            sides.append(np.mean(per_training, axis=0))
        found.append(sides[0] - sides[1])
    return np.array(found)


@pytest.mark.slow
def test_intervals_are_those_of_plain_loops():
    rng = np.random.default_rng(1)
    one, two = counts(rng, 3, 0.75), counts(rng, 3, 0.7)
    gains = two_way_gains(one, two, f1, 20_000)
    plain = by_loops(one, two, 4_000, 5)
    for gain, column in zip(gains, plain.T, strict=True):
        low, high = np.quantile(column, [0.025, 0.975])
        assert abs(gain.low - low) < 0.1 * (high - low) and abs(gain.high - high) < 0.1 * (high - low)
        assert gain.smallest == pytest.approx(2.8016 * column.std(), rel=0.06)
        assert gain.p == pytest.approx(2 * min((column <= 0).mean(), (column >= 0).mean()), abs=0.04)
    assert gains[2].value == pytest.approx(
        np.mean([f1(x.sum(0))[2] for x in one]) - np.mean([f1(x.sum(0))[2] for x in two])
    )


def test_with_one_training_a_side_it_is_the_bootstrap_over_images():
    rng = np.random.default_rng(2)
    one, two = counts(rng, 1, 0.75), counts(rng, 1, 0.7)
    for gain, known in zip(two_way_gains(one, two, f1, 2_000), paired_differences(one, two, f1, 2_000), strict=True):
        assert (gain.value, gain.low, gain.high, gain.p) == pytest.approx((known.value, known.low, known.high, known.p))


def test_equal_sides_differ_by_nothing_and_pairs_of_equal_trainings_too():
    rng = np.random.default_rng(3)
    one = counts(rng, 3, 0.7)
    for gain in two_way_gains(one, one, f1, 500, paired=True):
        assert (gain.value, gain.low, gain.high, gain.p, gain.smallest) == (0, 0, 0, 1, 0)
    for gain in two_way_gains(one, one, f1, 2_000):
        assert gain.value == 0 and gain.low < 0 < gain.high and gain.p > 0.5


def test_three_trainings_show_the_variance_of_their_mean_without_bias():
    """Data with effects of trainings alone: the mean of the bootstrap's variances is that of the difference."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(600):
        sides = [np.broadcast_to(rng.normal(0, 1, (3, 1, 1)), (3, IMAGES, 1)) for _ in range(2)]
        found.append(variance(*sides))
    assert np.mean(found) == pytest.approx(2 / 3, rel=0.1)  # of two means of three, each of variance 1/3


def test_a_class_that_no_image_holds_has_no_difference():
    rng = np.random.default_rng(5)
    one, two = counts(rng, 2, 0.7), counts(rng, 2, 0.7)
    one[:, :, 0], two[:, :, 0] = 0, 0
    gains = two_way_gains(one, two, f1, 200)
    assert np.isnan(gains[0].value) and np.isnan(gains[0].smallest) and not np.isnan(gains[1].value)


def test_sides_that_do_not_belong_together():
    rng = np.random.default_rng(6)
    one = counts(rng, 3, 0.7)
    with pytest.raises(CellscaperError, match="expected the same two or more images"):
        two_way_gains(one, one[:, :5], f1, 10)
    with pytest.raises(CellscaperError, match="3 trainings against 2; pairs need as many on both sides"):
        two_way_gains(one, one[:2], f1, 10, paired=True)
