"""The picture that a report opens with: real tissue and its cells, generated cells and the image painted for them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.report.figures.palette import class_handles
from cellscaper.report.figures.panels import Arrays, draw_cells, draw_image, same_classes, write_counts
from cellscaper.report.figures.sheet import Sheet

TITLES = ("real image", "its cells", "generated cells", "image painted for them")


class Shown(NamedTuple):
    """A row: the name of a system, a real window and a generated layout, each with its image (H, W, 3)."""

    name: str
    real_image: NDArray[np.uint8]
    real: Layout
    made: Layout
    painted: NDArray[np.uint8]


def overview(
    systems: Sequence[tuple[str, LayoutSet, Arrays]],
    windows: LayoutSet,
    cells: LayoutSet,
    images: Sequence[NDArray[np.uint8]],
) -> Figure:
    """A row for each (name, generated layouts, painted images): a middling layout beside a real window like it.

    A system's row shows its layout of the median number of cells; of the ``windows`` of the test images (``cells``,
    ``images``), the one with the nearest counts that no other row shows. Counts stand below the cells.
    CellscaperError for a system without layouts, and for windows of images that are not there.
    """
    classes = same_classes([windows, *(made for _, made, _ in systems)])
    rows, taken = [], np.zeros(len(windows), bool)
    for name, made, painted in systems:
        if not len(made):
            raise CellscaperError(f"{name} has no layouts to show; sample some")
        totals = made.counts().sum(axis=1)
        one = int(np.argsort(totals, kind="stable")[(len(made) - 1) // 2])
        away = np.abs(windows.counts() - made.counts()[one]).sum(axis=1).astype(float)
        near = int(np.where(taken & ~taken.all(), np.inf, away).argmin())
        taken[near] = True
        image = window_image(windows[[near]], cells, images)
        rows.append(Shown(name, image, windows.layout(near), made.layout(one), painted[one]))
    return _draw(rows, classes)


def window_image(window: LayoutSet, cells: LayoutSet, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The pixels of a window (a set of one layout) of the images of ``cells``; CellscaperError if it has no image."""
    found = np.flatnonzero(cells.source == window.source[0])
    if len(found) != 1:
        name = str(window.source[0])
        raise CellscaperError(f"image {name!r} of a window is {len(found)} times among the images, expected once")
    y, x = (window.origin[0] - cells.origin[found[0]]).tolist()
    height, width = window.size[0].tolist()
    return images[found[0]][y : y + height, x : x + width]


def _draw(rows: Sequence[Shown], classes: Sequence[str]) -> Figure:
    sheet = Sheet(len(rows), TITLES, 2.3, below=0.26, names=[row.name for row in rows])
    for r, c, ax in sheet.panels():
        row = rows[r]
        if c in (0, 3):
            draw_image(ax, row.real_image if c == 0 else row.painted)
        else:
            layout = row.real if c == 1 else row.made
            draw_cells(ax, layout, classes, sheet.side)
            write_counts(ax, np.bincount(layout.labels, minlength=len(classes)), classes)
    return sheet.finish(class_handles(classes))
