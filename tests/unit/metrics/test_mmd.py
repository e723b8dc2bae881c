import numpy as np
import pytest
from gudhi.representations import SlicedWassersteinDistance
from gudhi.wasserstein import wasserstein_distance

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.mmd import (
    Settings,
    biased,
    gaussian_gram,
    mmd,
    permutation_p,
    score,
    sliced_wasserstein,
    unbiased,
    wasserstein1_distances,
)
from cellscaper.metrics.protocol import Comparison


def diagrams(seed, sizes):
    rng = np.random.default_rng(seed)
    births = [rng.uniform(0, 60, k) for k in sizes]
    return [np.stack([b, b + rng.exponential(12, len(b))], axis=1) for b in births]


def layouts(seed, n=25, cells=(25, 12), spread=128.0):
    """Uniform cells in the upper left square of side ``spread`` of 128 px."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(2), cells).astype(np.uint8)
    points = (rng.random((n, len(labels), 2)) * spread * 0.999).astype(np.float32)
    return LayoutSet.build([Layout(one, labels, (128, 128)) for one in points], ("a", "b"), 0.5)


def normal_gram(rng, n, shift=0.0):
    x = np.concatenate([rng.normal(0, 1, n), rng.normal(shift, 1, n)])
    return np.exp(-((x[:, None] - x) ** 2))


def test_wasserstein1_distances_are_gudhis():
    items = diagrams(0, (0, 5, 12, 0, 30, 1))
    expected = [[wasserstein_distance(a, b, order=1.0, internal_p=2.0) for a in items] for b in items]
    np.testing.assert_allclose(wasserstein1_distances(items), expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_distances_by_pot_are_ours_and_those_with_entropy_lie_above(threads):
    items = diagrams(4, (0, 5, 12, 0, 30, 1))
    ours = wasserstein1_distances(items)
    np.testing.assert_allclose(wasserstein1_distances(items, threads, "pot"), ours, rtol=1e-9, atol=1e-9)
    above = wasserstein1_distances(items, threads, "pot_sinkhorn", 0.2) - ours
    points = np.add.outer(*[[len(one) for one in items]] * 2)
    assert (above >= -1e-9).all()
    assert (above <= 0.1 * points).all()
    assert above.max() > 1e-3


@pytest.mark.slow
def test_the_backend_of_the_settings_computes_the_score():
    real, made = layouts(0, n=4), layouts(1, n=4)
    comparison = Comparison(real, made, real, real, "points")
    found = {
        (backend, reg): score(comparison, Settings(sigma=5.0, backend=backend, reg=reg))["mmd"]["mean"]
        for backend, reg in (("own", 0.05), ("pot", 0.05), ("pot_sinkhorn", 0.05), ("pot_sinkhorn", 5.0))
    }
    ours = found["own", 0.05]
    assert found["pot", 0.05] == pytest.approx(ours, rel=1e-9)
    assert 0 < abs(found["pot_sinkhorn", 0.05] - ours) < 0.01 * ours
    assert abs(found["pot_sinkhorn", 5.0] - ours) > 0.01 * ours


def sorted_projections(a, b, angles):
    """Oracle: both diagrams joined by the other's diagonal projections, sorted along each direction."""
    onto = [np.repeat(one.mean(axis=1, keepdims=True), 2, axis=1) for one in (a, b)]
    first, second = np.concatenate([a, onto[1]]), np.concatenate([b, onto[0]])
    lines = [np.array([np.cos(t), np.sin(t)]) for t in angles]
    return np.mean([np.abs(np.sort(first @ line) - np.sort(second @ line)).sum() for line in lines])


def test_sliced_distance_is_that_of_sorted_projections():
    items = diagrams(1, (0, 5, 12, 0, 9, 1))
    angles = np.pi * (np.arange(6) + 0.5) / 6 - np.pi / 2
    expected = [[sorted_projections(a, b, angles) for a in items] for b in items]
    np.testing.assert_allclose(sliced_wasserstein(items, 6, 0.005), expected, rtol=1e-3, atol=1e-9)


def test_sliced_distance_agrees_with_gudhi_within_its_sampling():
    items = diagrams(2, (8, 25, 60, 40))
    oracle = SlicedWassersteinDistance(num_directions=400).fit(items).transform(items)
    found = sliced_wasserstein(items)
    off = ~np.eye(4, dtype=bool)
    scale = (found[off] / oracle[off]).mean()
    assert scale == pytest.approx(1, rel=0.03)
    np.testing.assert_allclose(found, oracle, rtol=0.08)


def test_sliced_kernel_is_positive_semi_definite():
    items = diagrams(3, np.random.default_rng(0).integers(0, 20, 80))
    assert np.linalg.eigvalsh(gaussian_gram(sliced_wasserstein(items), "median")).min() > -1e-9


def test_gram_is_the_kernel_of_its_name():
    distances = np.array([[0.0, 2.0, 8.0], [2.0, 0.0, 4.0], [8.0, 4.0, 0.0]])
    np.testing.assert_allclose(gaussian_gram(distances, 2.0), np.exp(-distances / 4))
    np.testing.assert_allclose(gaussian_gram(distances, "median"), np.exp(-distances / 4))
    assert (gaussian_gram(np.zeros((2, 2)), "median") == 1).all()


def test_estimates_are_the_double_sums():
    gram, n, m = normal_gram(np.random.default_rng(0), 7), 7, 7
    xx = [gram[i, j] for i in range(n) for j in range(n)]
    yy = [gram[i, j] for i in range(n, n + m) for j in range(n, n + m)]
    xy = [gram[i, j] for i in range(n) for j in range(n, n + m)]
    assert biased(gram, n) == pytest.approx(np.mean(xx) + np.mean(yy) - 2 * np.mean(xy))
    expected = (sum(xx) - n) / (n * (n - 1)) + (sum(yy) - m) / (m * (m - 1)) - 2 * np.mean(xy)
    assert unbiased(gram, n) == pytest.approx(expected)


def test_unbiased_estimate_is_zero_on_average_under_the_null_and_the_biased_is_not():
    rng = np.random.default_rng(1)
    grams = [normal_gram(rng, 20) for _ in range(400)]
    values = np.array([unbiased(one, 20) for one in grams])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(400)
    assert np.mean([biased(one, 20) for one in grams]) > 0.03


def test_permutation_p_is_uniform_under_the_null_and_small_for_a_shift():
    rng = np.random.default_rng(2)
    null = np.array([permutation_p(normal_gram(rng, 15), 15, 99, seed) for seed in range(200)])
    assert abs((null <= 0.1).mean() - 0.1) < 0.07
    assert abs(null.mean() - 0.5) < 0.08
    assert permutation_p(normal_gram(rng, 40, shift=1.5), 40, 199, 0) == 1 / 200


@pytest.mark.slow
def test_a_set_is_at_zero_from_itself_and_layouts_in_a_corner_are_not():
    real = layouts(0)
    same, other = mmd(real, real, "median"), mmd(real, layouts(1, spread=60), "median")
    assert same["mmd"] == pytest.approx({"a": 0, "b": 0, "mean": 0}, abs=1e-7)
    assert same["mmd_sliced"]["mean"] < 0
    assert other["mmd"]["mean"] > 0.3
    assert other["mmd_sliced"]["mean"] > 0.1
    assert max(other["mmd_sliced_p"].values()) < 0.01
    assert mmd(real, layouts(1), "median")["mmd_sliced_p"]["a"] > 0.01


@pytest.mark.slow
def test_w1_is_computed_on_a_seeded_draw_and_its_size_is_told():
    real, generated = layouts(0), layouts(1)
    some = mmd(real, generated, "median", layouts=10, permutations=20)
    assert some["mmd_layouts"] == {"a": 10, "b": 10}
    assert some == mmd(real, generated, "median", layouts=10, permutations=20)
    whole = mmd(real, generated, "median", permutations=20)
    assert some["mmd"] != whole["mmd"]
    assert some["mmd_sliced"] == whole["mmd_sliced"]


@pytest.mark.slow
def test_the_sliced_kernel_compares_layouts_evenly_spaced_and_their_number_is_told():
    real, generated = layouts(0, n=31), layouts(1, n=25)
    some = mmd(real, generated, "median", sliced_layouts=11, permutations=20)
    rows = [np.linspace(0, n - 1, 11).round().astype(int) for n in (31, 25)]
    alone = mmd(real[rows[0]], generated[rows[1]], "median", permutations=20)
    assert some["mmd_sliced"] == alone["mmd_sliced"]
    assert some["mmd_sliced_p"] == alone["mmd_sliced_p"]
    assert some["mmd_sliced_layouts"] == {"a": 11, "b": 11}
    whole = mmd(real, generated, "median", permutations=20)
    assert whole["mmd_sliced_layouts"] == {"a": 25, "b": 25}
    assert whole["mmd_sliced"] != some["mmd_sliced"]
    assert whole["mmd"] == some["mmd"]


def test_brca_m2cs_windows_are_all_compared():
    assert Settings().sliced_layouts >= 1550


def test_classes_without_holes_are_at_zero():
    few = layouts(0, cells=(25, 2))
    found = mmd(few, layouts(1, cells=(25, 2)), permutations=20)
    assert found["mmd"]["b"] == found["mmd_sliced"]["b"] == 0
    assert found["mmd_sliced_p"]["b"] == 1


def test_refusals():
    real = layouts(0)
    with pytest.raises(CellscaperError, match="classes"):
        mmd(real, LayoutSet.build(list(real), ("b", "a"), 0.5))
    with pytest.raises(CellscaperError, match="needs two of each"):
        mmd(real, layouts(1, n=1))
    for sigma in (0, -1.0, "mean"):
        with pytest.raises(CellscaperError, match="sigma"):
            mmd(real, real, sigma)
