import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import log_ndtr, logsumexp
from scipy.stats import norm

from cellscaper.density.em import Mixture
from cellscaper.density.marginals import Margins, log_density, margins, normal_scores, quantiles

MIXTURES = {
    "one": ([1.0], [3.0], [2.0]),
    "overlapping": ([0.3, 0.5, 0.2], [-1.0, 0.2, 2.0], [0.5, 0.7, 1.5]),
    "far apart": ([0.4, 0.6], [-40.0, 60.0], [0.1, 0.2]),
    "spike in a wide one": ([0.001, 0.999], [0.5, 0.0], [1e-3, 1.0]),
    "pixels": ([0.2, 0.3, 0.5], [40.0, 300.0, 480.0], [10.0, 60.0, 15.0]),
    "a weight of almost nothing": ([1e-14, 1.0], [25.0, 0.0], [0.5, 1.0]),
}


@pytest.fixture(params=MIXTURES.values(), ids=MIXTURES.keys())
def mixture(request):
    return tuple(np.array(part) for part in request.param)


def one(mixture):
    w, m, s = mixture
    return Margins(w, m[None], s[None])


def cdf(mixture, x):
    w, m, s = mixture
    return (w * norm.cdf((np.asarray(x)[..., None] - m) / s)).sum(axis=-1)


def test_distribution_function_of_the_quantile_is_the_probability(mixture):
    u = np.concatenate([np.logspace(-12, -2, 60), np.linspace(0.014, 0.99, 197)])
    z = quantiles(one(mixture), norm.ppf(u)[None])[0]
    np.testing.assert_allclose(cdf(mixture, z), u, rtol=1e-9, atol=1e-13)
    assert (np.diff(z) > 0).all()


def test_quantiles_equal_a_root_search_with_scipy(mixture):
    _, m, s = mixture
    low, high = (m - 40 * s).min(), (m + 40 * s).max()
    for u in (0.003, 0.17, 0.38, 0.55, 0.9, 0.9993):
        expected = brentq(lambda x, u=u: cdf(mixture, x) - u, low, high, xtol=1e-13, rtol=1e-15)
        assert quantiles(one(mixture), np.array([[norm.ppf(u)]]))[0, 0] == pytest.approx(expected, abs=1e-6)


def test_tails_beyond_the_precision_of_a_probability_are_inverted(mixture):
    scores = np.array([[-36.0, -20.0, -9.0, 9.0, 20.0, 36.0]])
    z = quantiles(one(mixture), scores)
    w, m, s = mixture
    white = (z[0][:, None] - m) / s
    tail = logsumexp(log_ndtr(np.where(scores[0] < 0, 1, -1)[:, None] * white) + np.log(w), axis=1)
    np.testing.assert_allclose(tail, log_ndtr(-np.abs(scores[0])), rtol=1e-9)
    np.testing.assert_allclose(normal_scores(one(mixture), z), scores, rtol=1e-10)


def test_scores_are_odd_under_reflection_and_end_in_the_tails():
    w, m, s = (np.array(part) for part in MIXTURES["overlapping"])
    x = np.linspace(-20, 20, 101)[None]
    mirrored = normal_scores(Margins(w, -m[None], s[None]), -x)
    np.testing.assert_allclose(mirrored, -normal_scores(Margins(w, m[None], s[None]), x), atol=1e-12)
    far = normal_scores(Margins(w, m[None], s[None]), np.array([[-1e9, 1e9]]))[0]
    assert far[0] == -far[1]
    assert 36 < far[1] < 38


@pytest.mark.parametrize("start", [-1e6, 0.0, 0.7, 1e6])
def test_any_start_leads_to_the_same_quantiles(mixture, start):
    scores = np.linspace(-4, 4, 41)[None]
    expected = normal_scores(one(mixture), quantiles(one(mixture), scores))
    found = quantiles(one(mixture), scores, np.full_like(scores, start))
    np.testing.assert_allclose(normal_scores(one(mixture), found), expected, atol=1e-10)


def test_one_normal_is_inverted_by_its_mean_and_deviation():
    scores = np.linspace(-30, 30, 61)[None]
    found = quantiles(Margins(np.ones(1), np.array([[3.0]]), np.array([[2.0]])), scores)
    np.testing.assert_allclose(found, 3 + 2 * scores, rtol=1e-14)


def test_log_density_is_that_of_the_normals_and_finite_far_away(mixture):
    w, m, s = mixture
    x = np.linspace(m.min() - 5, m.max() + 5, 200)
    expected = logsumexp(norm.logpdf(x[:, None], m, s) + np.log(w), axis=1)
    np.testing.assert_allclose(log_density(one(mixture), x[None])[0], expected, rtol=1e-10, atol=1e-10)
    assert np.isfinite(log_density(one(mixture), np.array([[-1e9, 1e9]]))).all()


def test_margins_of_a_mixture_in_the_plane_are_its_coordinates():
    covariances = np.array([[[4.0, 1.0], [1.0, 9.0]], [[1.0, 0.0], [0.0, 0.25]]])
    plane = Mixture(np.array([0.3, 0.7]), np.array([[1.0, 2.0], [3.0, 4.0]]), covariances)
    both = margins(plane)
    x = np.array([[0.5, 1.0], [2.0, 5.0]])
    expected = [
        0.3 * norm.pdf(x[0], 1, 2) + 0.7 * norm.pdf(x[0], 3, 1),
        0.3 * norm.pdf(x[1], 2, 3) + 0.7 * norm.pdf(x[1], 4, 0.5),
    ]
    np.testing.assert_allclose(np.exp(log_density(both, x)), expected, rtol=1e-12)
    np.testing.assert_allclose(log_density(both.only(1), x[1:]), log_density(both, x)[1:])
