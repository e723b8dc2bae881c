"""Extreme rank lengths against a literal reading of Myllymäki et al. (2017), and what global envelopes promise."""

import math

import numpy as np
import pytest

from cellscaper.envelopes.ranks import critical, extreme_rank_lengths, global_test, p_value


def literal(curves, two_sided=True):
    """e_i = #{j: R_j ≺ R_i} / (s + 1), curve by curve and point by point, with mean ranks of ties."""
    rows, points = len(curves), len(curves[0])
    vectors = []
    for curve in curves:
        ranks = []
        for r in range(points):
            if math.isnan(curve[r]):
                ranks.append((rows + 1) / 2)
                continue
            below = sum(other[r] < curve[r] for other in curves)
            equal = sum(other[r] == curve[r] for other in curves)
            above = sum(other[r] > curve[r] for other in curves)
            low, high = below + (equal + 1) / 2, above + (equal + 1) / 2
            ranks.append(min(low, high) if two_sided else low)
        vectors.append(sorted(ranks))
    return [sum(other < own for other in vectors) / rows for own in vectors]


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("kind", ["smooth", "tied", "missing"])
def test_measures_are_those_of_the_definition(kind, two_sided):
    rng = np.random.default_rng(1)
    curves = rng.normal(size=(40, 7)).cumsum(axis=1)
    if kind == "tied":
        curves = curves.round()
    if kind == "missing":
        curves[rng.random(curves.shape) < 0.2] = np.nan
    assert extreme_rank_lengths(curves, two_sided).tolist() == literal(curves.tolist(), two_sided)


def brute_force(functions, level):
    """p and envelopes of several functions, with the literal measures and loops alone."""
    rows = len(functions[0])
    alone = [literal(one.tolist()) for one in functions]
    joint = literal([list(row) for row in zip(*alone, strict=True)], two_sided=False)
    p = sum(one <= joint[0] for one in joint) / rows
    limit = max(c for c in joint if sum(one < c for one in joint) <= level * rows)
    inside = [i for i in range(rows) if joint[i] >= limit]
    bands = []
    for function, own in zip(functions, alone, strict=True):
        least = min(own[i] for i in inside)
        kept = [function[i] for i in range(rows) if own[i] >= least]
        bands.append((np.min(kept, axis=0), np.max(kept, axis=0)))
    return p, bands


@pytest.mark.parametrize("seed", range(3))
def test_several_functions_are_combined_as_loops_do(seed):
    rng = np.random.default_rng(seed)
    functions = [rng.normal(size=(40, points)).cumsum(axis=1) for points in (5, 1, 12)]
    functions[0][0] += 2.0
    found = global_test(functions, ["a", "b", "a"], 0.1)
    p, bands = brute_force(functions, 0.1)
    assert found.p == pytest.approx(p)
    for envelope, (low, high), one in zip(found.envelopes, bands, functions, strict=True):
        assert np.array_equal(envelope.low, low) and np.array_equal(envelope.high, high)
        assert np.array_equal(envelope.middle, np.median(one[1:], axis=0))
    alone = extreme_rank_lengths(functions[1])
    assert found.groups["b"] == found.envelopes[1].p == pytest.approx(p_value(alone))


@pytest.mark.slow
def test_data_leave_an_envelope_exactly_if_the_test_rejects():
    """The graphical interpretation of the test, without ties, over many data."""
    rng = np.random.default_rng(2)
    rejected = 0
    for _ in range(200):
        functions = [rng.normal(size=(40, n)).cumsum(axis=1) for n in (6, 3)]
        functions[0][0] *= 1.4
        found = global_test(functions, ["a", "b"], 0.1)
        leaves = any((one.outside != 0).any() for one in found.envelopes)
        assert leaves == (found.p <= 0.1 + 1e-9)
        rejected += leaves
    assert 20 < rejected < 180


@pytest.mark.slow
def test_under_the_null_model_p_is_uniform_and_the_envelopes_hold_at_their_level():
    rng = np.random.default_rng(3)
    tests = [
        global_test([rng.normal(size=(20, 8)).cumsum(axis=1), rng.integers(0, 3, (20, 2)).astype(float)], "ab", 0.1)
        for _ in range(600)
    ]
    p = np.array([one.p for one in tests])
    for level in (0.05, 0.1, 0.5):
        assert abs((p <= level + 1e-9).mean() - level) < 3.5 * math.sqrt(level * (1 - level) / 600)


def test_pointwise_bands_reject_far_more_often_than_they_say():
    rng = np.random.default_rng(4)
    curves = rng.normal(size=(200, 40, 20))
    pointwise = [(one[0] < one[1:].min(axis=0)).any() or (one[0] > one[1:].max(axis=0)).any() for one in curves]
    assert np.mean(pointwise) > 0.3  # each point alone: 2 of 40


def test_the_critical_value_leaves_out_at_most_its_share():
    measures = np.array([0.0, 0.0, 0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert critical(measures, 0.1) == 0.0  # three equal ones cannot be parted
    assert critical(measures, 0.3) == 0.3


def test_equal_curves_have_p_1_and_too_few_rows_are_refused():
    assert global_test([np.ones((20, 3))], ["a"], 0.05).p == 1
    with pytest.raises(ValueError, match="too few"):
        global_test([np.ones((19, 3))], ["a"], 0.05)
    with pytest.raises(ValueError, match="no functions"):
        global_test([], [], 0.05)


def test_values_that_are_missing_are_neither_extreme_nor_in_the_envelope():
    values = np.arange(20.0)[:, None] + np.zeros((20, 2))
    values[5:9, 1] = np.nan
    values[:, 1:] *= 1.0
    found = global_test([values, np.full((20, 1), np.nan)], ["a", "b"], 0.05)
    assert np.isnan(found.envelopes[1].low).all() and found.envelopes[1].p == 1
    assert (found.envelopes[1].outside == 0).all()
    assert np.isfinite(found.envelopes[0].middle).all()
