"""Stacks of layouts, and whose turn it is."""

import numpy as np

from cellscaper.generators.side_by_side import BLOCK, CELLS, Stack, stacks, steps_of
from cellscaper.layouts import Layout


def test_a_stack_gives_its_layouts_back():
    rng = np.random.default_rng(0)
    items = [
        Layout(rng.uniform(0, 40, (n, 2)).astype(np.float32), rng.integers(0, 3, n).astype(np.uint8), (40, 50))
        for n in (5, 2, 0)
    ]
    for before, after in zip(items, Stack.of(items).layouts(), strict=True):
        np.testing.assert_array_equal(before.points, after.points)
        np.testing.assert_array_equal(before.labels, after.labels)
        assert after.size == (40, 50)


def test_places_outside_come_back_on_the_other_side():
    stack = Stack.of([Layout(np.zeros((1, 2), np.float32), np.zeros(1, np.uint8), (40, 50))])
    places = stack.inside(np.array([[-1.0, 41.0, 40.0, np.nextafter(40, 0)], [51.0, -2.0, 50.0, 3.0]]))
    np.testing.assert_allclose(places[:, :3], [[39, 1, 0], [1, 48, 0]])
    assert places.dtype == np.float32
    assert (places < [[40], [50]]).all()


def test_every_layout_is_in_one_stack_of_similar_counts():
    counts = np.random.default_rng(0).integers(0, 300, 200)
    found = list(stacks(counts, 32))
    assert sorted(row for rows in found for row in rows) == list(range(200))
    flat = [counts[row] for rows in found for row in rows]
    assert flat == sorted(flat, reverse=True)
    assert all(len(rows) <= 32 and len(rows) * counts[rows[0]] <= CELLS for rows in found)
    assert list(stacks(np.array([10 * CELLS, 1]), 8)) == [[0], [1]]


def test_each_chain_takes_its_steps_with_numbers_of_its_own():
    steps = np.array([BLOCK + 3, BLOCK, 5, 0])
    taken = list(steps_of([np.random.default_rng(i) for i in range(4)], steps, 2))
    assert [m for m, _, _ in taken] == [3] * 5 + [2] * (BLOCK - 5) + [1] * 3
    alone = list(steps_of([np.random.default_rng(1)], steps[1:2], 2))
    for (m, uniform, exponential), (_, its, own) in zip(taken, alone, strict=False):
        assert m > 1
        np.testing.assert_array_equal(uniform[1], its[0])
        assert exponential[1] == own[0]
