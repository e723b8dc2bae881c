import warnings

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from cellscaper.density import gmm
from cellscaper.density.gmm import Settings, evaluate, fit
from cellscaper.density.maps import density_map
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import read


def settings(**changes):
    return read(Settings, {"components": "bic", "max_components": 10, "regularise": 64.0, **changes}, "density gmm")


BIC = settings()


def clusters(rng, *centres, n=60, sd=12.0):
    return np.concatenate([rng.normal(centre, sd, (n, 2)) for centre in centres])


def test_one_component_is_mean_covariance_and_normal_density():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 2)) @ [[30, 8], [0, 12]] + [100, 220]
    params = fit(points, settings(components=1, regularise=2.5), 0)
    covariance = np.cov(points.T, bias=True) + 2.5 * np.eye(2)
    np.testing.assert_allclose(params.weights, [1])
    np.testing.assert_allclose(params.means[0], points.mean(axis=0))
    np.testing.assert_allclose(params.covariances[0], covariance)
    where = rng.uniform(0, 300, (50, 2))
    expected = multivariate_normal(points.mean(axis=0), covariance).pdf(where)
    np.testing.assert_allclose(evaluate(params, where), expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_bic_chooses_the_librarys_mixture(seed):
    rng = np.random.default_rng(seed)
    points = clusters(rng, *rng.uniform(0, 400, (3, 2)), n=25, sd=20.0)
    models = [GaussianMixture(k, reg_covar=64.0, random_state=seed).fit(points) for k in range(1, 11)]
    best = min(models, key=lambda model: model.bic(points))
    where = rng.uniform(0, 400, (200, 2))
    np.testing.assert_allclose(evaluate(fit(points, BIC, seed), where), np.exp(best.score_samples(where)), rtol=1e-6)


def test_on_a_tie_of_bic_the_smaller_number_wins(monkeypatch):
    monkeypatch.setattr(gmm, "bic", lambda mixture, points: 0.0)
    assert len(fit(clusters(np.random.default_rng(9), (50, 50)), BIC, 0).weights) == 1


def test_density_integrates_to_one_over_a_large_window_at_any_stride():
    points = clusters(np.random.default_rng(2), (150, 200), (250, 320))
    for stride in (2, 4):
        density = density_map(fit, evaluate, points, (400, 520), stride, BIC, 0)
        assert density.sum(dtype=np.float64) * stride**2 == pytest.approx(1, abs=1e-4)


def test_bic_finds_two_separate_clusters():
    points = clusters(np.random.default_rng(3), (60, 80), (200, 300))
    params = fit(points, BIC, 0)
    assert len(params.weights) == 2
    order = np.argsort(params.means[:, 0])
    np.testing.assert_allclose(params.means[order], [(60, 80), (200, 300)], atol=6)
    np.testing.assert_allclose(params.weights, 0.5, atol=0.01)


def test_bic_keeps_one_component_for_one_cluster_of_few_cells():
    points = clusters(np.random.default_rng(4), (100, 100), n=12, sd=40.0)
    assert len(fit(points, BIC, 0).weights) == 1


def test_map_peaks_where_the_cluster_is_with_height_unlike_width():
    points = clusters(np.random.default_rng(5), (40, 200), n=100, sd=5.0)
    density = density_map(fit, evaluate, points, (120, 300), 2, BIC, 0)
    assert density.shape == (60, 150)
    y, x = np.unravel_index(density.argmax(), density.shape)
    assert abs(2 * y - 40) <= 4
    assert abs(2 * x - 200) <= 4


@pytest.mark.parametrize(
    "points",
    [
        [(10, 10), (20, 20), (30, 30)],
        [(10, 10), (10, 10), (10, 10)],
        [(10, 10), (10, 10), (40, 12)],
        [(5, 0), (5, 100), (5, 200), (5, 300), (5, 400)],
        [(7, 9)] * 30 + [(50, 60)] * 2,
    ],
    ids=["line", "one place", "duplicates", "row", "two places"],
)
@pytest.mark.parametrize("components", ["bic", 1, 8])
def test_degenerate_cells_give_a_finite_density_without_warnings(points, components):
    points = np.array(points, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        params = fit(points, settings(components=components), 0)
    assert len(params.weights) <= len(np.unique(points, axis=0))
    assert params.weights.sum() == pytest.approx(1)
    assert min(np.linalg.eigvalsh(c)[0] for c in params.covariances) >= 63.9
    density = evaluate(params, points)
    assert np.isfinite(density).all()
    assert (density > 0).all()


def test_line_of_three_with_one_component_is_its_regularised_normal():
    params = fit([(0, 0), (3, 0), (6, 0)], settings(components=1), 0)
    np.testing.assert_allclose(params.covariances[0], [[6 + 64, 0], [0, 64]], atol=1e-9)


def test_same_seed_same_mixture():
    points = np.random.default_rng(6).uniform(0, 400, (80, 2))
    one, two = (fit(points, settings(components=6), 11) for _ in range(2))
    assert np.array_equal(one.means, two.means)
    assert np.array_equal(one.covariances, two.covariances)


@pytest.mark.parametrize(
    ("points", "changes", "message"),
    [
        (np.zeros((2, 2)), {}, "2 points"),
        ([(0, 0), (1, 1), (np.nan, 2)], {}, "finite"),
        (np.eye(3, 2), {"regularise": 0}, r"density gmm\.regularise = 0: .*greater than 0"),
        (np.eye(3, 2), {"components": "aic"}, r"density gmm\.components\S* = 'aic': "),
        (np.eye(3, 2), {"components": 0}, r"density gmm\.components\S* = 0: "),
        (np.eye(3, 2), {"max_components": 0}, r"density gmm\.max_components = 0: .*greater than or equal to 1"),
    ],
)
def test_refuses_too_few_points_and_bad_settings(points, changes, message):
    with pytest.raises(CellscaperError, match=message):
        fit(points, settings(**changes), 0)
