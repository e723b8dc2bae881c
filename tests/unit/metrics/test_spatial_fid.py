"""Spatial-FID on features with known moments, its refusals and its names."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from cellscaper.errors import CellscaperError
from cellscaper.metrics.spatial_fid import metric_name, spatial_fid


def whitened(n: int, d: int, seed: int) -> np.ndarray:
    """(n, d) samples whose mean is 0 and whose covariance is the identity, exactly."""
    x = np.random.default_rng(seed).normal(size=(n, d))
    x -= x.mean(axis=0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T


def test_independent_features_have_the_closed_form():
    sd1, sd2 = np.array([1.0, 2, 0.5]), np.array([3.0, 2, 1])
    shift = np.array([1.0, -2, 0])
    value = spatial_fid(whitened(40, 3, 0) * sd1, whitened(70, 3, 1) * sd2 + shift)
    assert value == pytest.approx((shift**2).sum() + ((sd1 - sd2) ** 2).sum())


def test_correlated_features_agree_with_scipy_matrix_square_root(by_square_root):
    rng = np.random.default_rng(2)
    one, two = rng.normal(size=(200, 12)) @ rng.normal(size=(12, 12)), rng.normal(size=(90, 12)) + 1
    assert spatial_fid(one, two) == pytest.approx(by_square_root(one, two), rel=1e-7)


@pytest.mark.parametrize("shrinkage", ["none", "ledoit_wolf"])
@pytest.mark.parametrize("rank", [4, 20])
def test_a_set_is_at_distance_zero_from_itself_even_with_dead_features(rank, shrinkage):
    rng = np.random.default_rng(rank)
    features = rng.normal(size=(60, rank)) @ rng.normal(size=(rank, 20))
    features[:, 7] = 3
    assert 0 <= spatial_fid(features, features, shrinkage) < 1e-6


def test_refuses_no_more_layouts_than_features():
    rng = np.random.default_rng(3)
    spatial_fid(rng.normal(size=(9, 8)), rng.normal(size=(9, 8)))
    message = "8 generated layouts for 8 features, needs at least 9"
    with pytest.raises(CellscaperError, match=message) as told:
        spatial_fid(rng.normal(size=(9, 8)), rng.normal(size=(8, 8)))
    assert "\n" not in str(told.value) and "ledoit_wolf" in str(told.value)
    with pytest.raises(CellscaperError, match="8 real layouts"):
        spatial_fid(rng.normal(size=(8, 8)), rng.normal(size=(9, 8)))


def test_few_layouts_are_scored_with_ledoit_wolf_covariances(by_square_root):
    rng = np.random.default_rng(4)
    one, two = rng.normal(size=(6, 10)), rng.normal(size=(8, 10)) + 1
    expected = by_square_root(one, two, lambda x: LedoitWolf().fit(x).covariance_)
    assert spatial_fid(one, two, "ledoit_wolf") == pytest.approx(expected, rel=1e-6)
    with pytest.raises(CellscaperError, match="'oas' is unknown"):
        spatial_fid(one, two, "oas")  # type: ignore[arg-type]


def test_names_tell_network_and_shrinkage():
    assert metric_name("autoencoder", "none") == "spatial_fid"
    assert metric_name("autoencoder", "ledoit_wolf") == "spatial_fid_shrinkage"
    assert metric_name("resnet50", "none") == "spatial_fid_released"
    assert metric_name("resnet50", "ledoit_wolf") == "spatial_fid_released_shrinkage"
