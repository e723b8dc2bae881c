"""Layouts asked for with the counts of the same test patch, over several sets."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet


def common_targets(columns: Sequence[tuple[str, LayoutSet]], patches: LayoutSet) -> NDArray[np.int64]:
    """Numbers of the patches that every (title, set) has a layout for, rising; CellscaperError if there are none."""
    for title, layouts in columns:
        if "target" not in layouts.columns:
            found = sorted(layouts.columns)
            raise CellscaperError(f"layouts of {title!r} have no column 'target', only {found}; run sample_layouts")
    common = reduce(np.intersect1d, [layouts.columns["target"] for _, layouts in columns], np.arange(len(patches)))
    if not len(common):
        titles = ", ".join(title for title, _ in columns) or "no sets"
        raise CellscaperError(f"no patch of {len(patches)} has a layout in each of {titles}; sample them alike")
    return common


def matched_to(
    columns: Sequence[tuple[str, LayoutSet]], patches: LayoutSet, targets: NDArray
) -> list[tuple[str, LayoutSet]]:
    """("real", the patches ``targets``), then each (title, set) with its first layout for each of them, in order."""
    shown = [("real", patches[targets])]
    for title, layouts in columns:
        numbers, first = np.unique(layouts.columns["target"], return_index=True)
        shown.append((title, layouts[first[np.searchsorted(numbers, targets)]]))
    return shown
