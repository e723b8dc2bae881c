"""Test patches: the sliding windows of TopoCellGen (docs/methods.md, section 1.2)."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet, crop
from cellscaper.run.progress import log


def sliding_windows(cells: LayoutSet, region: int, stride: int, small: Literal["error", "skip"] = "error") -> LayoutSet:
    """Every ``region`` × ``region`` px window, ``stride`` px apart, that lies wholly inside its layout.

    Windows come layout by layout, row by row. ``source`` is kept, ``origin`` is the window's corner in the
    source image. A window has the columns of its layout and ``image`` (int64), the layout's row in ``cells``.
    Layouts smaller than the region are an error, or are left out with ``small="skip"``.

    Raises CellscaperError if a layout is too small, or if no window fits anywhere.
    """
    if region < 1 or stride < 1:
        raise CellscaperError(f"sliding windows: region {region} px and stride {stride} px must both be at least 1")
    windows, image = [], []
    for i in np.flatnonzero(large_enough(cells, region, small)).tolist():
        layout = cells.layout(i)
        height, width = layout.size
        for y in range(0, height - region + 1, stride):
            band = crop(layout, y, 0, region, width)  # a window then looks at a few cells instead of the image's
            for x in range(0, width - region + 1, stride):
                windows.append(crop(band, 0, x, region, region))
                image.append(i)
    rows = np.array(image, np.int64)
    columns = {name: column[rows] for name, column in cells.columns.items()}
    return LayoutSet.build(windows, cells.classes, cells.mpp, {**columns, "image": rows})


def large_enough(cells: LayoutSet, region: int, small: Literal["error", "skip"]) -> NDArray[np.bool_]:
    """(L,) bool: the layouts that hold a ``region`` × ``region`` px window.

    Raises CellscaperError for a smaller layout, unless ``small="skip"``, and if all layouts are smaller.
    """
    if small not in ("error", "skip"):
        raise CellscaperError(f"small={small!r} for layouts below the region: expected 'error' or 'skip'")
    fits: NDArray[np.bool_] = np.all(cells.size >= region, axis=1)
    if small == "error" and not fits.all():
        i = int(np.flatnonzero(~fits)[0])
        raise CellscaperError(
            f"layout {cells.source[i] or i} is {cells.size[i, 0]}×{cells.size[i, 1]} px (height × width), smaller than "
            f"the {region}×{region} px region; choose a smaller region or leave such layouts out with small='skip'"
        )
    if not fits.any():
        raise CellscaperError(f"none of the {len(cells)} layouts is as large as the {region}×{region} px region")
    if not fits.all():
        log(f"left out: {int((~fits).sum())} of {len(cells)} images, smaller than the {region}×{region} px region")
    return fits
