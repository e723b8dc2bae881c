"""The layouts whose counts are requested: evenly spaced rows, repeated where more are asked for than there are."""

import numpy as np

from cellscaper.generators.protocol import SamplingSection
from cellscaper.generators.targets import choose_targets, set_targets
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


def test_targets_of_a_set_depend_on_their_number_alone():
    section = SamplingSection(method="random", settings={}, region=16, small="error", layouts=10, counts="crops")
    whole = set_targets(layouts(3), None, section, list(range(10)), 0)
    parts = [set_targets(layouts(3), None, section, list(range(a, b)), a) for a, b in ((0, 4), (4, 5), (5, 10))]
    assert LayoutSet.joined(parts) == whole
    assert whole.columns["target"].tolist() == list(range(10))
    assert whole.common_size() == (16, 16)
    given = SamplingSection(method="random", settings={}, region=32, small="error", layouts=10)
    found = [set_targets(layouts(3), layouts(4), given, list(range(a, b)), a) for a, b in ((0, 4), (4, 10))]
    assert LayoutSet.joined(found) == choose_targets(layouts(3), layouts(4), given, 0)
