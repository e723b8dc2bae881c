"""What generated layouts are compared with: their own reference, and the test windows beside it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics import cross_class, mmd, topofd
from cellscaper.metrics.protocol import Comparison


def layouts(n: int, seed: int, cells: int = 40) -> LayoutSet:
    rng = np.random.default_rng(seed)
    items = [
        Layout(rng.uniform(0, 95, (cells, 2)).astype(np.float32), rng.integers(0, 2, cells).astype(np.uint8), (96, 96))
        for _ in range(n)
    ]
    return LayoutSet.build(items, ("a", "b"), 0.5)


REAL, MADE, REFERENCE, TESTS = layouts(20, 0), layouts(20, 1), layouts(30, 2, 25), layouts(24, 3, 55)
SD = Comparison(REAL, MADE, TESTS, REAL, "points", reference=REFERENCE, tests=TESTS)
TC = Comparison(REAL, MADE, REAL, REAL, "points")
SETTINGS = topofd.Settings(samples=20, protocols=("paper",))


@pytest.mark.slow
def test_distributions_are_compared_with_the_reference_and_apart_from_it_with_the_test_windows():
    found = topofd.score(SD, SETTINGS)
    assert found["topofd"] == topofd.topofd(REFERENCE, MADE, 20, protocols=["paper"])["topofd"]
    assert found["topofd_test"] == topofd.topofd(TESTS, MADE, 20, protocols=["paper"])["topofd"]
    pairs = cross_class.score(SD, cross_class.Settings())
    assert pairs["cross_k"] == cross_class.cross_class(REFERENCE, MADE)["cross_k"]
    assert pairs["cross_k_test"] == cross_class.cross_class(TESTS, MADE)["cross_k"]
    assert mmd.score(SD, mmd.Settings(layouts=5)) == mmd.mmd(REFERENCE, MADE, layouts=5)


@pytest.mark.slow
def test_where_the_reference_are_the_test_windows_both_scores_are_one():
    found = topofd.score(TC, SETTINGS)
    assert found["topofd_test"] == found["topofd"] == topofd.topofd(REAL, MADE, 20, protocols=["paper"])["topofd"]
    pairs = cross_class.score(TC, cross_class.Settings())
    assert pairs["cross_k_test"] == pairs["cross_k"]


def test_too_few_test_windows_leave_the_score_undefined_and_say_so(capsys):
    found = topofd.score(replace(SD, tests=TESTS[:19]), SETTINGS)
    assert all(math.isnan(value) for value in found["topofd_test"].values()) and found["topofd"]["mean"] > 0
    assert "topofd_test: 19 test windows, needs 20; left out" in "".join(capsys.readouterr())


@pytest.mark.parametrize("cut", [TESTS[:1], TESTS[:2]])
def test_few_test_windows_are_enough_for_pooled_pairs(cut):
    found = cross_class.score(replace(SD, tests=cut), cross_class.Settings())
    assert found["cross_k_test"] == cross_class.cross_class(cut, MADE)["cross_k"]
