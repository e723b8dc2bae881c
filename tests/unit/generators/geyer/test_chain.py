"""The chain draws from its density: against theory for two cells, and against the list of all states for classes."""

from itertools import permutations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from cellscaper.generators.geyer.chain import Chain
from cellscaper.generators.geyer.model import Shape, neighbours, statistics
from cellscaper.generators.side_by_side import Stack
from cellscaper.layouts import Layout

SHAPE = Shape(3, 2.0, (8, 15, 30), (1, 2, 4))


def uniform(n, seed, size=(80, 70)):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n).astype(np.uint8)
    return Layout(rng.uniform(0, size, (n, 2)).astype(np.float32), labels, size)


def rngs(n):
    return [np.random.default_rng(i) for i in range(n)]


def test_running_statistics_are_those_from_scratch():
    theta = np.random.default_rng(0).normal(0, 0.5, (6, 3))
    start = [uniform(n, n) for n in (40, 30, 7, 2, 1)]
    chain = Chain(Stack.of(start), SHAPE, theta)
    chain.run(rngs(5), np.array([200, 150, 100, 50, 20]))
    for row, layout in enumerate(chain.stack.layouts()):
        assert sorted(layout.labels) == sorted(start[row].labels)
        np.testing.assert_array_equal(chain.statistics[row], statistics(SHAPE, layout, torus=True))
        around = neighbours(SHAPE, layout.points, layout.labels, layout.size)
        np.testing.assert_array_equal(chain.around[row, : len(layout), :, :-1], around[..., :-1])


def test_two_cells_are_as_near_as_the_density_says():
    """Density exp(2 θ) in the annulus, 1 beyond, 0 in the core: the share of pairs in the annulus follows."""
    shape, theta, side, copies = Shape(1, 4.0, (12,), (1,)), 0.8, 40, 1500
    pair = Layout(np.array([[5, 5], [25, 25]], np.float32), np.zeros(2, np.uint8), (side, side))
    chain = Chain(Stack.of([pair] * copies), shape, np.array([[theta]]))
    chain.run(rngs(copies), np.full(copies, 30))
    annulus, beyond = np.pi * (12**2 - 4**2), side**2 - np.pi * 12**2
    share = annulus * np.exp(2 * theta) / (annulus * np.exp(2 * theta) + beyond)
    assert (chain.statistics[:, 0, 0] > 0).mean() == pytest.approx(share, abs=0.05)


def test_swaps_keep_the_density_of_the_classes():
    """All states of five cells are listed; layouts drawn from their density have it still after 10 swaps."""
    points = np.array([[5, 5], [9, 9], [14, 6], [30, 20], [34, 25]], np.float32)
    shape, size, copies, random = Shape(2, 0.0, (8, 15), (1, 2)), (50, 50), 2000, np.random.default_rng(0)
    theta = np.array([[0.6, -0.4], [-0.5, 0.3], [0.2, 0.5]])
    states = [Layout(points, np.array(s, np.uint8), size) for s in sorted(set(permutations([0, 0, 1, 1, 1])))]
    weights = np.array([np.exp((theta * statistics(shape, one, True)).sum()) for one in states])
    weights /= weights.sum()
    first = random.choice(len(states), copies, p=weights)
    chain = Chain(Stack.of([states[i] for i in first]), shape, theta)
    for _ in range(10):
        chain.swap(copies, random.random((copies, 4)), random.standard_exponential(copies))
    last = np.array([(one.labels == chain.stack.labels[:, None]).all(axis=2).ravel() for one in states])  # (S, L)
    assert (last.sum(axis=0) == 1).all()
    assert (last.argmax(axis=0) != first).mean() > 0.2
    np.testing.assert_allclose(last.mean(axis=1), weights, atol=0.035)


def test_no_move_enters_the_hard_core():
    grid = np.stack(np.meshgrid(np.arange(4, 60, 9), np.arange(4, 60, 9)), -1).reshape(-1, 2).astype(np.float32)
    start = Layout(grid, np.zeros(49, np.uint8), (63, 63))
    chain = Chain(Stack.of([start]), Shape(1, 6.0, (12,), (3,)), np.array([[1.0]]))
    chain.run(rngs(1), np.array([300]))
    after = chain.stack.layouts()[0]
    assert (after.points != start.points).any()
    assert pdist(after.points).min() >= 6
