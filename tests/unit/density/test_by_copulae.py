"""GMCM fitted by the package copulae: against closed forms, against our fit, and where the package fails."""

import sys
import warnings

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import multivariate_normal, norm, rankdata

from cellscaper.density import by_copulae
from cellscaper.density.em import Mixture
from cellscaper.density.gmcm import CopulaModel, Settings, evaluate, fit
from cellscaper.density.maps import density_map
from cellscaper.errors import CellscaperError

SIDES = "own", "copulae"
NORMAL = Mixture(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
ARMS = Mixture(  # two strips that cross: a copula far from a Gaussian one
    np.array([0.45, 0.55]),
    np.array([[200.0, 250.0], [260.0, 230.0]]),
    np.array([[[3600.0, 3000.0], [3000.0, 3600.0]], [[3600.0, -3000.0], [-3000.0, 3600.0]]]),
)


def settings(backend="copulae", **changes):
    return Settings(**{"max_components": 3, "marginal_components": 4, "backend": backend, **changes})


def draw(n, seed):
    rng = np.random.default_rng(seed)
    which = rng.choice(2, n, p=ARMS.weights)
    roots = np.linalg.cholesky(ARMS.covariances)
    return ARMS.means[which] + np.einsum("nij,nj->ni", roots[which], rng.normal(size=(n, 2)))


def truth(where):
    parts = zip(ARMS.weights, ARMS.means, ARMS.covariances, strict=True)
    return sum(w * multivariate_normal(m, c).pdf(where) for w, m, c in parts)


@pytest.mark.parametrize("seed", range(3))
def test_one_component_is_the_gaussian_copula_of_the_ranks(seed):
    points = np.random.default_rng(seed).normal(size=(150, 2)) @ [[60, 45], [0, 30]] + [200, 250]
    y, x = norm.ppf(np.stack([rankdata(column) / 151 for column in points.T]))

    def cost(rho):
        """Minus the log likelihood of a Gaussian copula."""
        left = 1 - rho**2
        return (0.5 * np.log(left) + (rho**2 * (y**2 + x**2) - 2 * rho * y * x) / (2 * left)).sum()

    best = minimize_scalar(cost, bounds=(-0.99, 0.99), method="bounded").x
    found = {kind: fit(points, settings(kind, components=1), 0).copula.covariances[0, 0, 1] for kind in SIDES}
    assert found["copulae"] == pytest.approx(best, abs=0.02)
    assert found["copulae"] == pytest.approx(found["own"], abs=0.05)  # ours has 0.03 on its variances


def test_the_parameters_carried_over_have_the_packages_likelihood():
    from copulae import GaussianMixtureCopula
    from copulae.mixtures.gmc.loglik import gmcm_log_likelihood

    points = draw(200, 1)
    np.random.seed(3)
    package = GaussianMixtureCopula(2, 2).fit(points, verbose=0)
    copula = fit(points, settings(components=2), 3).copula
    u = np.stack([rankdata(column) / 201 for column in points.T], axis=1)
    found = np.log(evaluate(CopulaModel((NORMAL, NORMAL), copula, "copula"), norm.ppf(u))).sum()
    assert found == pytest.approx(gmcm_log_likelihood(u, package.params), abs=0.2)
    assert found > 20  # independence has 0


@pytest.mark.slow
def test_with_many_cells_both_backends_near_the_truth_and_each_other():
    points, common = draw(1200, 2), draw(4000, 3)
    logs = {kind: np.log(evaluate(fit(points, settings(kind), 0), common)) for kind in SIDES}
    gaps = {kind: np.log(truth(common)).mean() - value.mean() for kind, value in logs.items()}
    assert 0 < gaps["copulae"] < 0.06
    assert 0 < gaps["own"] < 0.06
    assert logs["copulae"].mean() == pytest.approx(logs["own"].mean(), abs=0.03)
    alone = np.log(evaluate(fit(points, settings(components=1), 0), common)).mean()
    assert np.log(truth(common)).mean() - alone > 0.15


@pytest.mark.slow
def test_bic_finds_the_components_of_the_copula():
    assert len(fit(draw(600, 4), settings(), 0).copula.weights) == 2
    apart = np.random.default_rng(8).uniform(0, 400, (200, 2))
    assert len(fit(apart, settings(), 0).copula.weights) == 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_fit_whatever_numpys_global_generator_holds():
    points = draw(80, 5)
    fits = []
    for other in (1, 2):
        np.random.seed(other)
        before = np.random.get_state()[1].copy()
        fits.append(fit(points, settings(components=4), 12).copula)
        assert np.array_equal(np.random.get_state()[1], before)
    assert np.array_equal(fits[0].means, fits[1].means)
    assert np.array_equal(fits[0].covariances, fits[1].covariances)


def test_a_fit_that_succeeds_prints_nothing(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(draw(150, 6), settings(components=2), 0)
    assert capfd.readouterr() == ("", "")


def test_numbers_of_components_that_the_package_cannot_fit_are_left_out_and_told(capfd):
    points = np.random.default_rng(1).uniform(0, 300, (6, 2))
    fits = by_copulae.fit_copulas(points, [1, 2, 5], 0)
    assert [len(one.weights) for one in fits] == [1, 2]
    line = "density gmcm: copulae cannot fit 5 components to 6 cells; left: 1, 2 components\n"
    assert capfd.readouterr().err == line
    (less,) = by_copulae.fit_copulas(points, [5], 0)
    assert len(less.weights) in (2, 3, 4)
    assert capfd.readouterr().err == line.replace("1, 2", str(len(less.weights)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "points",
    [
        [(10, 10), (20, 20), (30, 30)],
        [(10, 10), (10, 10), (10, 10)],
        [(5, 0), (5, 100), (5, 200), (5, 300), (5, 400)],
        [(400 - 10 * i, 10 * i) for i in range(40)],
        [(7, 9)] * 30 + [(50, 60)] * 2,
        [(i % 3 * 50, i // 3 % 3 * 50) for i in range(60)],
    ],
    ids=["line", "one place", "row", "diagonal", "two places", "ties"],
)
def test_degenerate_cells_give_a_finite_density_without_warnings(points):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        density = density_map(fit, evaluate, np.array(points, np.float32), (500, 500), 20, settings(), 0)
    assert np.isfinite(density).all()
    assert (density >= 0).all()
    assert density.max() > 0


def test_where_the_package_fits_nothing_the_coordinates_are_independent(capfd):
    points = np.array([(10.0, 10.0)] * 12)
    params = fit(points, settings(), 0)
    where = np.random.default_rng(0).uniform(-10, 30, (50, 2))
    expected = norm.pdf(where, 10, 10).prod(axis=1)  # the margins: 100 px² added to a variance of 0
    np.testing.assert_allclose(evaluate(params, where), expected, rtol=1e-6)
    assert capfd.readouterr().err.endswith("cannot fit 1 components to 12 cells; left: independence\n")


def test_without_the_package_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "copulae", None)
    assert fit(draw(30, 7), settings("own"), 0)
    with pytest.raises(
        CellscaperError, match="backend copulae needs copulae, which is not .*pip install 'copulae.*own"
    ):
        fit(draw(30, 7), settings(), 0)
