import numpy as np
import pytest
from gudhi.wasserstein import wasserstein_distance
from scipy.optimize import linear_sum_assignment

from cellscaper.errors import CellscaperError
from cellscaper.topology.matching import match, wasserstein1


def diagram(rng, n, spread=60.0, life=20.0):
    birth = rng.uniform(0, spread, n)
    return np.stack([birth, birth + rng.exponential(life, n)], axis=1)


def pairs(seed, count):
    """Diagrams of 0 to 29 points, among them empty ones, equal ones and ones with points in common."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        first = diagram(rng, rng.integers(0, 30))
        second = diagram(rng, rng.integers(0, 30))
        if i % 10 == 0:
            first = first[:0]
        if i % 20 == 0:
            second = second[:0]
        if i % 10 == 3:
            second = first[rng.permutation(len(first))]
        if i % 10 == 4:
            second = np.concatenate([second, first[: len(first) // 2]])
        yield first, second


def full_cost(first, second, order):
    """Oracle: assignment of n points and m copies of the diagonal to m points and n copies."""
    n, m = len(first), len(second)
    cost = np.zeros((n + m, n + m))
    cost[:n, :m] = np.linalg.norm(first[:, None] - second, axis=2) ** order
    cost[:n, m:] = (((first[:, 1] - first[:, 0]) / np.sqrt(2)) ** order)[:, None]
    cost[n:, :m] = ((second[:, 1] - second[:, 0]) / np.sqrt(2)) ** order
    return cost[linear_sum_assignment(cost)].sum()


def test_costs_equal_the_full_assignment_on_500_pairs():
    for first, second in pairs(0, 500):
        assert match(first, second).cost == pytest.approx(full_cost(first, second, 2), rel=1e-9, abs=1e-8)
        assert wasserstein1(first, second) == pytest.approx(full_cost(first, second, 1), rel=1e-9, abs=1e-8)


def test_costs_equal_gudhi():
    for first, second in pairs(1, 60):
        w2 = wasserstein_distance(first, second, order=2.0, internal_p=2.0)
        assert np.sqrt(match(first, second).cost) == pytest.approx(w2, rel=1e-6, abs=1e-5)
        w1 = wasserstein_distance(first, second, order=1.0, internal_p=2.0)
        assert wasserstein1(first, second) == pytest.approx(w1, rel=1e-6, abs=1e-6)


def test_pairs_and_diagonal_add_up_to_the_cost():
    for first, second in pairs(2, 100):
        found = match(first, second)
        assert found.pairs.dtype == np.int64 and found.pairs.shape[1] == 2
        rows, columns = found.pairs.T
        assert len(set(rows)) == len(set(columns)) == len(found.pairs)
        loose = np.concatenate([np.delete(first, rows, axis=0), np.delete(second, columns, axis=0)])
        apart = ((first[rows] - second[columns]) ** 2).sum()
        assert found.cost == pytest.approx(apart + ((loose[:, 1] - loose[:, 0]) ** 2).sum() / 2, abs=1e-8)


def test_a_shuffled_diagram_is_matched_point_by_point():
    rng = np.random.default_rng(3)
    first, order = diagram(rng, 40), rng.permutation(40)
    found = match(first, first[order])
    assert np.array_equal(order[found.pairs[:, 1]], found.pairs[:, 0])
    assert found.cost == pytest.approx(0, abs=1e-9)


def test_far_points_go_to_the_diagonal():
    found = match(np.array([[0.0, 2.0]]), np.array([[50.0, 54.0]]))
    assert len(found.pairs) == 0
    assert found.cost == pytest.approx(2 + 8)
    assert wasserstein1(np.array([[0.0, 2.0]]), np.array([[50.0, 54.0]])) == pytest.approx(6 / np.sqrt(2))


def test_infinite_points_are_refused():
    with pytest.raises(CellscaperError, match="infinity"):
        match(np.array([[0.0, np.inf]]), np.zeros((0, 2)))
