"""The layouts whose counts are requested: evenly spaced rows, repeated where more are asked for than there are."""

import numpy as np

from cellscaper.generators.protocol import SamplingSection
from cellscaper.generators.targets import choose_targets
from cellscaper.layouts import Layout, LayoutSet


def layouts(n):
    items = [Layout(np.full((i + 1, 2), 5, np.float32), np.zeros(i + 1, np.uint8), (32, 32)) for i in range(n)]
    return LayoutSet.build(items, ("a",), 0.5)


def rows(n, **section):
    section = SamplingSection(method="random", settings={}, region=32, small="error", **section)
    return choose_targets(layouts(3), layouts(n), section, 0).columns["target"].tolist()


def test_targets_are_evenly_spaced_or_all():
    assert rows(5) == [0, 1, 2, 3, 4]
    assert rows(5, layouts=3) == [0, 2, 4]


def test_more_layouts_than_targets_take_each_equally_often():
    assert rows(4, layouts=8) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert np.bincount(rows(4, layouts=10)).tolist() == [3, 3, 2, 2]


def test_random_crops_are_numbered():
    assert rows(2, layouts=4, counts="crops") == [0, 1, 2, 3]
