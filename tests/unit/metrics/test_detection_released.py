"""The released script's way of counting, against plain loops over dot maps and on cases made by hand."""

import math

import numpy as np
import pytest

from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.detection import count_matches, image_counts, match, scores
from cellscaper.metrics.detection_released import count_matches_released, greedy_hits, ratios_released, to_pixels

RADII = (1, 2, 3, 4, 5, 6)
SIZE = (24, 20)


def layout(points, labels, source=""):
    return Layout(np.array(points, np.float32).reshape(-1, 2), np.array(labels, np.uint8), SIZE, source)


def plain_loop(dots, found, radius):
    """Hits on dot maps: reference pixels in raster order, each takes the nearest detection still on the map."""
    hits = 0
    free = {pixel for pixel in zip(*np.nonzero(found), strict=True)}
    for y in range(SIZE[0]):
        for x in range(SIZE[1]):
            if dots[y, x]:
                near = sorted((math.dist((y, x), p), p) for p in free if math.dist((y, x), p) < radius)
                if near:
                    free.remove(near[0][1])
                    hits += 1
    return hits


def test_a_detection_between_pixels_goes_to_the_even_one_as_in_the_script():
    assert to_pixels(np.array([[2.5, 3.5], [7.4, 7.6], [23.9, 0.5]]), SIZE).tolist() == [[2, 4], [7, 8], [23, 0]]


def test_greedy_matching_equals_plain_loops_over_dot_maps():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        maps = [np.zeros(SIZE, bool), np.zeros(SIZE, bool)]
        for one in maps:
            n = rng.integers(0, 9)
            one[rng.integers(0, 14, n), rng.integers(0, 14, n)] = True
        radius = float(rng.choice(RADII))
        dots, found = (np.argwhere(one) for one in maps)
        assert greedy_hits(dots, found, radius) == plain_loop(*maps, radius)


def test_greedy_and_optimal_differ_where_an_upper_dot_takes_what_only_a_lower_one_can_reach():
    """Dot a (row 5) may take p or q, dot b (row 10) q alone; a is nearer to q and comes first in raster order."""
    reference = layout([(5, 5), (10, 5)], [0, 0])
    predicted = layout([(1, 5), (8, 5)], [0, 0])
    assert match(reference.points, predicted.points).tolist() == [[0, 0], [1, 1]]
    assert count_matches(reference, predicted, ("a",)).tolist() == [[2, 0, 0], [2, 0, 0]]
    released = count_matches_released(reference, predicted, ("a",), RADII)
    assert released[-1].tolist() == [[1, 1, 1], [1, 1, 1]]


def test_the_order_of_the_dots_decides_what_greedy_finds():
    """The same case upside down: the lower dot is now the upper one, and both are matched."""
    reference = layout([(10, 5), (15, 5)], [0, 0])
    predicted = layout([(12, 5), (19, 5)], [0, 0])
    assert count_matches_released(reference, predicted, ("a",), RADII)[-1, 0].tolist() == [2, 0, 0]


def test_a_detection_exactly_at_the_threshold_does_not_count():
    reference, predicted = layout([(0, 0)], [0]), layout([(3, 4)], [0])
    hits = count_matches_released(reference, predicted, ("a",), RADII)[:, 0, 0]
    assert hits.tolist() == [0, 0, 0, 0, 0, 1]
    assert count_matches(reference, predicted, ("a",), radius=5)[0].tolist() == [1, 0, 0]


def test_an_image_without_detections_adds_its_misses_once_a_threshold():
    reference, nothing = layout([(2, 2), (9, 9), (15, 3)], [0, 0, 1]), layout([], [])
    counts = count_matches_released(reference, nothing, ("a", "b"), RADII)
    assert counts[:, :, 2].tolist() == [[12, 6, 18]] * 6
    assert counts[:, :, :2].sum() == 0
    one_class = count_matches_released(reference, layout([(2, 2)], [0]), ("a", "b"), RADII)
    assert one_class[-1].tolist() == [[1, 0, 1], [0, 0, 6], [1, 0, 2]]  # class b alone is without detections


def test_dots_in_one_pixel_merge_and_for_detection_those_of_two_classes_too():
    reference = layout([(4.2, 4.4), (3.9, 4.1), (4, 4)], [0, 0, 1])
    counts = count_matches_released(reference, reference, ("a", "b"), RADII)
    assert counts[-1].tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 0]]


def test_pixels_are_in_raster_order_inside_the_image():
    pixels = to_pixels(np.array([(5, 9), (5, 1), (2, 19.7), (23.8, 0), (5.4, 1.3)]), SIZE)
    assert pixels.tolist() == [[2, 19], [5, 1], [5, 9], [23, 0]]


def test_nothing_over_nothing_is_a_perfect_score():
    precision, recall, f1 = ratios_released(np.array([[0, 0, 0], [0, 0, 4], [0, 3, 0], [6, 2, 2]]))
    assert precision.tolist() == [1, 1, 0, 0.75]
    assert recall.tolist() == [1, 0, 1, 0.75]
    assert f1.tolist() == [1, 0, 0, 0.75]
    both = scores(np.array([[0, 0, 0], [6, 2, 2], [6, 2, 2]]), ("a", "b"), "released")
    assert both["f1"] == pytest.approx({"a": 1, "b": 0.75, "mean": 0.875, "detection": 0.75})
    assert scores(np.array([[0, 0, 0], [6, 2, 2], [6, 2, 2]]), ("a", "b"))["f1"]["mean"] == pytest.approx(0.75)


def test_counts_of_a_set_are_those_of_its_images_in_both_protocols():
    rng = np.random.default_rng(3)

    def draw(source):
        return layout(rng.integers(0, 20, (12, 2)), rng.integers(0, 2, 12), source)

    one, two = ([draw(name) for name in "xyz"] for _ in range(2))
    sets = [LayoutSet.build(items, ("a", "b"), 0.5) for items in (one, two)]
    optimal, greedy = image_counts(*sets, RADII), image_counts(*sets, RADII, "released")
    assert optimal.shape == greedy.shape == (3, 6, 3, 3)
    for i in range(3):
        assert optimal[i, 2].tolist() == count_matches(one[i], two[i], ("a", "b"), 3).tolist()
        assert greedy[i].tolist() == count_matches_released(one[i], two[i], ("a", "b"), RADII).tolist()
    assert (np.diff(optimal[..., 0], axis=1) >= 0).all()  # a wider threshold never loses a pair
