"""Cross-class metrics against loops, closed forms and what they are there to notice."""

import math
import warnings

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.cross_class import cross_class, mixing, nearest_neighbours, own_distances

METRICS = {"cross_k", "pair_correlation", "pair_correlation_short", "nn_distance", "nn_mixing"}


def as_set(items, classes=("a", "b", "c")):
    return LayoutSet.build(items, classes, 0.5)


def uniform(seed, n=20, cells=40, size=(128, 128), classes=3):
    rng = np.random.default_rng(seed)
    return [
        Layout(
            (rng.random((cells, 2)) * size).astype(np.float32), rng.integers(0, classes, cells).astype(np.uint8), size
        )
        for _ in range(n)
    ]


def segregated(seed, n=40):
    """Classes in three vertical stripes."""
    return [Layout(x.points, (x.points[:, 1] // 43).astype(np.uint8), x.size) for x in uniform(seed, n)]


def permuted(items, seed=0):
    rng = np.random.default_rng(seed)
    return [Layout(x.points, rng.permutation(x.labels), x.size) for x in items]


def by_loops(layout, own):
    """(distance, class of the neighbour) of each cell to its nearest other one, or the nearest of its class."""
    found = []
    for a, one in enumerate(layout.points.astype(float)):
        others = [
            (math.dist(one, two), int(layout.labels[b]))
            for b, two in enumerate(layout.points.astype(float))
            if b != a and (not own or layout.labels[a] == layout.labels[b])
        ]
        found.append(min(others) if others else None)
    return found


def test_a_set_compared_with_itself_scores_zero_everywhere():
    layouts = as_set(uniform(0))
    scores = cross_class(layouts, layouts)
    assert set(scores) == METRICS
    assert all(value == 0 for values in scores.values() for value in values.values())
    assert list(scores["cross_k"]) == ["a-a", "a-b", "a-c", "b-b", "b-c", "c-c", "mean"]
    assert list(scores["nn_distance"]) == ["a", "b", "c", "mean", "any"]
    assert list(scores["nn_mixing"]) == ["a", "b", "c", "mean"]


def test_permuted_classes_show_in_every_metric_but_the_pooled_one():
    real = segregated(0)
    floor, found = (cross_class(as_set(real), as_set(other)) for other in (segregated(1), permuted(real)))
    for metric in METRICS:
        assert found[metric]["mean"] > 5 * floor[metric]["mean"], metric
    assert found["nn_distance"]["any"] == 0 < floor["nn_distance"]["any"]


def test_the_names_of_the_classes_do_not_matter():
    """Swapping two classes on both sides renames the values and leaves the means."""
    swap = np.array([1, 0, 2], np.uint8)
    real, made = segregated(0), permuted(segregated(1))
    one = cross_class(as_set(real), as_set(made))
    two = cross_class(*(as_set([Layout(x.points, swap[x.labels], x.size) for x in s]) for s in (real, made)))
    for metric in METRICS:
        assert one[metric]["mean"] == pytest.approx(two[metric]["mean"])
    assert one["cross_k"]["a-c"] == pytest.approx(two["cross_k"]["b-c"])
    assert one["nn_mixing"]["a"] == pytest.approx(two["nn_mixing"]["b"])


def test_cross_k_of_cells_spread_twice_as_wide_is_known():
    """Uniform against uniform in the inner half: L of the latter at r is that of a window half as wide at r."""
    inner = [Layout(x.points / 2 + 32, x.labels, x.size) for x in uniform(1, n=200)]
    scores = cross_class(as_set(uniform(0, n=200)), as_set(inner))
    # two uniform points in a square of side s: P(d ≤ r) = π(r/s)² - 8/3 (r/s)³ + (r/s)⁴/2; the weight of a pair in
    # the whole window varies slowly, integrated numerically
    rng = np.random.default_rng(0)
    shift = np.abs(np.subtract(*rng.uniform(0, 64, (2, 400_000, 2))))
    weight, distance = 128**4 / (128 - shift).prod(axis=1), np.hypot(*shift.T)
    radii = [15, 30, 45, 60]
    lengths = [np.sqrt((weight * (distance <= r)).mean() / np.pi) for r in radii]
    assert (distance <= 30).mean() == pytest.approx(
        np.pi * (30 / 64) ** 2 - 8 / 3 * (30 / 64) ** 3 + (30 / 64) ** 4 / 2, rel=0.01
    )
    assert scores["cross_k"]["mean"] == pytest.approx(np.mean(np.subtract(lengths, radii)), rel=0.03)


def test_nearest_neighbours_equal_loops_and_stay_in_their_layout():
    items = [*uniform(0, n=5, cells=9), *uniform(1, n=3, cells=1), *uniform(2, n=2, cells=0), *uniform(3, n=2, cells=2)]
    layouts = as_set(items)
    distance, cell = nearest_neighbours(layouts)
    expected = [found for layout in layouts for found in by_loops(layout, own=False)]
    for i, found in enumerate(expected):
        if found is None:
            assert distance[i] == np.inf
            assert cell[i] == -1
        else:
            assert distance[i] == pytest.approx(found[0])
            assert layouts.labels[cell[i]] == found[1]
    for label in range(3):
        own = [
            found[0]
            for layout in layouts
            for found, k in zip(by_loops(layout, own=True), layout.labels, strict=True)
            if found and k == label
        ]
        np.testing.assert_allclose(own_distances(layouts, label), own)


def test_cells_in_one_place_are_neighbours_of_each_other_not_of_themselves():
    points = np.array([[5, 5]] * 4 + [[9, 9]], np.float32)
    layouts = as_set([Layout(points, np.array([0, 0, 0, 0, 1], np.uint8), (20, 20))])
    distance, cell = nearest_neighbours(layouts)
    assert (distance[:4] == 0).all()
    assert (cell != np.arange(5)).all()


def test_distances_of_uniform_cells_follow_their_closed_form():
    """Mean 1/(2√λ) for cells away from the border."""
    layouts = as_set(uniform(0, n=30, cells=400, size=(400, 400), classes=1), ("a",))
    inner = ((layouts.points > 50) & (layouts.points < 350)).all(axis=1)
    assert nearest_neighbours(layouts)[0][inner].mean() == pytest.approx(1 / (2 * np.sqrt(400 / 400**2)), rel=0.02)


def test_mixing_of_independent_classes_is_their_frequency():
    items = [Layout(x.points, np.array([0] * 30 + [1] * 10, np.uint8), x.size) for x in uniform(0, n=300)]
    expected = [[29 / 39, 10 / 39], [30 / 39, 9 / 39]]
    np.testing.assert_allclose(mixing(as_set(items, ("a", "b"))), expected, atol=0.015)


def test_known_neighbour_distances_and_mixing():
    pair = np.array([[10, 10], [10, 13], [50, 50], [50, 54]], np.float32)
    real = as_set([Layout(pair, np.array([0, 0, 1, 1], np.uint8), (64, 64))], ("a", "b"))
    made = as_set([Layout(pair, np.array([0, 1, 1, 0], np.uint8), (64, 64))], ("a", "b"))
    scores = cross_class(real, made)
    apart = np.hypot(40, 44), np.hypot(40, 37)
    assert scores["nn_distance"]["a"] == pytest.approx(apart[0] - 3)
    assert scores["nn_distance"]["b"] == pytest.approx(apart[1] - 4)
    assert scores["nn_distance"]["mean"] == pytest.approx((apart[0] + apart[1] - 7) / 2)
    assert scores["nn_mixing"] == {"a": 1.0, "b": 1.0, "mean": 1.0}


def test_what_the_real_layouts_lack_is_left_out_of_the_mean_and_what_only_the_generated_lack_is_not():
    both, without = uniform(0, classes=2), uniform(1, classes=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        never = cross_class(as_set(both), as_set(uniform(2, classes=2)))
        lost = cross_class(as_set(both), as_set(without))
    for metric, values in never.items():
        defined = {k: v for k, v in values.items() if "c" not in k and k not in ("mean", "any")}
        assert all(math.isnan(values[k]) for k in values if "c" in k)
        assert values["mean"] == pytest.approx(np.mean(list(defined.values()))), metric
        assert not math.isnan(values["mean"])
    for values in lost.values():
        assert math.isnan(values["mean"])
        assert not math.isnan(values.get("a", values.get("a-a")))


@pytest.mark.parametrize("n", [(0, 3), (3, 0)])
def test_an_empty_side_is_refused(n):
    with pytest.raises(CellscaperError, match="give at least one on each side"):
        cross_class(as_set(uniform(0, n=n[0])), as_set(uniform(1, n=n[1])))


def test_other_classes_and_tiny_layouts_are_refused():
    with pytest.raises(CellscaperError, match="expected the same, in order"):
        cross_class(as_set(uniform(0)), as_set(uniform(0), ("a", "c", "b")))
    tiny = as_set(uniform(0, size=(28, 128)))
    with pytest.raises(CellscaperError, match="half the shortest side is 14 px"):
        cross_class(tiny, tiny)
