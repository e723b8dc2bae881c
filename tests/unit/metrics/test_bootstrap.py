"""Paired bootstrap: against scipy's, a closed form, and what it must say of equal and of clearly different sides."""

import numpy as np
import pytest
from scipy.stats import bootstrap, norm

from cellscaper.errors import CellscaperError
from cellscaper.metrics.bootstrap import image_weights, paired_differences
from cellscaper.metrics.detection import ratios


def counts(rng, recall, seeds=1, images=30, cells=40):
    """(S, L, 2, 3) counts of one class and detection: each cell found with this probability, few false ones."""
    number = rng.poisson(cells, images)[None, :, None].repeat(seeds, 0).repeat(2, 2)
    hits = rng.binomial(number, recall)
    return np.stack([hits, rng.poisson(cells / 5, hits.shape), number - hits], axis=-1)


def f1(pooled):
    return ratios(pooled, "paper")["f1"]


def test_the_interval_is_that_of_scipy():
    rng = np.random.default_rng(0)
    one, two = counts(rng, 0.8), counts(rng, 0.7)

    def statistic(rows, axis):
        pooled = [side[0][rows.astype(int)].sum(axis=-3) for side in (one, two)]
        return f1(pooled[0])[..., 0] - f1(pooled[1])[..., 0]

    theirs = bootstrap(
        (np.arange(30),), statistic, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1), batch=2000
    ).confidence_interval
    ours = paired_differences(one, two, f1, 20_000)[0]
    assert ours.value == pytest.approx(float(statistic(np.arange(30), -1)))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1.5e-3)


@pytest.mark.slow
def test_a_difference_of_means_has_the_closed_form():
    """A linear score: the resampled difference is a mean of L paired differences, sd σ/√L, and nearly normal."""
    rng = np.random.default_rng(1)
    one, two = rng.normal(0.12, 1, (1, 400, 1)), rng.normal(0, 1, (1, 400, 1))
    drawn = paired_differences(one, two, lambda pooled: pooled / 400, 20_000)[0]
    paired = (one - two)[0, :, 0]
    sd = paired.std() / 20
    assert drawn.value == pytest.approx(paired.mean())
    assert (drawn.low, drawn.high) == pytest.approx(
        (paired.mean() - 1.96 * sd, paired.mean() + 1.96 * sd), abs=0.1 * sd
    )
    assert drawn.p == pytest.approx(2 * norm.sf(paired.mean() / sd), rel=0.25)


def test_the_same_detector_twice_differs_by_nothing():
    one = counts(np.random.default_rng(2), 0.7)
    for drawn in paired_differences(one, one, f1, 500):
        assert (drawn.value, drawn.low, drawn.high, drawn.p) == (0, 0, 0, 1)


def test_pairing_narrows_the_interval():
    """Images of very different difficulty, the same for both sides: the difference hardly depends on the draw."""
    rng = np.random.default_rng(3)
    hard = rng.uniform(0.2, 0.95, (1, 30, 1, 1)) * 100
    one = np.concatenate([hard, 100 - hard, 100 - hard], axis=-1).repeat(2, 2)
    two = one + np.array([-3, 3, 3])
    paired = paired_differences(one, two, f1, 2000)[0]
    assert paired.low > 0 and paired.high - paired.low < 0.01
    shuffled = paired_differences(one, two[:, rng.permutation(30)], f1, 2000)[0]
    assert shuffled.high - shuffled.low > 10 * (paired.high - paired.low)


def test_a_side_is_the_mean_of_its_trainings():
    rng = np.random.default_rng(4)
    one, two = counts(rng, 0.8, seeds=3), counts(rng, 0.7, seeds=2)
    drawn = paired_differences(one, two, f1, 200)[1]
    expected = np.mean([f1(s.sum(0))[1] for s in one]) - np.mean([f1(s.sum(0))[1] for s in two])
    assert drawn.value == pytest.approx(expected)


@pytest.mark.slow
def test_p_values_of_equal_detectors_are_uniform_enough():
    """Sides that differ by chance alone: p below 0.1 in about a tenth of the cases."""
    rng = np.random.default_rng(5)
    found = [paired_differences(counts(rng, 0.7), counts(rng, 0.7), f1, 400)[0].p for _ in range(200)]
    assert 0.04 < np.mean(np.array(found) < 0.1) < 0.19


def test_scores_that_few_resamples_have_are_undefined():
    """One image of 30 holds the class: 36 % of the resamples miss it; two empty sides never have a value."""
    one = np.zeros((1, 30, 2, 3), np.int64)
    one[0, 0, 0] = 3, 1, 1
    seen, empty = paired_differences(one, one, lambda pooled: f1(pooled)[..., [0, 2]], 400)
    assert seen.value == 0 and seen.p == 1
    assert np.isnan([empty.value, empty.low, empty.high, empty.p]).all()


def test_resamples_draw_as_many_images_and_the_seed_decides():
    weights = image_weights(12, 300, 7)
    assert (weights.sum(axis=1) == 12).all()
    assert np.array_equal(weights, image_weights(12, 300, 7)) and not np.array_equal(weights, image_weights(12, 300, 8))


@pytest.mark.parametrize("images", [1, 29])
def test_sides_of_different_images_are_refused(images):
    rng = np.random.default_rng(6)
    with pytest.raises(CellscaperError, match="the same two or more images"):
        paired_differences(counts(rng, 0.7, images=30 if images > 1 else 1), counts(rng, 0.7, images=images), f1, 100)
