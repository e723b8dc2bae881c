"""The functions of a layout against counts in plain loops and against the metric."""

import numpy as np
import pytest

from cellscaper.generators.reconstruction.functions import Bins, functions, possible
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.ripley import k_rings


def layout(n=40, seed=0, classes=3, size=(90, 70)):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n).astype(np.uint8)
    return Layout(rng.uniform(0, size, (n, 2)).astype(np.float32), labels, size)


def test_rings_are_fine_near_and_coarse_far():
    bins = Bins.up_to(3, 45, 9)
    assert bins.edges.tolist() == [*range(0, 31, 2), 34, 38, 42, 45]
    assert bins.reaches.tolist() == [2, 4, 6, 8]
    assert Bins.up_to(2, 5, 2).edges.tolist() == [0, 2, 4, 5]
    assert bins.ring(np.array([0, 1.9, 2, 29.9, 30, 44.9, 45, np.inf])).tolist() == [0, 0, 1, 14, 15, 18, 19, 19]


def test_values_are_the_counts_of_plain_loops():
    one, bins = layout(), Bins.up_to(3, 34, 20)
    pairs = np.zeros((6, bins.rings))
    nearest = np.zeros((3, 4, len(bins.reaches)))
    names = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    for i in range(len(one)):
        least = [np.inf] * 4
        for j in range(len(one)):
            if i == j:
                continue
            dy, dx = np.abs(one.points[i].astype(float) - one.points[j])
            distance, other = float(np.hypot(dy, dx)), int(one.labels[j])
            least[other], least[3] = min(least[other], distance), min(least[3], distance)
            for r in range(bins.rings):
                if j > i and bins.edges[r] <= distance < bins.edges[r + 1]:
                    p = names.index(tuple(sorted((int(one.labels[i]), other))))
                    pairs[p, r] += 90 * 70 / ((90 - dy) * (70 - dx))
        for kind, distance in enumerate(least):
            nearest[one.labels[i], kind] += distance < bins.reaches
    wanted = np.concatenate([pairs.ravel(), pairs.cumsum(axis=1).ravel(), nearest.ravel()])
    np.testing.assert_allclose(functions(one, bins).values, wanted, rtol=1e-5)


def test_rings_are_those_of_the_metric():
    one, bins = layout(60, 1), Bins.up_to(3, 30, 20)
    ours = functions(one, bins).pairs[:, :-1]
    rings = k_rings(LayoutSet.build([one], ("a", "b", "c"), 0.5), 30).reshape(3, 3, 15, 2).sum(axis=3)
    counts = np.bincount(one.labels)
    expected = possible(counts)[:, None] / (90 * 70) * rings[np.triu_indices(3)]
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


@pytest.mark.parametrize("n", [0, 1])
def test_layouts_without_pairs_have_none(n):
    found = functions(layout(n), Bins.up_to(3, 30, 20))
    assert not found.values.any()
    assert found.nearest.sum() == 4 * n


def test_possible_pairs():
    assert possible(np.array([[3, 2, 0]])).tolist() == [[3, 6, 0, 1, 0, 0]]
