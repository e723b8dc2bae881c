"""Which numbers of a rerun are those that were committed."""

from dataclasses import replace

import pytest
from scipy import stats

from cellscaper.report.committed.cells import Cell
from cellscaper.report.committed.compare import bounds, compared, report

CELL = Cell("toy", "t", "a", "A", "tce", "", "TCE", "points", "13.6")
SEEDS = replace(CELL, value="10.000000", sd="2.0000000", n="3")
IMAGES = replace(CELL, low="12", high="15", images="30")


def test_of_several_seeds_the_bounds_hold_the_mean_of_the_reruns_seeds_in_95_of_100_cases():
    low, high = bounds(SEEDS, 3)
    assert (low + high) / 2 == pytest.approx(10)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 2) * 2 * (2 / 3) ** 0.5, rel=1e-4)
    assert bounds(SEEDS, 1)[1] > high


def test_of_one_seed_the_bounds_are_its_interval_over_images_else_its_digits():
    assert bounds(IMAGES, 1) == pytest.approx((12, 15), abs=0.051)
    assert bounds(CELL, 1) == pytest.approx((13.55, 13.65), abs=1e-4)
    assert bounds(replace(CELL, value="13.612345"), 1) == pytest.approx((13.612345,) * 2, rel=3e-6)


@pytest.mark.parametrize(
    ("cell", "again", "within", "same"),
    [
        (IMAGES, "13.6", True, True),
        (IMAGES, "13.612", True, True),
        (IMAGES, "14.9", True, False),
        (IMAGES, "15.1", False, False),
        (CELL, "13.64", True, True),
        (CELL, "13.7", False, False),
        (replace(CELL, value="0.00"), "0", True, True),
        (SEEDS, "16", True, False),
    ],
)
def test_a_number_is_reproduced_within_its_bounds(cell, again, within, same):
    (found,) = compared([cell], [replace(cell, value=again)])
    assert (found.within, found.is_same) == (within, same)


def test_a_row_that_the_rerun_lacks_is_listed_as_missing():
    outcomes = compared([IMAGES, replace(IMAGES, row="b")], [replace(IMAGES, value="15.5"), replace(IMAGES, row="c")])
    assert report(outcomes) == [
        "0 of 2 cells reproduced within the 95 % interval by the bootstrap over 30 images; 0 are the same number",
        "not reproduced:",
        "  toy t a: tce by points: 15.5, committed 13.6, expected 11.95 to 15.05 (bootstrap over 30 images)",
        "  toy t b: tce by points: missing in the rerun, committed 13.6",
    ]


def test_what_the_bounds_come_from_is_told_apart():
    lines = report(compared([IMAGES, SEEDS, CELL], [replace(IMAGES, table="other")]))
    assert [line.split(" within ")[1].split(";")[0] for line in lines[:3]] == [
        "the 95 % interval by the bootstrap over 30 images",
        "the 95 % interval by the sd of 3 seeds",
        "its digits: one seed, no interval",
    ]
