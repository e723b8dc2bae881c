"""Statistics of the Geyer process against plain loops, and what a cell adds against the difference."""

import numpy as np
import pytest

from cellscaper.generators.geyer import model
from cellscaper.generators.geyer.model import Shape, added, neighbours, statistics
from cellscaper.layouts import Layout

SHAPE = Shape(3, 2.0, (8, 15, 30), (1, 2, 4))
NAMES = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]


def layout(n=30, seed=0, size=(80, 70)):
    rng = np.random.default_rng(seed)
    return Layout(rng.uniform(0, size, (n, 2)), rng.integers(0, 3, n).astype(np.uint8), size)


@pytest.mark.parametrize("torus", [True, False])
def test_statistics_are_those_of_plain_loops(torus):
    one = layout()
    found = np.zeros((6, 3), int)
    for i in range(len(one)):
        around = np.zeros((3, 3), int)
        for j in range(len(one)):
            shift = np.abs(one.points[i] - one.points[j])
            if torus:
                shift = np.minimum(shift, np.array(one.size) - shift)
            ring = sum(np.hypot(*shift) >= radius for radius in SHAPE.radii)
            if i != j and ring < 3:
                around[one.labels[j], ring] += 1
        for other in range(3):
            pair = NAMES.index(tuple(sorted((int(one.labels[i]), other))))
            found[pair] += np.minimum(around[other], SHAPE.saturation)
    np.testing.assert_array_equal(statistics(SHAPE, one, torus), found)


def test_parts_of_the_places_give_the_same(monkeypatch):
    one, at = layout(), np.random.default_rng(1).uniform(0, (80, 70), (6, 2))
    whole = neighbours(SHAPE, one.points, one.labels)
    more = added(SHAPE, one.points, one.labels, at, 1, whole)
    monkeypatch.setattr(model, "PAIRS", 70)
    np.testing.assert_array_equal(neighbours(SHAPE, one.points, one.labels), whole)
    np.testing.assert_array_equal(added(SHAPE, one.points, one.labels, at, 1, whole), more)


@pytest.mark.parametrize("label", [0, 1, 2])
def test_what_a_cell_adds_is_the_difference_with_and_without_it(label):
    one = layout()
    around, full = neighbours(SHAPE, one.points, one.labels), statistics(SHAPE, one, torus=False)
    at = np.random.default_rng(1).uniform(0, (80, 70), (6, 2))
    for place, more in zip(at, added(SHAPE, one.points, one.labels, at, label, around), strict=True):
        with_it = Layout(np.vstack([one.points, place]), np.append(one.labels, np.uint8(label)), one.size)
        np.testing.assert_array_equal(statistics(SHAPE, with_it, torus=False) - full, more)
    cells = np.flatnonzero(one.labels == label)
    each = added(SHAPE, one.points, one.labels, one.points[cells], label, around, cells)
    for cell, more in zip(cells, each, strict=True):
        without = Layout(np.delete(one.points, cell, 0), np.delete(one.labels, cell), one.size)
        np.testing.assert_array_equal(full - statistics(SHAPE, without, torus=False), more)
