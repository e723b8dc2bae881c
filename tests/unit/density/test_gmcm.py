import warnings

import numpy as np
import pytest
from copulae.mixtures.gmc.loglik import gmcm_log_likelihood
from copulae.mixtures.gmc.parameter import GMCParam
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm

from cellscaper.density.em import Mixture, log_density
from cellscaper.density.gmcm import CopulaModel, Settings, evaluate, fit
from cellscaper.density.maps import density_map, grid_points
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import read

FEW = {
    "components": "bic",
    "max_components": 4,
    "marginal_components": 5,
    "regularise": 100.0,
    "regularise_copula": 0.03,
    "space": "pixels",
}
NORMAL = Mixture(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
COPULA = Mixture(
    np.array([0.4, 0.6]),
    np.array([[-0.9, -0.45], [0.6, 0.3]]),
    np.array([[[0.46, 0.38], [0.38, 0.865]], [[0.46, -0.43], [-0.43, 0.865]]]),
)
MARGINS = (
    Mixture(np.array([0.35, 0.65]), np.array([[120.0], [330.0]]), np.array([[[1600.0]], [[3600.0]]])),
    Mixture(np.array([0.7, 0.3]), np.array([[150.0], [380.0]]), np.array([[[2500.0]], [[900.0]]])),
)
KNOWN = CopulaModel(MARGINS, COPULA, "pixels")


def settings(**changes):
    return read(Settings, {**FEW, **changes}, "density gmcm")


def mixture_of(mixture, j, x, function):
    return sum(
        w * function(x, m[j], np.sqrt(c[j, j]))
        for w, m, c in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    )


def inverse(mixture, j, u):
    return brentq(lambda z: mixture_of(mixture, j, z, norm.cdf) - u, -50, 50, xtol=1e-14)


def normal_scores(model, where):
    u = [mixture_of(margin, 0, column, norm.cdf) for margin, column in zip(model.margins, where.T, strict=True)]
    return norm.ppf(np.stack(u, axis=1))


def copula_density(psi, u):
    """c(u) at u (M, 2) by its definition, with scipy alone."""
    found = []
    for row in u:
        z = np.array([inverse(psi, j, row[j]) for j in range(2)])
        parts = zip(psi.weights, psi.means, psi.covariances, strict=True)
        joint = sum(w * multivariate_normal(m, c).pdf(z) for w, m, c in parts)
        found.append(joint / mixture_of(psi, 0, z[0], norm.pdf) / mixture_of(psi, 1, z[1], norm.pdf))
    return np.array(found)


def draw(model, n, rng):
    """n points of a model: ψ is sampled and carried through Ψ_j and F_j⁻¹ by a table."""
    which = rng.choice(len(model.copula.weights), n, p=model.copula.weights)
    roots = np.linalg.cholesky(model.copula.covariances)
    z = model.copula.means[which] + np.einsum("nij,nj->ni", roots[which], rng.normal(size=(n, 2)))
    grid = np.linspace(-200, 700, 9001)
    columns = [
        np.interp(mixture_of(model.copula, j, z[:, j], norm.cdf), mixture_of(margin, 0, grid, norm.cdf), grid)
        for j, margin in enumerate(model.margins)
    ]
    return np.stack(columns, axis=1)


def test_one_component_is_the_gaussian_copula_times_the_margins():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(150, 2)) @ [[60, 45], [0, 30]] + [200, 250]
    params = fit(points, settings(components=1), 0)
    scores = normal_scores(params, points)
    spread = np.cov(scores.T, bias=True) + 0.03 * np.eye(2)
    rho = spread[0, 1] / np.sqrt(spread[0, 0] * spread[1, 1])
    assert rho > 0.7
    where = rng.uniform(0, 450, (60, 2))
    t = normal_scores(params, where)
    gaussian = multivariate_normal([0, 0], [[1, rho], [rho, 1]]).pdf(t) / norm.pdf(t).prod(axis=1)
    alone = evaluate(CopulaModel(params.margins, params.copula, "copula"), where)
    np.testing.assert_allclose(alone, gaussian, rtol=1e-8)
    margins = [mixture_of(m, 0, x, norm.pdf) for m, x in zip(params.margins, where.T, strict=True)]
    np.testing.assert_allclose(evaluate(params, where), gaussian * margins[0] * margins[1], rtol=1e-8)


def test_copula_density_is_its_definition_with_scipy():
    u = np.random.default_rng(1).uniform(0.001, 0.999, (60, 2))
    found = evaluate(CopulaModel((NORMAL, NORMAL), COPULA, "copula"), norm.ppf(u))
    np.testing.assert_allclose(found, copula_density(COPULA, u), rtol=1e-8)


def test_copula_density_is_that_of_copulae():
    # copulae's pdf is ψ at its argument; its likelihood holds the copula, with a table for the inverse
    u = np.random.default_rng(2).uniform(0.02, 0.98, (300, 2))
    params = GMCParam(2, 2, COPULA.weights, COPULA.means, COPULA.covariances)
    found = evaluate(CopulaModel((NORMAL, NORMAL), COPULA, "copula"), norm.ppf(u))
    assert np.log(found).mean() == pytest.approx(gmcm_log_likelihood(u, params) / len(u), abs=1e-3)
    assert abs(np.log(found)).mean() > 0.2


def test_a_mixture_with_its_own_margins_is_that_mixture():
    w, means, covariances = COPULA.weights, COPULA.means, COPULA.covariances
    margins = tuple(Mixture(w, means[:, j : j + 1], covariances[:, j : j + 1, j : j + 1]) for j in range(2))
    where = np.random.default_rng(3).uniform(-3, 3, (200, 2))
    found = evaluate(CopulaModel(margins, COPULA, "pixels"), where)
    np.testing.assert_allclose(found, np.exp(log_density(COPULA, where)), rtol=1e-8)


def test_density_integrates_to_one_and_has_the_fitted_margins():
    points = draw(KNOWN, 150, np.random.default_rng(4))
    params = fit(points, settings(components=2), 0)
    y, x = np.arange(-300, 800, 2.0), np.arange(-300, 800, 2.0)
    density = evaluate(params, np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)).reshape(len(y), -1)
    assert density.sum() * 4 == pytest.approx(1, abs=1e-4)
    for j, (axis, column) in enumerate(((1, y), (0, x))):
        expected = mixture_of(params.margins[j], 0, column, norm.pdf)
        np.testing.assert_allclose(density.sum(axis=axis) * 2, expected, atol=2e-3 * expected.max())


def test_copula_density_integrates_to_one_over_the_unit_square():
    params = fit(draw(KNOWN, 150, np.random.default_rng(5)), settings(components=2, space="copula"), 0)
    t = np.linspace(-4.7, 4.7, 471)  # u = Φ(t) refines the corners, where c has its poles
    model = CopulaModel((NORMAL, NORMAL), params.copula, "copula")
    values = evaluate(model, np.stack(np.meshgrid(t, t, indexing="ij"), axis=-1).reshape(-1, 2))
    du = norm.pdf(t) * (t[1] - t[0])
    assert du @ values.reshape(len(t), -1) @ du == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_divergence_from_the_known_model_shrinks_with_more_points():
    rng = np.random.default_rng(6)
    common = draw(KNOWN, 20_000, rng)
    truth = np.log(evaluate(KNOWN, common))
    points = draw(KNOWN, 1600, rng)
    divergence = [(truth - np.log(evaluate(fit(points[:n], settings(), 0), common))).mean() for n in (100, 400, 1600)]
    assert divergence[0] > 1.5 * divergence[1] > 0
    assert divergence[1] > 1.2 * divergence[2] > 0
    assert divergence[2] < 0.05


def test_bic_finds_the_cross_and_leaves_independence_alone():
    cross = np.array([[[1.0, 0.9], [0.9, 1.0]], [[1.0, -0.9], [-0.9, 1.0]]])
    known = CopulaModel(MARGINS, Mixture(np.full(2, 0.5), np.zeros((2, 2)), cross), "pixels")
    assert len(fit(draw(known, 400, np.random.default_rng(7)), settings(), 0).copula.weights) == 2
    apart = np.random.default_rng(8).uniform(0, 400, (200, 2))
    assert len(fit(apart, settings(), 0).copula.weights) == 1


def test_copula_of_a_fit_is_standardised():
    psi = fit(draw(KNOWN, 200, np.random.default_rng(9)), settings(components=3), 0).copula
    np.testing.assert_allclose(psi.weights @ psi.means, 0, atol=1e-12)
    second = np.diagonal(psi.covariances, axis1=1, axis2=2) + psi.means**2
    np.testing.assert_allclose(psi.weights @ second, 1, rtol=1e-12)


def test_grid_and_single_points_give_the_same_values():
    points = draw(KNOWN, 60, np.random.default_rng(10))
    where = grid_points((90, 130), 10)
    params = fit(points, settings(), 0)
    alone = np.concatenate([evaluate(params, row) for row in where])
    np.testing.assert_allclose(evaluate(params, where), alone, rtol=1e-9)
    density = density_map(fit, evaluate, points, (90, 130), 10, settings(), 0)
    np.testing.assert_allclose(density.ravel(), alone, rtol=1e-6)


@pytest.mark.parametrize(
    "points",
    [
        [(10, 10), (20, 20), (30, 30)],
        [(10, 10), (10, 10), (10, 10)],
        [(10, 10), (10, 10), (40, 12)],
        [(5, 0), (5, 100), (5, 200), (5, 300), (5, 400)],
        [(400 - 10 * i, 10 * i) for i in range(40)],
        [(7, 9)] * 30 + [(50, 60)] * 2,
        [(i % 3 * 50, i // 3 % 3 * 50) for i in range(60)],
    ],
    ids=["line", "one place", "duplicates", "row", "diagonal", "two places", "ties"],
)
@pytest.mark.parametrize("components", ["bic", 1, 8])
@pytest.mark.parametrize("space", ["pixels", "copula"])
def test_degenerate_cells_give_a_finite_density_without_warnings(points, components, space):
    points = np.array(points, np.float32)
    changes = {"components": components, "max_components": 10, "marginal_components": 10, "space": space}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        params = fit(points, settings(**changes), 0)
        density = density_map(fit, evaluate, points, (500, 500), 20, settings(**changes), 0)
        far = evaluate(params, [(-1e6, 1e6), (1e6, 1e6), (0, 1e6), (5e3, -5e3)])
    assert len(params.copula.weights) <= len(np.unique(points, axis=0))
    assert all(m.covariances.min() >= 99.9 for m in params.margins)
    assert np.isfinite(density).all()
    assert (density >= 0).all()
    assert (evaluate(params, points) > 0).all()
    assert np.isfinite(far.astype(np.float32)).all()
    assert (far >= 0).all()


def test_cells_on_a_line_have_their_density_along_it():
    params = fit([(10 * i, 20 * i) for i in range(20)], settings(), 0)
    on, off = evaluate(params, [(95, 190), (95, 60)])
    assert on > 20 * off


def test_same_seed_same_model():
    points = draw(KNOWN, 80, np.random.default_rng(11))
    one, two = (fit(points, settings(components=4), 12) for _ in range(2))
    assert np.array_equal(one.copula.means, two.copula.means)
    assert np.array_equal(one.copula.covariances, two.copula.covariances)
    assert np.array_equal(one.margins[0].means, two.margins[0].means)


@pytest.mark.parametrize(
    ("points", "changes", "message"),
    [
        (np.zeros((2, 2)), {}, "2 points"),
        ([(0, 0), (1, 1), (np.nan, 2)], {}, "finite"),
        (np.eye(3, 2), {"regularise": 0}, r"density gmcm\.regularise = 0: .*greater than 0"),
        (np.eye(3, 2), {"regularise_copula": 0}, r"density gmcm\.regularise_copula = 0: .*greater than 0"),
        (np.eye(3, 2), {"components": "aic"}, r"density gmcm\.components\S* = 'aic': "),
        (np.eye(3, 2), {"components": 0}, r"density gmcm\.components\S* = 0: "),
        (np.eye(3, 2), {"max_components": 0}, r"density gmcm\.max_components = 0: .*greater than or equal to 1"),
        (
            np.eye(3, 2),
            {"marginal_components": 0},
            r"density gmcm\.marginal_components = 0: .*greater than or equal to 1",
        ),
        (np.eye(3, 2), {"space": "square"}, r"density gmcm\.space = 'square': .*'pixels' or 'copula'"),
    ],
)
def test_refuses_too_few_points_and_bad_settings(points, changes, message):
    with pytest.raises(CellscaperError, match=message):
        fit(points, settings(**changes), 0)
