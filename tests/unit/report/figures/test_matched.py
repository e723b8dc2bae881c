import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.report.figures.matched import common_targets, matched_to


def numbered(*names, **columns):
    """Empty layouts whose sources are ``names``."""
    empty = np.zeros((0, 2), np.float32), np.zeros(0, np.uint8)
    return LayoutSet.build([Layout(*empty, (8, 8), name) for name in names], ("a",), 0.5, columns)


PATCHES = numbered("p0", "p1", "p2", "p3", "p4")


def test_layouts_stand_beside_the_patch_they_were_asked_for():
    one = numbered("a4", "a0", "a2", "another a2", target=np.array([4, 0, 2, 2]))
    two = numbered("b1", "b2", "b4", target=np.array([1, 2, 4]))
    columns = [("A", one), ("B", two)]
    assert common_targets(columns, PATCHES).tolist() == [2, 4]
    shown = matched_to(columns, PATCHES, np.array([4, 2]))
    assert [(title, layouts.source.tolist()) for title, layouts in shown] == [
        ("real", ["p4", "p2"]),
        ("A", ["a4", "a2"]),
        ("B", ["b4", "b2"]),
    ]


def test_sets_without_targets_or_with_none_in_common_are_refused():
    with pytest.raises(CellscaperError, match=r"'A' have no column 'target', only \['image'\]"):
        common_targets([("A", numbered("a", image=np.array([0])))], PATCHES)
    apart = [("A", numbered("a", target=np.array([0]))), ("B", numbered("b", target=np.array([1])))]
    with pytest.raises(CellscaperError, match="no window of 5 has a layout in each of A, B"):
        common_targets(apart, PATCHES)
