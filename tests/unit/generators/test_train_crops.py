"""Random training crops in place of the targets."""

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.generators import train_crops
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.seeds import sample_seeds


def images(sizes, cells=60, seed=0):
    """Cells on whole pixels, which no mirroring moves between pixels."""
    rng = np.random.default_rng(seed)
    items = [
        Layout(rng.integers(0, size, (cells, 2)), rng.integers(0, 3, cells).astype(np.uint8), size, f"image_{i}")
        for i, size in enumerate(sizes)
    ]
    return LayoutSet.build(items, ("a", "b", "c"), 0.5)


def test_each_layout_is_a_window_of_its_image_up_to_mirroring(place):
    train, targets = images([(50, 40), (64, 70)]), images([(32, 32)] * 30, cells=3)
    made = place(train_crops, targets, sample_seeds(0, 30, 1), train, 32)
    assert made.columns["target"].tolist() == list(range(30))
    assert set(made.source) == {"image_0", "image_1"}
    for layout in made:
        image = train.layout(int(layout.source[-1]))
        inside = [
            (y - layout.origin[0], x - layout.origin[1], k)
            for (y, x), k in zip(image.points, image.labels, strict=True)
            if 0 <= y - layout.origin[0] < 32 and 0 <= x - layout.origin[1] < 32
        ]
        mirrored = [
            sorted((31 - y if my else y, 31 - x if mx else x, k) for y, x, k in inside)
            for my in (0, 1)
            for mx in (0, 1)
        ]
        assert sorted((y, x, k) for (y, x), k in zip(layout.points, layout.labels, strict=True)) in mirrored


def test_a_crop_depends_on_its_own_seed(place):
    train, targets, seeds = images([(50, 40), (64, 70)]), images([(32, 32)] * 4, cells=3), sample_seeds(0, 4, 1)
    together = place(train_crops, targets, seeds, train, 32)
    for i in range(4):
        np.testing.assert_array_equal(
            place(train_crops, targets[[i]], [seeds[i]], train, 32).points, together.layout(i).points
        )
    assert len(set(map(tuple, together.origin.tolist()))) > 1


def test_small_images_are_an_error_or_left_out(place):
    train, targets = images([(20, 40), (64, 70)]), images([(32, 32)] * 8, cells=3)
    with pytest.raises(CellscaperError, match="smaller than"):
        place(train_crops, targets, sample_seeds(0, 8, 1), train, 32)
    made = place(train_crops, targets, sample_seeds(0, 8, 1), train, 32, "skip")
    assert set(made.source) == {"image_1"}
