import math
import time

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.detection import count_matches, detection_scores, match, scores

CLASSES = ("a", "b", "c")


def brute(reference, predicted, radius):
    """(pairs, total distance) of the best of all matchings, by trying every one."""

    def best(i, free):
        if i == len(reference):
            return 0, 0.0
        options = [best(i + 1, free)]
        for j in free:
            distance = math.dist(reference[i], predicted[j])
            if distance <= radius:
                pairs, total = best(i + 1, free - {j})
                options.append((pairs + 1, total + distance))
        return min(options, key=lambda option: (-option[0], option[1]))

    return best(0, frozenset(range(len(predicted))))


def lengths(reference, predicted, pairs):
    return np.hypot(*(np.asarray(reference)[pairs[:, 0]] - np.asarray(predicted)[pairs[:, 1]]).T)


def layout(points, labels, source="", size=(200, 200)):
    return Layout(np.array(points, np.float32).reshape(-1, 2), np.array(labels, np.uint8), size, source)


def test_matching_is_the_best_of_all_matchings():
    rng = np.random.default_rng(0)
    for case in range(1000):
        n, m = rng.integers(0, 6, 2)
        draw = rng.integers if case % 2 else rng.uniform  # integers make ties and boundary cases
        reference, predicted = draw(0, 16, (n, 2)).astype(float), draw(0, 16, (m, 2)).astype(float)
        pairs = match(reference, predicted, 6.0)
        assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
        distance = lengths(reference, predicted, pairs)
        assert (distance <= 6).all()
        expected = brute(reference, predicted, 6.0)
        assert len(pairs) == expected[0]
        assert distance.sum() == pytest.approx(expected[1], abs=1e-9)


def test_more_pairs_win_over_nearer_ones():
    reference, predicted = [(0, 0), (0, 5)], [(0, 4), (0, 10)]
    assert match(reference, predicted).tolist() == [[0, 0], [1, 1]]  # nearest first would leave (0, 0) alone


def test_of_as_many_pairs_the_nearest_win_over_the_order_of_the_dots():
    reference, predicted = [(0, 0), (0, 3)], [(0, 3), (0, 1)]
    assert match(reference, predicted).tolist() == [[0, 1], [1, 0]]
    assert match([(0, 4), (0, 1)], [(0, 0)]).tolist() == [[1, 0]]


def test_distance_of_exactly_the_radius_counts():
    assert len(match([(10, 10)], [(10, 16)])) == 1
    assert len(match([(0, 0)], [(3, 4)], radius=5)) == 1
    assert len(match([(10, 10)], [(10, 16.001)])) == 0


def test_matching_is_symmetric_and_independent_of_order():
    rng = np.random.default_rng(1)
    one, two = rng.uniform(0, 60, (40, 2)), rng.uniform(0, 60, (55, 2))
    forth, back = match(one, two), match(two, one)
    assert set(map(tuple, forth)) == {(i, j) for j, i in back}
    shuffle = rng.permutation(55)
    again = match(one, two[shuffle])
    assert set(map(tuple, forth)) == {(i, shuffle[j]) for i, j in again}


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0)])
def test_nothing_matches_nothing(n, m):
    assert match(np.zeros((n, 2)), np.zeros((m, 2))).shape == (0, 2)


def test_dots_in_one_place_match_one_to_one():
    assert len(match([(5, 5)] * 4, [(5, 5)] * 3)) == 3


def test_images_with_700_dots_and_dots_all_in_reach_are_fast():
    rng = np.random.default_rng(2)
    spread = rng.uniform(0, 300, (2, 700, 2))
    packed = rng.uniform(0, 4, (2, 300, 2))
    start = time.perf_counter()
    assert len(match(*spread)) > 300
    assert len(match(*packed)) == 300
    assert time.perf_counter() - start < 2


def test_counts_of_classes_and_of_detection_without_class():
    reference = layout([(10, 10), (50, 50), (90, 90), (150, 150)], [0, 0, 1, 1])
    predicted = layout([(11, 10), (50, 51), (90, 92), (20, 150)], [0, 1, 1, 1])
    counts = count_matches(reference, predicted, CLASSES)
    assert counts.tolist() == [[1, 0, 1], [1, 2, 1], [0, 0, 0], [3, 1, 1]]


def test_scores_are_those_of_the_definitions():
    counts = np.array([[8, 2, 4], [0, 3, 0], [0, 0, 0], [9, 3, 1]])
    result = scores(counts, CLASSES)
    assert result["precision"]["a"] == pytest.approx(0.8)
    assert result["recall"]["a"] == pytest.approx(8 / 12)
    assert result["f1"]["a"] == pytest.approx(2 / (1 / 0.8 + 12 / 8))
    assert result["f1"]["b"] == 0
    assert math.isnan(result["recall"]["b"])
    assert math.isnan(result["f1"]["c"])
    assert result["f1"]["mean"] == pytest.approx(result["f1"]["a"] / 2)
    assert result["f1"]["detection"] == pytest.approx(18 / 22)
    assert list(result["f1"]) == [*CLASSES, "mean", "detection"]


def test_scores_of_nothing_are_nan_without_a_warning():
    assert all(math.isnan(v) for row in scores(np.zeros((4, 3)), CLASSES).values() for v in row.values())


def test_scores_refuse_counts_of_other_classes():
    with pytest.raises(CellscaperError, match=r"expected \(4, 3\)"):
        scores(np.zeros((3, 3)), CLASSES)


def test_images_are_pooled_not_averaged():
    reference = LayoutSet.build(
        [layout([(5, 5)], [0], "one"), layout([(i, 0) for i in range(0, 90, 10)], [0] * 9, "two")], CLASSES, 0.5
    )
    predicted = LayoutSet.build([layout([(5, 5)], [0], "one"), layout([], [], "two")], CLASSES, 0.5)
    result = detection_scores(reference, predicted)
    assert result["recall"]["detection"] == pytest.approx(0.1)
    assert result["precision"]["a"] == 1
    assert result["f1"]["mean"] == pytest.approx(2 / 11)


def test_a_detection_of_itself_is_perfect_and_swapping_sides_swaps_precision_and_recall():
    rng = np.random.default_rng(3)
    one, two = (
        LayoutSet.build(
            [layout(rng.uniform(0, 50, (n, 2)), rng.integers(0, 3, n), f"{i}") for i in range(4)], CLASSES, 0.5
        )
        for n in (30, 40)
    )
    assert set(detection_scores(one, one)["f1"].values()) == {1.0}
    forth, back = detection_scores(one, two), detection_scores(two, one)
    assert forth["precision"] == pytest.approx(back["recall"])
    assert forth["f1"] == pytest.approx(back["f1"])


def test_refuses_other_images_or_classes():
    one = LayoutSet.build([layout([(5, 5)], [0], "one")], CLASSES, 0.5)
    other = LayoutSet.build([layout([(5, 5)], [0], "other")], CLASSES, 0.5)
    with pytest.raises(CellscaperError, match="same order"):
        detection_scores(one, other)
    with pytest.raises(CellscaperError, match="classes"):
        detection_scores(one, LayoutSet.build([layout([(5, 5)], [0], "one")], ("x", "y", "z"), 0.5))
