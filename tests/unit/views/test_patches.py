"""Sliding windows against brute force."""

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.views.patches import sliding_windows


def images() -> LayoutSet:
    rng = np.random.default_rng(0)
    layouts = []
    for i, (height, width) in enumerate([(70, 64), (64, 101), (40, 90)]):
        points = np.stack([rng.integers(0, height, 80), rng.integers(0, width, 80)], 1)
        labels = rng.integers(0, 3, 80).astype(np.uint8)
        layouts.append(Layout(points.astype(np.float32), labels, (height, width), f"i{i}"))
    return LayoutSet.build(layouts, ("a", "b", "c"), 0.5, {"split": np.array(["test", "train", "test"])})


def test_windows_are_all_those_inside_the_images_in_row_order() -> None:
    cells = images()[:2]
    corners = [(0, y, x) for y in (0, 16) for x in (0,)] + [(1, 0, x) for x in (0, 16, 32, 48)]
    corners = [(i, y, x) for i, y, x in corners if y + 64 <= cells.size[i, 0] and x + 64 <= cells.size[i, 1]]
    windows = sliding_windows(cells, 64, 16)
    got = list(zip(windows.columns["image"], *windows.origin.T, strict=True))
    assert got == corners == [(0, 0, 0), (1, 0, 0), (1, 0, 16), (1, 0, 32)]
    assert windows.common_size() == (64, 64)


def test_each_window_holds_exactly_the_cells_inside_it() -> None:
    cells = images()[1:2]
    for i, window in enumerate(sliding_windows(cells, 32, 8)):
        y, x = window.origin
        image = cells.layout(0)
        expected = [
            (py - y, px - x, k)
            for (py, px), k in zip(image.points, image.labels, strict=True)
            if y <= py < y + 32 and x <= px < x + 32
        ]
        assert [(*p, k) for p, k in zip(window.points, window.labels, strict=True)] == expected, i


def test_source_columns_and_origin_are_carried_over() -> None:
    cells = images()
    nested = sliding_windows(sliding_windows(cells[1:], 40, 30), 20, 20)
    assert set(nested.source) == {"i1", "i2"}
    assert nested.columns["image"].dtype == np.int64
    assert (nested.columns["split"] == np.where(nested.source == "i1", "train", "test")).all()
    assert nested.origin[nested.source == "i1"].max() == 60 + 20


def test_small_images_are_an_error_or_left_out() -> None:
    with pytest.raises(CellscaperError, match=r"layout i2 is 40×90 px .* the 64×64 px region"):
        sliding_windows(images(), 64, 32)
    windows = sliding_windows(images(), 64, 32, small="skip")
    assert windows.columns["image"].tolist() == [0, 1, 1]
    with pytest.raises(CellscaperError, match="none of the 3 layouts is as large as the 200×200"):
        sliding_windows(images(), 200, 32, small="skip")
    with pytest.raises(CellscaperError, match="small='drop'"):
        sliding_windows(images(), 64, 32, small="drop")  # type: ignore[arg-type]


def test_stride_must_be_positive() -> None:
    with pytest.raises(CellscaperError, match="stride 0 px"):
        sliding_windows(images(), 32, 0)
