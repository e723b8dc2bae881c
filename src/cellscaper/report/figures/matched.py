"""Layouts of several sets that were requested with the counts of the same real layout."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet


def common_targets(columns: Sequence[tuple[str, LayoutSet]], windows: LayoutSet) -> NDArray[np.int64]:
    """Numbers of the windows for which every (title, set) has a layout, rising; CellscaperError if there are none."""
    for title, layouts in columns:
        if "target" not in layouts.columns:
            found = sorted(layouts.columns)
            raise CellscaperError(f"layouts of {title!r} have no column 'target', only {found}; sample them again")
    common = reduce(np.intersect1d, [layouts.columns["target"] for _, layouts in columns], np.arange(len(windows)))
    if not len(common):
        titles = ", ".join(title for title, _ in columns) or "no sets"
        raise CellscaperError(
            f"no window of {len(windows)} has a layout in each of {titles}; sample all of them for the same windows"
        )
    return common


def matched_to(
    columns: Sequence[tuple[str, LayoutSet]], windows: LayoutSet, targets: NDArray
) -> list[tuple[str, LayoutSet]]:
    """("real", the windows ``targets``), then each (title, set) with its first layout for each of them, in order."""
    shown = [("real", windows[targets])]
    for title, layouts in columns:
        numbers, first = np.unique(layouts.columns["target"], return_index=True)
        shown.append((title, layouts[first[np.searchsorted(numbers, targets)]]))
    return shown
