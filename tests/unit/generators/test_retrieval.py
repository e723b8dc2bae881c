"""Training windows with the nearest counts, plain and repaired."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from cellscaper.errors import CellscaperError
from cellscaper.generators import retrieval
from cellscaper.generators.protocol import Request
from cellscaper.generators.retrieval import repair, window_counts
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.seeds import sample_seeds
from cellscaper.run.settings import read
from cellscaper.views.patches import sliding_windows
from cellscaper.views.symmetries import EIGHT, transform


def images(sizes, cells=60, seed=0):
    rng = np.random.default_rng(seed)
    items = [
        Layout(rng.uniform(0, size, (cells, 2)), rng.integers(0, 3, cells).astype(np.uint8), size, f"image_{i}")
        for i, size in enumerate(sizes)
    ]
    return LayoutSet.build(items, ("a", "b", "c"), 0.5)


def retrieved(targets, seeds, train, repaired=False, small="error"):
    settings = retrieval.Settings(window_stride=5, repair=repaired, min_distance=2.0)
    return retrieval.generate(Request(targets, seeds, settings, train, 32, small)).sets["points"]


def targets(n=25, seed=7):
    rng = np.random.default_rng(seed)
    return LayoutSet.build(
        [
            Layout(rng.uniform(0, 32, (k, 2)), rng.integers(0, 3, k).astype(np.uint8), (32, 32))
            for k in rng.integers(0, 40, n)
        ],
        ("a", "b", "c"),
        0.5,
    )


@pytest.mark.parametrize("stride", [1, 5, 7])
def test_counts_of_all_windows_equal_those_of_the_windows_cut_out(stride):
    train = images([(50, 41), (32, 32), (64, 37)])
    windows, counts = window_counts(train, 32, stride, "error")
    cut = sliding_windows(train, 32, stride)
    np.testing.assert_array_equal(counts, cut.counts())
    np.testing.assert_array_equal(windows[:, 0], cut.columns["image"])
    np.testing.assert_array_equal(windows[:, 1:], cut.origin)


def test_no_training_window_has_nearer_counts():
    train, wanted = images([(50, 41), (64, 70)]), targets()
    made = retrieved(wanted, sample_seeds(0, 25, 1), train)
    windows = sliding_windows(train, 32, 5).counts()
    for asked, got in zip(wanted.counts(), made.counts(), strict=True):
        assert np.abs(asked - got).sum() == min(np.abs(asked - one).sum() for one in windows)
    assert made.columns["target"].tolist() == list(range(25))
    np.testing.assert_array_equal(made.size, wanted.size)


def test_a_layout_is_its_window_in_one_of_the_eight_symmetries():
    train = images([(50, 41), (64, 70)])
    made = retrieved(targets(), sample_seeds(0, 25, 1), train)
    used = set()
    for layout in made:
        image = train.layout(int(layout.source[-1]))
        local = image.points - np.array(layout.origin, np.float32)
        inside = ((local >= 0) & (local < 32)).all(axis=1)
        np.testing.assert_array_equal(layout.labels, image.labels[inside])
        same = [s for s in EIGHT if np.array_equal(transform(local[inside], s, 32), layout.points)]
        assert same
        used.update(same[:1])
    assert len(used) > 4


def test_windows_with_equal_counts_are_all_drawn():
    one = Layout(np.array([[3, 3]], np.float32), np.zeros(1, np.uint8), (32, 32))
    train = LayoutSet.build([Layout(one.points + i, one.labels, one.size, f"image_{i}") for i in range(4)], "abc", 0.5)
    wanted = LayoutSet.build([one] * 60, "abc", 0.5)
    made = retrieved(wanted, sample_seeds(0, 60, 1), train)
    assert set(made.source) == {f"image_{i}" for i in range(4)}


def test_repaired_layouts_have_the_exact_counts():
    wanted = targets()
    made = retrieved(wanted, sample_seeds(0, 25, 1), images([(50, 41), (64, 70)]), repaired=True)
    np.testing.assert_array_equal(made.counts(), wanted.counts())


def test_repair_keeps_what_it_can_and_adds_at_a_distance():
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(4, 60, 8), np.arange(4, 60, 8)), axis=-1).reshape(-1, 2).astype(np.float32)
    labels = rng.integers(0, 2, len(grid)).astype(np.uint8)
    n = np.bincount(labels)
    wanted = np.repeat([0, 1, 2], [n[0] - 5, n[1] + 3, 4]).astype(np.uint8)
    points, found = repair(grid, labels, wanted, 3.0, 64, rng)
    np.testing.assert_array_equal(np.bincount(found), [n[0] - 5, n[1] + 3, 4])
    before = {(*p, k) for p, k in zip(grid.tolist(), labels.tolist(), strict=True)}
    after = [(*p, k) for p, k in zip(points.tolist(), found.tolist(), strict=True)]
    assert len(before.intersection(after)) == len(grid) - 5
    assert pdist(points.astype(float)).min() >= 3


def test_repair_from_and_to_nothing():
    rng = np.random.default_rng(0)
    none = np.zeros((0, 2), np.float32), np.zeros(0, np.uint8)
    points, labels = repair(*none, np.array([1, 1], np.uint8), 3.0, 32, rng)
    assert points.shape == (2, 2)
    assert labels.tolist() == [1, 1]
    points, labels = repair(points, labels, none[1], 3.0, 32, rng)
    assert points.shape == (0, 2)
    assert repair(*none, none[1], 3.0, 32, rng)[0].shape == (0, 2)


def test_a_layout_depends_on_its_own_seed_and_target_alone():
    train, wanted, seeds = images([(50, 41), (64, 70)]), targets(4), sample_seeds(0, 4, 1)
    together = retrieved(wanted, seeds, train, repaired=True)
    for i in range(4):
        alone = retrieved(wanted[[i]], [seeds[i]], train, repaired=True)
        np.testing.assert_array_equal(alone.points, together.layout(i).points)


def test_small_images_and_bad_strides_are_refused():
    with pytest.raises(CellscaperError, match="smaller than"):
        retrieved(targets(2), [0, 1], images([(20, 64), (40, 40)]))
    made = retrieved(targets(2), [0, 1], images([(20, 64), (40, 40)]), small="skip")
    assert set(made.source) == {"image_1"}
    with pytest.raises(CellscaperError, match="window_stride = 0: Input should be greater than or equal to 1"):
        read(retrieval.Settings, {"window_stride": 0}, "generators retrieval")
