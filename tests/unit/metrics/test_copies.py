"""Distances to the nearest training crop against all windows in turn, and generators that copy."""

import math

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet, crop
from cellscaper.metrics.copies import REACH, _windows, copies, layout_distance, nearest_crops, nearest_training, turn
from cellscaper.views.symmetries import EIGHT, inverse, transform

CLASSES = ("a", "b")


def clustered(rng, size, clusters):
    """Tissue-like: one class in clusters, one scattered."""
    centres = rng.uniform(0, size, (clusters, 2))
    near = centres[rng.integers(0, clusters, 6 * clusters)] + rng.normal(0, 8, (6 * clusters, 2))
    far = rng.uniform(0, size, (5 * clusters, 2))
    points = np.concatenate([near, far]).astype(np.float32)
    labels = np.repeat([0, 1], [len(near), len(far)]).astype(np.uint8)
    inside = ((points >= 0) & (points < size)).all(axis=1)
    return Layout(points[inside], labels[inside], size)


def some(seed, n, size, clusters):
    rng = np.random.default_rng(seed)
    return LayoutSet.build([clustered(rng, size, clusters) for _ in range(n)], CLASSES, 0.5)


TRAIN = some(0, 4, (112, 120), 10)


def cut(seed, n, side=64):
    """Training windows anywhere, turned."""
    rng, items = np.random.default_rng(seed), []
    for _ in range(n):
        y, x = rng.integers(0, 112 - side), rng.integers(0, 120 - side)
        items.append(turn(crop(TRAIN.layout(int(rng.integers(4))), int(y), int(x), side, side), int(rng.integers(8))))
    return LayoutSet.build(items, CLASSES, 0.5)


def by_loops(one, two):
    total = 0.0
    for a, b in ((one, two), (two, one)):
        for p, k in zip(a.points.tolist(), a.labels, strict=True):
            total += min(
                [REACH, *(math.dist(p, q) for q, m in zip(b.points.tolist(), b.labels, strict=True) if m == k)]
            )
    return total / (len(one) + len(two))


def test_layout_distance_equals_a_loop_over_cells():
    layouts = some(1, 6, (64, 64), 3)
    for one in layouts:
        for two in layouts:
            assert layout_distance(one, two) == pytest.approx(by_loops(one, two), abs=1e-9)
            assert layout_distance(one, two) == pytest.approx(layout_distance(two, one))


def test_classes_and_missing_cells_count():
    points = np.array([[10, 10], [50, 50]], np.float32)
    one = Layout(points, np.array([0, 1], np.uint8), (64, 64))
    other_class = Layout(points, np.array([0, 0], np.uint8), (64, 64))
    lost = Layout(points[:1], np.array([0], np.uint8), (64, 64))
    nothing = Layout(points[:0], np.zeros(0, np.uint8), (64, 64))
    assert layout_distance(one, one) == layout_distance(nothing, nothing) == 0
    assert layout_distance(one, other_class) == REACH / 2
    assert layout_distance(one, lost) == pytest.approx(REACH / 3)
    assert layout_distance(one, nothing) == layout_distance(nothing, one) == REACH


@pytest.mark.parametrize("symmetry", EIGHT)
def test_descriptors_turn_with_the_layout(hard_points, turned, symmetry):
    points = hard_points(256, 200, symmetry)
    one = Layout(points, (np.arange(200) % 2).astype(np.uint8), (256, 256))
    (corners, plain), (_, other) = (_windows(layout, 256, 2) for layout in (one, turn(one, symmetry)))
    assert corners.tolist() == [[0, 0]]
    np.testing.assert_allclose(other.reshape(2, 8, 8), turned(plain.reshape(2, 8, 8), symmetry), atol=1e-5)


@pytest.mark.slow
def test_the_search_never_beats_all_windows_and_comes_near_them():
    """All 725 windows 2 px apart in all symmetries, against a shortlist of 8 of the 56 windows 8 px apart."""
    layouts, image = some(2, 4, (64, 64), 3), TRAIN.layout(0)
    windows = [crop(image, y, x, 64, 64) for y in range(0, 49, 2) for x in range(0, 57, 2)]
    best = [min(layout_distance(turn(layout, s), w) for s in EIGHT for w in windows) for layout in layouts]
    found = nearest_training(layouts, TRAIN[:1], shortlist=8)
    assert (found >= np.array(best) - 1e-9).all()
    assert (found - best).mean() < 1.0


def test_copies_are_found_wherever_they_lie_and_however_they_are_turned():
    assert nearest_training(cut(3, 25), TRAIN).max() < 2.1  # the search looks at every second pixel
    on_grid = turn(crop(TRAIN.layout(2), 16, 24, 64, 64), 5)
    found = nearest_training(LayoutSet.build([on_grid], CLASSES, 0.5), TRAIN)[0]
    assert found == pytest.approx(0, abs=0.1)  # cells less than a pixel from the border move there when turned


@pytest.mark.slow
def test_a_generator_that_copies_is_told_from_one_that_does_not():
    real, honest = some(4, 60, (64, 64), 3), some(5, 60, (64, 64), 3)
    new, mixed = copies(real, honest, TRAIN, shortlist=16), LayoutSet.build([*honest[:48], *cut(6, 12)], CLASSES, 0.5)
    assert new["copies"]["p"] > 0.01
    found = copies(real, mixed, TRAIN, shortlist=16)
    assert found["copies"]["p"] < 0.01
    assert 11 / 60 <= found["copies"]["share"] < 0.25  # one of the 12 copies may lie 2 px off all windows
    assert found["copy_distance"]["p01"] < 2.1 < found["copy_distance"]["real_p01"]
    for name in ("real_median", "real_p01"):
        assert found["copy_distance"][name] == new["copy_distance"][name]


def test_the_order_of_the_layouts_does_not_matter(monkeypatch):
    layouts = some(7, 9, (64, 64), 3)
    whole = nearest_training(layouts, TRAIN)
    monkeypatch.setattr("cellscaper.metrics.copies._BLOCK", 4)
    np.testing.assert_allclose(nearest_training(layouts[::-1], TRAIN)[::-1], whole, atol=1e-3)


def test_what_cannot_be_compared_is_refused():
    square = some(8, 2, (64, 64), 3)
    with pytest.raises(CellscaperError, match="no layouts to compare"):
        nearest_training(square[:0], TRAIN)
    with pytest.raises(CellscaperError, match="expected squares that fit"):
        nearest_training(some(8, 2, (64, 48), 3), TRAIN)
    with pytest.raises(CellscaperError, match=r"expected squares that fit .* \(the largest is 120 px\)"):
        nearest_training(some(8, 2, (128, 128), 3), TRAIN)
    with pytest.raises(CellscaperError, match="classes"):
        nearest_training(LayoutSet.build([*square], ("b", "a"), 0.5), TRAIN)


def test_the_nearest_crop_lies_over_a_layout_that_was_copied_turned_and_moved():
    for symmetry in EIGHT:
        copied = turn(crop(TRAIN.layout(1), 9, 17, 64, 64), symmetry)
        layouts = LayoutSet.build([copied], CLASSES, 0.5)
        found = nearest_crops(layouts, TRAIN)[0]
        assert found.distance == pytest.approx(layout_distance(copied, found.crop), abs=1e-3)
        assert found.distance == pytest.approx(nearest_training(layouts, TRAIN)[0])
        assert found.distance < 1.6  # the grid of windows and shifts is 2 px
        assert found.crop.size == (64, 64)
        assert np.abs(np.array(found.crop.origin) - (9, 17)).max() <= 1


@pytest.mark.parametrize("symmetry", EIGHT)
def test_a_symmetry_and_its_inverse_change_nothing(symmetry):
    points = np.random.default_rng(symmetry).uniform(0, 31, (20, 2)).astype(np.float32)
    back = transform(transform(points, symmetry, 32), inverse(symmetry), 32)
    np.testing.assert_allclose(back, points, atol=1e-4)
