import numpy as np
import pytest
from scipy.linalg import sqrtm

from cellscaper.errors import CellscaperError
from cellscaper.metrics.frechet import frechet_distance, gaussian


def random_gaussian(rng, d, rank=None, scale=1.0):
    factor = rng.normal(size=(d, rank or d)) * scale
    return rng.normal(size=d) * scale, factor @ factor.T


def test_one_dimension_is_squared_difference_of_means_and_of_deviations():
    assert frechet_distance([1.0], [[9.0]], [3.0], [[4.0]]) == pytest.approx(4 + 1)


def test_commuting_covariances_have_the_closed_form():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(7, 7)))[0]
    a, b = rng.uniform(0, 5, (2, 7))
    mean1, mean2 = rng.normal(size=(2, 7))
    value = frechet_distance(mean1, axes * a @ axes.T, mean2, axes * b @ axes.T)
    assert value == pytest.approx(((mean1 - mean2) ** 2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum())


@pytest.mark.parametrize("d", [2, 10, 60])
def test_agrees_with_scipy_matrix_square_root(d):
    rng = np.random.default_rng(d)
    (mean1, cov1), (mean2, cov2) = random_gaussian(rng, d), random_gaussian(rng, d)
    root = np.trace(sqrtm(cov1 @ cov2)).real
    expected = ((mean1 - mean2) ** 2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * root
    assert frechet_distance(mean1, cov1, mean2, cov2) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("rank", [1, 30, 100])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_is_zero_with_itself_at_any_rank_and_scale(rank, scale):
    mean, cov = random_gaussian(np.random.default_rng(rank), 100, rank, scale)
    assert 0 <= frechet_distance(mean, cov, mean, cov) < 1e-6


def test_disjoint_subspaces_add_their_variances():
    assert frechet_distance([0, 0], np.diag([4.0, 0]), [0, 0], np.diag([0, 9.0])) == pytest.approx(13)


def test_is_symmetric_and_sees_order():
    rng = np.random.default_rng(1)
    one, two = random_gaussian(rng, 12, 5), random_gaussian(rng, 12)
    assert frechet_distance(*one, *two) == pytest.approx(frechet_distance(*two, *one), rel=1e-9)
    far = (two[0] + 10, two[1])
    assert frechet_distance(*one, *far) > frechet_distance(*one, *two)


def test_gaussian_is_numpy_mean_and_covariance():
    features = np.random.default_rng(2).normal(size=(40, 6)).astype(np.float32)
    mean, cov = gaussian(features)
    np.testing.assert_allclose(mean, features.mean(axis=0, dtype=np.float64))
    np.testing.assert_allclose(cov, np.cov(features.astype(np.float64).T))


@pytest.mark.parametrize("shape", [(1, 4), (0, 4), (4,)])
def test_gaussian_refuses_fewer_than_two_rows(shape):
    with pytest.raises(CellscaperError, match="at least n = 2"):
        gaussian(np.zeros(shape))


def test_refuses_other_shapes_and_nan():
    with pytest.raises(CellscaperError, match="shapes"):
        frechet_distance(np.zeros(2), np.eye(2), np.zeros(3), np.eye(3))
    with pytest.raises(CellscaperError, match="NaN"):
        frechet_distance(np.zeros(2), np.eye(2), np.full(2, np.nan), np.eye(2))
