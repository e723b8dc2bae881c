import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from cellscaper.density import em
from cellscaper.density.em import Mixture, bic, density, fit_mixture, fit_mixtures, log_density
from cellscaper.errors import CellscaperError

MIXED = Mixture(
    np.array([0.3, 0.7]),
    np.array([[10.0, 40.0], [60.0, 20.0]]),
    np.array([[[50.0, 20.0], [20.0, 30.0]], [[9.0, -4.0], [-4.0, 90.0]]]),
)


def library(points, components, regularise, seed, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(components, reg_covar=regularise, random_state=seed, **settings).fit(points)


def agree(mixture, model, unit):
    np.testing.assert_allclose(mixture.weights, model.weights_, atol=1e-8)
    np.testing.assert_allclose(mixture.means, model.means_, atol=1e-8 * unit)
    np.testing.assert_allclose(mixture.covariances, model.covariances_, atol=1e-8 * unit**2)


def cells(seed, n, d=2):
    rng = np.random.default_rng(seed)
    clusters = rng.uniform(0, 480, (3, d))[rng.integers(3, size=n)] + rng.normal(0, 40, (n, d))
    return np.round(np.where(rng.random((n, 1)) < 0.5, clusters, rng.uniform(0, 480, (n, d))), 1)


@pytest.mark.parametrize(("n", "d"), [(12, 2), (60, 2), (250, 2), (25, 1), (150, 1)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fits_and_bics_are_the_librarys_for_every_number_of_components(n, d, seed):
    points = cells(seed, n, d)
    for mixture, k in zip(fit_mixtures(points, range(1, 11), 100.0, seed), range(1, 11), strict=True):
        model = library(points, k, 100.0, seed)
        agree(mixture, model, 100)
        assert bic(mixture, points) == pytest.approx(model.bic(points), abs=1e-6)


def test_fit_is_the_librarys_on_normal_scores_with_little_regularisation():
    points = np.random.default_rng(3).normal(size=(90, 2))
    agree(fit_mixture(points, 4, 1e-6, 5), library(points, 4, 1e-6, 5), 1)


def test_fit_is_the_librarys_where_points_lie_on_a_lattice_and_repeat():
    lattice = np.stack(np.meshgrid(np.arange(0, 50, 10.0), np.arange(0, 40, 10.0)), axis=-1).reshape(-1, 2)
    points = np.concatenate([lattice, lattice[:7], lattice[:7]])
    for mixture, k in zip(fit_mixtures(points, [2, 5, 9], 25.0, 0), [2, 5, 9], strict=True):
        agree(mixture, library(points, k, 25.0, 0), 10)


def test_more_components_than_different_points_leave_empty_ones_as_in_the_library():
    points = np.repeat([[10.0, 20.0], [70.0, 50.0]], [4, 6], axis=0)
    model = library(points, 4, 9.0, 0)
    mixture = fit_mixture(points, 4, 9.0, 0)
    agree(mixture, model, 10)
    where = np.random.default_rng(0).uniform(0, 100, (20, 2))
    np.testing.assert_allclose(log_density(mixture, where), model.score_samples(where), rtol=1e-9)


def test_mixtures_do_not_depend_on_those_fitted_beside_them():
    points = cells(4, 80)
    for mixture, k in zip(fit_mixtures(points, [7, 2, 4], 50.0, 1), [7, 2, 4], strict=True):
        alone = fit_mixture(points, k, 50.0, 1)
        np.testing.assert_allclose(mixture.means, alone.means, rtol=1e-12)
        np.testing.assert_allclose(mixture.covariances, alone.covariances, rtol=1e-9)


def test_em_stops_at_its_last_step_and_does_not_warn(monkeypatch):
    monkeypatch.setattr(em, "MOST_STEPS", 2)
    points = cells(5, 120)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixture = fit_mixture(points, 8, 100.0, 0)
    agree(mixture, library(points, 8, 100.0, 0, max_iter=2), 100)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=12),
    st.integers(1, 3),
    st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_any_points_give_finite_mixtures_without_warnings(points, components, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixture = fit_mixture(np.array(points, float), components, 1.0, seed)
    assert mixture.weights.sum() == pytest.approx(1)
    assert np.linalg.eigvalsh(mixture.covariances).min() > 0.999
    assert np.isfinite(log_density(mixture, [(0, 0), (400, -400)])).all()


def test_density_is_the_weighted_sum_of_normals():
    where = np.random.default_rng(1).uniform(0, 80, (40, 2))
    parts = zip(MIXED.weights, MIXED.means, MIXED.covariances, strict=True)
    expected = sum(w * multivariate_normal(m, c).pdf(where) for w, m, c in parts)
    np.testing.assert_allclose(density(MIXED, where), expected, rtol=1e-9)
    np.testing.assert_allclose(log_density(MIXED, where), np.log(expected), rtol=1e-9)


def test_density_on_a_line_is_the_weighted_sum_of_normals():
    mixture = Mixture(np.array([0.25, 0.75]), np.array([[-1.0], [2.0]]), np.array([[[0.5]], [[0.01]]]))
    where = np.linspace(-4, 4, 50)
    expected = 0.25 * multivariate_normal(-1, 0.5).pdf(where) + 0.75 * multivariate_normal(2, 0.01).pdf(where)
    np.testing.assert_allclose(density(mixture, where), expected, rtol=1e-9)


def test_log_density_far_away_is_finite_and_falls_with_the_squared_distance():
    one = Mixture(np.ones(1), np.zeros((1, 2)), np.eye(2)[None])
    assert log_density(one, [(1e4, 0)])[0] == pytest.approx(-0.5e8 - np.log(2 * np.pi))


def test_many_places_are_evaluated_like_few():
    where = np.random.default_rng(2).uniform(0, 80, (2 * em.CHUNK + 5, 2))
    np.testing.assert_allclose(density(MIXED, where)[-9:], density(MIXED, where[-9:]), rtol=1e-12)
    assert density(MIXED, np.zeros((0, 2))).shape == log_density(MIXED, np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize(
    ("points", "components", "regularise", "message"),
    [
        (np.zeros((5, 3)), [1], 1, r"shape \(5, 3\)"),
        ([(0.0, np.inf)], [1], 1, "finite"),
        (np.eye(2), [1, 3], 1, r"\[1, 3\] components"),
        (np.eye(2), [0], 1, "expected 1 to the 2 points"),
        (np.eye(2), [], 1, r"\[\] components"),
        ([(0, 0), (0, 8), (0, 3)], [1], 0, "singular"),
    ],
)
def test_refuses_bad_points_numbers_and_singular_covariances(points, components, regularise, message):
    with pytest.raises(CellscaperError, match=message):
        fit_mixtures(points, components, regularise, 0)
