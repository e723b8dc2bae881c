"""Spatial-FID on features with known moments, its refusals and its names."""

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf

from cellscaper.disk.weights import write_weights
from cellscaper.errors import CellscaperError
from cellscaper.features import autoencoder, resnet50
from cellscaper.features.extraction import features
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.coverage import precision_and_coverage
from cellscaper.metrics.frechet import fid_name
from cellscaper.metrics.protocol import Comparison
from cellscaper.metrics.spatial_fid import Settings, score, spatial_fid


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
    assert fid_name(autoencoder.SCORE, "none") == "spatial_fid"
    assert fid_name(autoencoder.SCORE, "ledoit_wolf") == "spatial_fid_shrinkage"
    assert fid_name(resnet50.SCORE, "none") == "spatial_fid_released"
    assert fid_name(resnet50.SCORE, "ledoit_wolf") == "spatial_fid_released_shrinkage"


def layouts(n: int, seed: int) -> LayoutSet:
    rng = np.random.default_rng(seed)
    items = [Layout(rng.uniform(0, 64, (9, 2)), rng.integers(0, 2, 9).astype(np.uint8), (64, 64)) for _ in range(n)]
    return LayoutSet.build(items, ("a", "b"), 0.5)


def test_the_score_is_the_distance_of_the_features_of_the_weights(tmp_path):
    grid = {"region": 64, "stride": 4, "marker": 1}
    section = {"method": "autoencoder", "settings": {"width": 8, "depth": 3, "level": 2, "grid": grid}}
    settings = autoencoder.Settings(**section["settings"])
    model, file = autoencoder.build(settings, 2).eval(), tmp_path / "features.safetensors"
    write_weights(file, model.state_dict(), {}, section=section, classes=["a", "b"], mpp=0.5)
    real, made = layouts(20, 0), layouts(20, 1)
    compared = Comparison(real, made, real, real, "points", network=file)
    one, two = (features(model, settings.grid, side, 7, torch.device("cpu")) for side in (real, made))
    for shrinkage, name in (("none", "spatial_fid"), ("ledoit_wolf", "spatial_fid_shrinkage")):
        found = score(compared, Settings(shrinkage=shrinkage))
        expected = {"total": pytest.approx(spatial_fid(one, two, shrinkage), rel=1e-4)}
        assert found[name] == expected == found[f"{name}_test"]  # the reference are the test windows
        beside = (found["spatial_fid_precision"]["total"], found["spatial_fid_coverage"]["total"])
        assert beside == pytest.approx(precision_and_coverage(one, [""] * 20, two))
    with pytest.raises(CellscaperError, match="needs a feature network"):
        score(Comparison(real, made, real, real, "points"), Settings())
