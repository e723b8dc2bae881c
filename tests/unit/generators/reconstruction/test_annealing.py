"""Annealing: running values are right, and the energy falls to what the model has."""

import numpy as np
import pytest

from cellscaper.generators.reconstruction.annealing import Annealing, wanted
from cellscaper.generators.reconstruction.functions import Bins, functions, nearest_distances
from cellscaper.generators.side_by_side import Stack
from cellscaper.layouts import Layout

BINS = Bins.up_to(3, 30, 24)


def uniform(n, seed, size=(80, 70)):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n).astype(np.uint8)
    return Layout(rng.uniform(0, size, (n, 2)).astype(np.float32), labels, size)


def goal(model, counts=None):
    counts = np.bincount(model.labels, minlength=3) if counts is None else counts
    have = np.bincount(model.labels, minlength=3)
    pair = [[model if have[i] and have[j] > (i == j) else None for j in range(3)] + [model] for i in range(3)]
    return wanted(counts, model.size, pair, BINS)


def test_running_values_are_those_from_scratch():
    start = [uniform(n, n) for n in (30, 22, 9, 2, 1)]
    annealing = Annealing(Stack.of(start), [goal(uniform(30, 99))] * 5, BINS)
    annealing.run([np.random.default_rng(i) for i in range(5)], np.array([90, 80, 80, 40, 30]))
    for row, layout in enumerate(annealing.stack.layouts()):
        assert (layout.points != start[row].points).any()
        again = functions(layout, BINS)
        np.testing.assert_allclose(annealing.now.pairs[row, :, :-1], again.pairs[:, :-1], atol=1e-4)
        np.testing.assert_array_equal(annealing.now.nearest[row], again.nearest)
        apart = np.linalg.norm(layout.points[:, None] - layout.points[None], axis=2)
        near = nearest_distances(apart, layout.labels, 3)
        np.testing.assert_allclose(annealing.near[row, : len(layout)], near, rtol=1e-5)


def test_a_model_meets_itself():
    model = uniform(30, 5)
    annealing = Annealing(Stack.of([model]), [goal(model)], BINS)
    assert annealing.energy[0] == pytest.approx(0, abs=1e-8)


def test_values_are_scaled_to_the_counts():
    model = uniform(30, 5)
    counts = np.bincount(model.labels, minlength=3)
    twice, once = goal(model, 2 * counts), goal(model)
    first = slice(0, BINS.rings)  # pairs of class 0
    n = counts[0]
    np.testing.assert_allclose(twice.values[first], once.values[first] * (2 * n * (2 * n - 1)) / (n * (n - 1)))
    np.testing.assert_allclose(twice.values[-1], 2 * once.values[-1])  # cells of the last class and any


def test_the_energy_falls_to_a_fraction():
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(6, 80, 12), np.arange(6, 70, 12)), -1).reshape(-1, 2).astype(np.float32)
    model = Layout(grid, (grid[:, 0] // 28).astype(np.uint8), (80, 70))  # a grid in three stripes
    start = Layout(rng.uniform(0, (80, 70), grid.shape).astype(np.float32), model.labels, model.size)
    annealing = Annealing(Stack.of([start]), [goal(model)], BINS)
    before = annealing.energy[0]
    annealing.run([rng], np.array([1000]))
    assert annealing.energy[0] < 0.3 * before
