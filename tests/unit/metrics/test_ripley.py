"""K and pair-correlation functions against loops over pairs, closed forms and astropy."""

import numpy as np
import pytest

from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.ripley import k_functions, k_rings, l_functions, pair_correlations

CLASSES = ("a", "b", "c")


def uniform(seed, counts, n=1, size=(120, 90)):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.uint8)
    items = [Layout((rng.random((len(labels), 2)) * size).astype(np.float32), labels, size) for _ in range(n)]
    return LayoutSet.build(items, CLASSES[: len(counts)], 0.5)


def k_by_loops(layouts, i, j, r):
    """Weighted pairs over Σ n_i n_j / area, one pair at a time."""
    pairs = possible = 0.0
    for layout in layouts:
        height, width = layout.size
        for a, one in enumerate(layout.points.astype(float)):
            for b, two in enumerate(layout.points.astype(float)):
                if a == b or layout.labels[a] != i or layout.labels[b] != j:
                    continue
                possible += 1 / (height * width)
                dy, dx = np.abs(one - two)
                if np.hypot(dy, dx) <= r:
                    pairs += height * width / ((height - dy) * (width - dx))
    return pairs / possible


def test_every_class_pair_equals_a_loop_over_pairs_in_layouts_of_several_sizes():
    rng = np.random.default_rng(0)
    items = []
    for n, size in ((14, (80, 60)), (0, (70, 90)), (1, (60, 60)), (22, (90, 70))):
        points = (rng.random((n, 2)) * size).astype(np.float32)
        items.append(Layout(points, rng.integers(0, 3, n).astype(np.uint8), size))
    layouts = LayoutSet.build(items, CLASSES, 0.5)
    radii = np.array([0, 7, 20, 41])
    found = k_functions(k_rings(layouts, 41), radii)
    for i in range(3):
        for j in range(3):
            expected = [k_by_loops(layouts, i, j, r) for r in radii]
            np.testing.assert_allclose(found[i, j], expected, rtol=1e-9)


def test_blocks_of_layouts_add_up(monkeypatch):
    layouts = uniform(0, (9, 5), n=12)
    whole = k_rings(layouts, 30)
    monkeypatch.setattr("cellscaper.metrics.ripley._BLOCK", 30)
    np.testing.assert_allclose(k_rings(layouts, 30), whole, rtol=1e-12)


def test_one_class_agrees_with_astropy():
    astropy = pytest.importorskip("astropy.stats")
    layouts = uniform(3, (150,), size=(200, 200))
    radii = np.arange(5, 61, 5)
    oracle = astropy.RipleysKEstimator(area=200 * 200, x_min=0, x_max=200, y_min=0, y_max=200)
    theirs = oracle(layouts.points.astype(float), radii=radii.astype(float), mode="translation")
    np.testing.assert_allclose(k_functions(k_rings(layouts, 60), radii)[0, 0], theirs, rtol=1e-6)


def test_independent_uniform_cells_have_k_of_a_disc_and_g_of_one_whatever_their_counts_and_the_window():
    sparse, dense = uniform(0, (5, 10), n=500), uniform(1, (30, 60), n=60)
    both = LayoutSet.build([*sparse, *dense], CLASSES[:2], 0.5)
    rings = k_rings(both, 80)  # nearly the shorter side: the correction has to be right
    radii = np.array([20, 40, 80])
    np.testing.assert_allclose(l_functions(rings, radii), np.broadcast_to(radii, (2, 2, 3)), rtol=0.02)
    middle, g = pair_correlations(rings, 20, 80)
    np.testing.assert_allclose(middle, [10, 30, 50, 70])
    np.testing.assert_allclose(g, 1, atol=0.04)


def test_a_cell_of_another_class_beside_each_cell_shows_at_its_distance_alone():
    """One b exactly 10 px right of each a, a uniform: g_ab has that one pair at 10 px and 1 elsewhere."""
    rng = np.random.default_rng(0)
    n, items = 40, []
    for _ in range(60):
        a = rng.uniform(0, 400, (n, 2))
        b = (a + np.array([0, 10])) % 400
        points = np.concatenate([a, b]).astype(np.float32) % np.float32(400)
        items.append(Layout(points, np.repeat([0, 1], n).astype(np.uint8), (400, 400)))
    layouts = LayoutSet.build(items, ("a", "b"), 0.5)
    middle, g = pair_correlations(k_rings(layouts, 40), 4, 40)
    excess = 1 / n * 400 * 400 / (np.pi * (12**2 - 8**2))  # one of n, spread over the ring 8…12 px
    assert g[0, 1][middle == 10] == pytest.approx(1 + excess, rel=0.03)
    np.testing.assert_allclose(g[0, 1][middle != 10], 1, atol=0.12)


def test_hard_core_cells_have_no_near_pairs():
    grid = np.stack(np.meshgrid(np.arange(5, 100, 10), np.arange(5, 100, 10)), axis=-1).reshape(-1, 2)
    layouts = LayoutSet.build([Layout(grid.astype(np.float32), np.zeros(100, np.uint8), (100, 100))], ("a",), 0.5)
    rings = k_rings(layouts, 20)[0, 0]
    assert rings[:9].sum() == 0
    assert np.flatnonzero(rings).tolist() == [9, 14, 19]  # 10 px, 10√2 and 20 px, each in (r, r + 1]


def test_pairs_that_no_layout_holds_are_undefined():
    items = [
        Layout(np.array([[1, 1], [5, 5]], np.float32), np.array([0, 1], np.uint8), (20, 20)),
        Layout(np.array([[1, 1], [5, 5], [6, 6]], np.float32), np.array([2, 0, 0], np.uint8), (20, 20)),
    ]
    undefined = np.isnan(k_rings(LayoutSet.build(items, CLASSES, 0.5), 10)).any(axis=2)
    np.testing.assert_array_equal(undefined, [[False, False, False], [False, True, True], [False, True, True]])
    assert np.isnan(k_functions(k_rings(LayoutSet.build(items, CLASSES, 0.5), 10), np.array([0]))[1, 2]).all()
