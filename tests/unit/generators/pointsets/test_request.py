"""Requests that cannot be are refused, in one line, before anything is computed."""

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.constraints import MARGIN
from cellscaper.generators.pointsets.request import Request, class_counts

SIZE = (64, 80)


def request(counts=(5, 0, 3), size=SIZE, **others):
    return Request(np.array(counts), size, **{"min_distance": 4.0, **others})


def given(*cells):
    return {"fixed": np.array(cells, np.float32), "fixed_labels": np.zeros(len(cells), np.uint8)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": (5, -1, 3)}, "expected no negative number"),
        ({"counts": (0, 0, 0)}, "no cells are asked for"),
        ({"size": (0, 80)}, "size 0×80 px: expected sides of 1 to 131072 px"),
        ({"size": (64, 1 << 18)}, "expected sides of 1 to 131072 px"),
        ({"min_distance": -1.0}, "--min-distance -1: expected px from 0"),
        ({"min_distance": float("nan")}, "--min-distance nan"),
        ({"mask": np.ones((64, 64), bool)}, "the mask has 64×64 px, the region 64×80"),
        ({"mask": np.zeros(SIZE, bool)}, "the mask allows no pixel"),
        ({"counts": (300, 200, 100)}, "600 cells at least 4 px apart do not fit into 5120 px²: at most 406 do"),
        ({"mask": np.arange(64 * 80).reshape(SIZE) < 4, "counts": (9, 0, 0)}, "do not fit into 4 px²: at most 2 do"),
        (given((64, 3)), "given cell 0 at y=64 x=3 lies outside the 64×80 px"),
        (given((1, 1), (np.nan, 3)), "given cell 1 at y=nan x=3 lies outside"),
        (given((10, 10), (30, 30), (30, 33)), "given cells 1 and 2 are 3 px apart (1 such pairs)"),
        (
            {"counts": (1, 0, 0), "min_distance": 90.0, **given((32, 40))},
            "1 cells at least 90 px apart do not fit into 5120 px² beside 1 given ones: at most 0 do",
        ),
        ({"spread": np.ones((2, 8, 8))}, "--spread has the shape (2, 8, 8)"),
        ({"spread": -np.ones((1, 8, 8))}, "negative values"),
        ({"spread": np.full((1, 8, 8), np.nan)}, "NaN"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(CellscaperError) as caught:
        request(**changes)
    assert message in str(caught.value)


def test_the_nearest_pixel_of_a_cell_must_be_allowed(hard_points, nearest_centres):
    """The mask is an image: its pixels have their centres at whole numbers."""
    size = (41, 41)
    mask = np.random.default_rng(0).random(size) < 0.5
    points = hard_points(41, 300, 1)
    area = request(size=size, mask=mask, min_distance=0).area
    last = (points >= 40.5).any(axis=1)  # no cell is put beyond the last pixels
    assert np.array_equal(area.holds(points), mask[tuple(nearest_centres(points, 41).T)] & ~last)
    found = area.nearest(points.astype(np.float64))
    assert mask[tuple(nearest_centres(found.astype(np.float32), 41).T)].all()
    kept = area.holds(points) & (points < 40.5 - MARGIN).all(axis=1)
    assert kept.sum() > 100 and np.array_equal(found[kept], points[kept])


def test_given_cells_may_lie_outside_the_mask():
    mask = np.zeros(SIZE, bool)
    mask[:30] = True
    assert request(mask=mask, **given((60, 60))).area.pixels == 30 * 80


def test_classes_are_found_by_name_and_the_nearest_one_is_named():
    classes = ("lymphocyte", "epithelial", "stromal")
    assert class_counts({"stromal": 2, "lymphocyte": 1}, classes, "--counts").tolist() == [1, 0, 2]
    with pytest.raises(CellscaperError, match="--counts: unknown class 'lymphocytes'; did you mean lymphocyte?"):
        class_counts({"lymphocytes": 2}, classes, "--counts")
    with pytest.raises(CellscaperError, match="unknown class 'q'\\. The model has lymphocyte, epithelial, stromal"):
        class_counts({"q": 2}, classes, "--counts")
