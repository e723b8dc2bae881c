import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import gaussian_kde

from cellscaper.density.kde import CHUNK, Settings, evaluate, fit
from cellscaper.density.maps import density_map
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import read


def settings(**changes):
    return read(Settings, {"bandwidth": "scott", "regularise": 1e-9, **changes}, "density kde")


SCOTT = settings()


def slanted(seed, n):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) @ [[60, 45], [0, 15]] + [200, 260]


@pytest.mark.parametrize("bandwidth", ["scott", 0.05, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("n", [3, 40, 300])
def test_density_is_scipys_with_the_same_bandwidth_factor(n, bandwidth):
    points = slanted(n, n)
    where = np.random.default_rng(0).uniform(0, 500, (CHUNK + 90, 2))
    expected = gaussian_kde(points.T, bw_method=bandwidth)(where.T)
    ours = evaluate(fit(points, settings(bandwidth=bandwidth), 0), where)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9 * expected.max())


def test_equal_cells_count_as_often_as_they_come():
    places, times = slanted(1, 20), np.arange(1, 21)
    points = np.repeat(places, times, axis=0)
    expected = gaussian_kde(points.T)(places.T)
    np.testing.assert_allclose(evaluate(fit(points, SCOTT, 0), places), expected, rtol=1e-6)


def test_regularise_is_added_to_the_variances_of_the_points():
    points = [(0, 0), (3, 0), (6, 0)]
    params = fit(points, settings(bandwidth=0.5, regularise=2.0), 0)
    np.testing.assert_allclose(params.covariance, 0.25 * np.diag([9 + 2, 2]))


@pytest.mark.parametrize("bandwidth", ["scott", 0.1])
@pytest.mark.parametrize("stride", [2, 4])
def test_density_integrates_to_one_over_a_large_window_at_any_stride(stride, bandwidth):
    points = np.random.default_rng(2).normal((300, 330), (60, 45), (80, 2))
    density = density_map(fit, evaluate, points, (600, 660), stride, settings(bandwidth=bandwidth, regularise=1.0), 0)
    assert density.sum(dtype=np.float64) * stride**2 == pytest.approx(1, abs=1e-4)


def test_map_peaks_where_the_cluster_is_with_height_unlike_width():
    points = np.random.default_rng(5).normal((40, 200), 5.0, (100, 2))
    density = density_map(fit, evaluate, points, (120, 300), 2, SCOTT, 0)
    assert density.shape == (60, 150)
    y, x = np.unravel_index(density.argmax(), density.shape)
    assert abs(2 * y - 40) <= 4
    assert abs(2 * x - 200) <= 4


@pytest.mark.parametrize(
    "points",
    [
        [(10, 10), (20, 20), (30, 30)],
        [(10, 10)] * 3,
        [(5, 0), (5, 100), (5, 100), (5, 400)],
        [(7, 9)] * 30 + [(50, 60)],
    ],
    ids=["line", "one place", "row", "two places"],
)
@pytest.mark.parametrize("bandwidth", ["scott", 0.05])
def test_degenerate_cells_give_a_finite_map_without_warnings(points, bandwidth):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        params = fit(np.array(points, np.float32), settings(bandwidth=bandwidth, regularise=1.0), 0)
        density = density_map(fit, evaluate, np.array(points), (60, 420), 2, settings(regularise=1.0), 0)
    assert np.isfinite(density).all()
    assert (density >= 0).all()
    assert (evaluate(params, points) > 0).all()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), min_size=3, max_size=15), st.floats(0.05, 2))
@hypothesis_settings(max_examples=40, deadline=None)
def test_any_cells_have_a_density_whose_largest_value_is_at_most_one_kernels_peak(points, bandwidth):
    params = fit(points, settings(bandwidth=bandwidth, regularise=1.0), 0)
    density = evaluate(params, np.stack(np.meshgrid(np.arange(41.0), np.arange(6.0)), axis=-1))
    assert np.isfinite(density).all()
    assert 0 <= density.min() <= density.max() <= (1 + 1e-6) / (2 * np.pi * np.sqrt(np.linalg.det(params.covariance)))


@pytest.mark.parametrize(
    ("points", "changes", "message"),
    [
        (np.zeros((2, 2)), {}, "2 points"),
        ([(0, 0), (1, 1), (np.nan, 2)], {}, "finite"),
        (np.eye(3, 2), {"regularise": 0}, r"density kde\.regularise = 0: .*greater than 0"),
        (np.eye(3, 2), {"bandwidth": "silverman"}, r"density kde\.bandwidth\S* = 'silverman': "),
        (np.eye(3, 2), {"bandwidth": 0}, r"density kde\.bandwidth\S* = 0: "),
        (np.eye(3, 2), {"bandwidth": True}, r"density kde\.bandwidth\S* = True: "),
        (np.eye(3, 2), {"bandwidth": float("nan")}, r"density kde\.bandwidth\S* = nan: "),
    ],
)
def test_refuses_too_few_points_and_bad_settings(points, changes, message):
    with pytest.raises(CellscaperError, match=message):
        fit(points, settings(**changes), 0)
