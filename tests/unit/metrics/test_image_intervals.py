"""Intervals over images against a bootstrap written out, for scores whose resamples are simple sums."""

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics import counts
from cellscaper.metrics.image_intervals import NORMAL, count_intervals, drawn_rows, image_intervals
from cellscaper.metrics.protocol import Comparison

IMAGES, WINDOWS = 8, 3


def layouts(numbers, sources):
    rng = np.random.default_rng(1)
    made = [
        Layout(rng.uniform(0, 64, (n, 2)).astype(np.float32), np.zeros(n, np.uint8), (64, 64), source)
        for n, source in zip(numbers, sources, strict=True)
    ]
    return LayoutSet.build(made, ("a",), 0.5)


@pytest.fixture
def comparison():
    rng = np.random.default_rng(0)
    sources = [f"image{i}" for i in range(IMAGES) for _ in range(WINDOWS)]
    wanted = rng.integers(5, 40, IMAGES * WINDOWS)
    off = np.repeat(rng.integers(0, 9, IMAGES), WINDOWS)  # windows of an image have the same error
    real, made = layouts(wanted, sources), layouts(wanted + off, ["" for _ in wanted])
    return Comparison(real, made, real, real, "points", reference=real), off.astype(float)


def tce(compared):
    return counts.score(compared, counts.Settings())


def test_the_interval_is_that_of_whole_images_drawn_with_replacement(comparison):
    compared, off = comparison
    low, high = image_intervals(tce, compared, 600)["tce", ""]
    by_image = off.reshape(IMAGES, WINDOWS)[:, 0]
    sd = by_image.std() / np.sqrt(IMAGES)  # of the mean of IMAGES draws, exactly
    assert (low + high) / 2 == pytest.approx(off.mean())
    assert (high - low) / 2 == pytest.approx(NORMAL * sd, rel=0.1)


@pytest.mark.slow
def test_the_interval_depends_on_the_seed_alone(comparison):
    compared, _ = comparison
    one = image_intervals(tce, compared, 20, seed=3)
    assert image_intervals(tce, compared, 20, seed=3, threads=2) == one
    assert image_intervals(tce, compared, 20, seed=4) != one


def test_a_metric_that_half_of_the_resamples_refuse_has_no_interval(comparison):
    compared, _ = comparison
    calls = []

    def picky(one):
        calls.append(one)
        if len(set(one.real.source)) < IMAGES:
            raise CellscaperError("too few images")
        return {"m": {"total": 1.0}}

    assert image_intervals(picky, compared, 20) == {}
    assert len(calls) == 21


def test_a_reference_of_other_layouts_is_drawn_by_its_own_images(comparison):
    compared, _ = comparison
    other = layouts([7] * 10, [f"train{i // 2}" for i in range(10)])
    seen = []

    def look(one):
        seen.append(sorted(one.reference.source))
        return {"m": {"total": 1.0}}

    image_intervals(look, Comparison(compared.real, compared.made, compared.real, other, "points", reference=other), 5)
    assert all(name.startswith("train") for one in seen for name in one)
    assert seen[-1] == sorted(other.source) and any(one != seen[-1] for one in seen)


def test_all_windows_of_a_drawn_image_come_with_it():
    source = np.array(["a", "a", "b", "c", "c", "c"])
    rows = drawn_rows(source, np.random.default_rng(5))
    found = source[rows]
    assert all((found == name).sum() % (source == name).sum() == 0 for name in "abc")


def test_one_image_is_refused():
    one = layouts([3, 4], ["x", "x"])
    with pytest.raises(CellscaperError, match="1 image behind the layouts"):
        image_intervals(tce, Comparison(one, one, one, one, "points"), 5)
    with pytest.raises(CellscaperError, match="1 image, expected"):
        count_intervals(np.ones((1, 1, 2)), ["a"], lambda x: x[..., :1], 5)


def test_counts_are_added_up_over_drawn_images():
    counted = np.random.default_rng(2).integers(0, 50, (1, 40, 2)).astype(float)
    low, high = count_intervals(counted, ["mean"], lambda x: x[..., :1] / 40, 4000)["mean"]
    values = counted[0, :, 0]
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(NORMAL * values.std() / np.sqrt(40), rel=0.05)
