"""Crops of painted images beside the training crops that they copy or come nearest to."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from cellscaper.report.figures.palette import FONT, INK
from cellscaper.report.figures.panels import draw_image, write_missing
from cellscaper.report.figures.sheet import Sheet

Box = tuple[int, int, int, int]  # top, left, bottom, right, px


class Beside(NamedTuple):
    """A painted image, a part of a training image (None: there is none), the boxes to compare in each, a line below."""

    what: str
    painted: NDArray
    training: NDArray | None
    painted_box: Box | None
    training_box: Box | None
    line: str


def copies_sheet(pairs: Sequence[Beside]) -> Figure:
    """Two panels a pair; pairs of one kind (``what``) below each other, kinds side by side."""
    kinds = list(dict.fromkeys(pair.what for pair in pairs))
    columns = [[pair for pair in pairs if pair.what == kind] for kind in kinds]
    titles = [title for kind in kinds for title in (f"painted: {kind}", "training image")]
    sheet = Sheet(max(map(len, columns)), titles, 1.9, below=0.26)
    for r, c, ax in sheet.panels():
        pair = columns[c // 2][r] if r < len(columns[c // 2]) else None
        image = None if pair is None else (pair.training if c % 2 else pair.painted)
        if pair is None or image is None:
            write_missing(ax)
            continue
        draw_image(ax, image)
        _box(ax, pair.training_box if c % 2 else pair.painted_box)
        if c % 2 == 0:
            ax.set_xlabel(pair.line, fontsize=FONT, color=INK, labelpad=3)
    return sheet.finish([])


def _box(ax: Axes, box: Box | None) -> None:
    if box is not None:
        top, left, bottom, right = box
        corner = (left - 0.5, top - 0.5)
        ax.add_patch(Rectangle(corner, right - left, bottom - top, fill=False, edgecolor="yellow", linewidth=1.2))
