"""What panels of several figures show: cells, images, counts and axes. In images and layouts y points down."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.report.figures.palette import FAINT, FONT, FRAME, INK, colour


class Arrays(Protocol):
    """Images or maps by number: a list of arrays, or an ImageSet or DensitySet on disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int, /) -> NDArray: ...


def same_classes(sets: Sequence[LayoutSet]) -> tuple[str, ...]:
    """The classes of all sets; CellscaperError if they differ."""
    found = {layouts.classes for layouts in sets}
    if len(found) != 1:
        raise CellscaperError(
            f"one figure needs one list of classes, its sets have {len(found)}: {sorted(found)}; draw them apart"
        )
    return found.pop()


def frame(ax: Axes, height: int, width: int) -> None:
    """Square pixels, y down, no ticks. A dot at (y, x) lies at the centre of pixel (y, x)."""
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[], aspect="equal")


def draw_cells(ax: Axes, layout: Layout, classes: Sequence[str], side: float, halo: bool = False) -> None:
    """Cells as dots about 7 px wide (a nucleus is larger; neighbours stay apart), at least 2 pt."""
    frame(ax, *layout.size)
    edge: dict[str, Any] = {"edgecolors": "white", "linewidths": 0.7} if halo else {"linewidths": 0}
    palette = np.array(colour(classes))
    order = np.random.default_rng(0).permutation(len(layout))  # no class hides the others
    y, x = layout.points[order].T
    ax.scatter(x, y, s=dot_width(layout.size, side) ** 2, c=palette[layout.labels[order]], **edge)


def dot_width(size: tuple[int, int], side: float) -> float:
    """Width in pt of a dot of 7 px in a panel of ``side`` inches that shows ``size`` px, at least 2."""
    return max(7 * side * 72 / max(size), 2.0)


def draw_image(ax: Axes, image: NDArray) -> None:
    """An image (H, W, 3), pixel by pixel."""
    frame(ax, *image.shape[:2])
    ax.imshow(image, interpolation="nearest", aspect="equal")


def write_counts(ax: Axes, counts: NDArray, classes: Sequence[str]) -> None:
    """The number of cells of each class below the panel, behind a dot of the colour of the class."""
    for i, (count, shade) in enumerate(zip(counts, colour(classes), strict=True)):
        at = (i + 0.5 - 0.7 / (len(classes) + 1)) / len(classes)
        write_below(ax, at, "●", "center", shade, size=FONT - 3)
        write_below(ax, at, str(count), "left", shift=4)


def write_below(
    ax: Axes, at: float, text: str, ha: str, shade: str = INK, size: float = FONT - 1, shift: float = 0
) -> None:
    """Text 8 pt below a panel, ``shift`` pt right of the fraction ``at`` of its width."""
    ax.annotate(text, (at, 0), xytext=(shift, -8), xycoords="axes fraction", textcoords="offset points",
                ha=ha, va="center", fontsize=size, color=shade, annotation_clip=False)  # fmt: skip


def write_missing(ax: Axes) -> None:
    """The empty panel of a set that has no such layout."""
    ax.set(xticks=[], yticks=[])
    ax.text(0.5, 0.5, "none", transform=ax.transAxes, ha="center", va="center", fontsize=FONT, color=FRAME)


def name_axes(ax: Axes, x: str, y: str = "") -> None:
    """The axes of a curve: named, with a faint grid and no box."""
    ax.set_xlabel(x, fontsize=FONT, color=INK, labelpad=2)
    ax.set_ylabel(y, fontsize=FONT, color=INK, labelpad=2)
    ax.grid(color=FAINT, linewidth=0.5)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
