"""Training crops of SD's evaluation: every category and every image weighs the same."""

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet, crop
from cellscaper.views import training_crops
from cellscaper.views.crops import CropSampler
from cellscaper.views.training_crops import category_crops, category_edges, count_edges, reference_crops


def tissue(cells=(40, 90, 160, 260), size=(96, 110)) -> LayoutSet:
    """Images of different density, whole-number dots."""
    rng, layouts = np.random.default_rng(0), []
    for i, n in enumerate(cells):
        points = np.stack([rng.integers(0, size[0], n), rng.integers(0, size[1], n)], axis=1)
        layouts.append(Layout(points.astype(np.float32), rng.integers(0, 2, n).astype(np.uint8), size, f"image{i}"))
    return LayoutSet.build(layouts, ("a", "b"), 0.5, {"split": np.array(["train"] * len(cells))})


@pytest.mark.parametrize("categories", [2, 5, 10])
def test_count_edges_split_the_training_crops_evenly(categories):
    totals = np.random.default_rng(0).permutation(1000) * 3
    edges = count_edges(totals, categories)
    sizes = np.bincount(np.searchsorted(edges, totals, side="right"), minlength=categories)
    assert len(sizes) == categories
    assert sizes.max() - sizes.min() <= 1
    assert all(type(edge) is float for edge in edges)


@pytest.mark.parametrize(("totals", "categories"), [([5] * 100, 5), ([1, 2, 3], 5), ([], 5), ([1, 2], 0)])
def test_count_edges_refuse_totals_that_leave_a_category_empty(totals, categories):
    with pytest.raises(CellscaperError, match=f"{categories} count categories"):
        count_edges(totals, categories)


def test_every_category_has_equally_many_crops_and_each_is_a_window_of_its_image():
    train = tissue()
    made = category_crops(train, 64, categories=5, each=12, align=2, seed=3)
    edges = category_edges(CropSampler(train, 64, align=2), 5)
    totals = np.diff(made.offsets)
    assert made.columns["category"].tolist() == np.repeat(np.arange(5), 12).tolist()
    for total, kind in zip(totals, made.columns["category"], strict=True):
        assert sum(edge <= total for edge in edges) == kind
    assert (made.origin % 2 == 0).all() and len({tuple(one) for one in made.origin.tolist()}) > 20
    for layout, image in zip(made, made.columns["image"], strict=True):  # not mirrored: its image is the window there
        window = crop(train.layout(int(image)), *layout.origin, 64, 64)
        assert np.array_equal(np.sort(window.points, axis=0), np.sort(layout.points, axis=0))


def test_crops_depend_on_the_seed_alone():
    train = tissue()
    one, same, other = (category_crops(train, 64, 3, 5, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert reference_crops(train, 64, 10, seed=1) == reference_crops(train, 64, 10, seed=1)


def test_a_category_without_enough_training_crops_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr(training_crops, "MOST_CROPS", 4000)
    with pytest.raises(
        CellscaperError, match=r"count category \d of 5 \(.* cells\) has \d+ of 4000 training crops"
    ) as told:
        category_crops(tissue(), 64, categories=5, each=2000)
    assert "\n" not in str(told.value) and "expected 2000; use fewer categories" in str(told.value)
    with pytest.raises(CellscaperError, match="leave some of 90 count categories empty"):
        category_crops(tissue(cells=(3, 4)), 64, categories=90, each=2)


@pytest.mark.parametrize("number", [8, 10, 3])
def test_the_reference_has_equally_many_crops_of_every_image(number):
    train = tissue()
    made = reference_crops(train, 64, number)
    assert len(made) == number and made.common_size() == (64, 64)
    counts = np.bincount(made.columns["image"], minlength=4)
    assert counts.max() - counts.min() <= 1
    assert {str(name) for name in made.source} <= {f"image{i}" for i in range(4)}


def test_images_that_are_too_small_are_left_out_with_a_word_or_refused(capsys):
    small = Layout(np.zeros((1, 2), np.float32), np.zeros(1, np.uint8), (50, 200), "image4")
    train = tissue()
    mixed = LayoutSet.joined([train, LayoutSet.build([small], ("a", "b"), 0.5, {"split": np.array(["train"])})])
    assert set(reference_crops(mixed, 64, 40, small="skip").columns["image"].tolist()) == {0, 1, 2, 3}
    assert "left out: 1 of 5 images, smaller than the 64×64 px region" in "".join(capsys.readouterr())
    with pytest.raises(CellscaperError, match="image4 is 50×200 px"):
        reference_crops(mixed, 64, 40)
    with pytest.raises(CellscaperError, match="none of the 5 layouts is as large as"):
        category_crops(mixed, 400, 2, 5, small="skip")


def test_edges_are_those_of_one_large_draw(monkeypatch):
    train = tissue()
    edges = category_edges(CropSampler(train, 64, align=2), 5)
    monkeypatch.setattr(training_crops, "BLOCK", training_crops.EDGE_CROPS)
    assert category_edges(CropSampler(train, 64, align=2), 5) == edges
