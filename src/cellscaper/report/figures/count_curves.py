"""How many cells layouts have: distributions (TC, Fig. 7), and generated counts against requested ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.report.figures.palette import FONT, FRAME, INK, line_styles
from cellscaper.report.figures.panels import name_axes
from cellscaper.report.figures.sheet import Sheet

TOTAL = "all cells"


@dataclass(frozen=True)
class Counts:
    """Cells of each class in n layouts: counts (n, C), and the requested counts (n, C) or None."""

    title: str
    counts: NDArray[np.int64]
    requested: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        asked = self.counts if self.requested is None else self.requested
        if self.counts.ndim != 2 or not len(self.counts) or asked.shape != self.counts.shape:
            raise CellscaperError(
                f"counts of {self.title!r}: {self.counts.shape} generated, {asked.shape} requested; "
                "expected one row for each layout, one column for each class, and at least one layout; sample again"
            )

    @property
    def exact(self) -> bool:
        """Whether every layout has exactly the requested counts."""
        return self.requested is not None and np.array_equal(self.counts, self.requested)


def count_curves(real: Sequence[Counts], generated: Sequence[Counts], classes: Sequence[str]) -> Figure:
    """Distributions of the cells of a layout, for each class and for all; below, generated against requested counts.

    The first row holds the share of layouts with at most so many cells, a line for each of ``real`` (thick) and
    ``generated``, with a dot at its median. Each generator with requested counts has a row of its own with a dot for
    each layout; a dot on the line has the requested counts. A generator whose layouts all have them has no row: the
    legend says so.
    """
    sources = [*real, *generated]
    if {one.counts.shape[1] for one in sources} != {len(classes)}:
        raise CellscaperError(f"counts of {[one.counts.shape[1] for one in sources]} classes, expected {len(classes)}")
    styles = list(zip(sources, _styles(len(real)), strict=False))
    asked = [(one, style["color"]) for one, style in styles if one.requested is not None and not one.exact]
    names = ["share of layouts with at most so many cells", *(f"{one.title}: generated" for one, _ in asked)]
    sheet = Sheet(
        1 + len(asked), [*classes, TOTAL], 2.0 if len(classes) <= 4 else 1.6, below=0.45, aside=0.4, names=names
    )
    limits = [_limit([one for one, _ in asked], c) for c in range(1 + len(classes))]
    for r, c, ax in sheet.panels():
        if r == 0:
            reach = 1.3 * max(np.quantile(_column(one.counts, c), 0.995) for one in real or sources)
            _draw_distributions(ax, sources, c, len(real), max(reach, 1))
        else:
            one, shade = asked[r - 1]
            _draw_scatter(ax, _column(one.requested, c), _column(one.counts, c), limits[c], shade)
    titles = [f"{one.title} (always as requested)" if one.exact else one.title for one in sources]
    return sheet.finish([Line2D([], [], label=text, **style) for text, (_, style) in zip(titles, styles, strict=False)])


def _column(counts: NDArray | None, c: int) -> NDArray:
    """Counts (n,) of class ``c``; of all classes together if there is no such class."""
    if counts is None:
        return np.zeros(0, np.int64)
    return counts[:, c] if c < counts.shape[1] else counts.sum(axis=1)


def _limit(asked: Sequence[Counts], c: int) -> float:
    """End of the axes of class ``c``: room for all requested counts and nearly all generated ones up to twice them."""
    most = max((_column(one.requested, c).max() for one in asked), default=0)
    reached = max((np.quantile(_column(one.counts, c), 0.99) for one in asked), default=0)
    return float(max(1.1 * most, min(reached, 2 * most), 1))


def _styles(real: int) -> Iterator[dict[str, Any]]:
    """Line styles: the first ``real`` are thick and grey to black, the others thin and coloured."""
    for shade in np.linspace(0.68, 0.13, max(real, 2))[:real]:
        yield {"color": str(round(float(shade), 2)), "linestyle": "-", "linewidth": 3.0}
    for shade, style in line_styles():
        if shade != "#000000":
            yield {"color": shade, "linestyle": style, "linewidth": 1.4}


def _draw_distributions(ax: Axes, sources: Sequence[Counts], c: int, real: int, reach: float) -> None:
    for one, style in zip(sources, _styles(real), strict=False):
        values = _column(one.counts, c)
        ax.ecdf(values, label=one.title, **style)
        ax.plot(np.median(values), 0.5, "o", color=style["color"], markersize=5, mec="white", mew=0.6, zorder=3)
    ax.set(xlim=(0, reach), ylim=(0, 1.02), yticks=[0, 0.5, 1])
    name_axes(ax, "cells in a layout")


def _draw_scatter(ax: Axes, requested: NDArray, generated: NDArray, limit: float, shade: str) -> None:
    ax.axline((0, 0), slope=1, color=INK, linewidth=0.8, zorder=1)
    ax.plot(requested, generated, "o", color=shade, markersize=3, alpha=0.45, mew=0)
    ax.set(xlim=(0, limit), ylim=(0, limit))
    outside = int((generated > limit).sum())
    text = f"mean |error| {np.abs(generated - requested).mean():.1f}" + (f"\n{outside} above" if outside else "")
    ax.text(0.04, 0.97, text, transform=ax.transAxes, ha="left", va="top", fontsize=FONT - 1, color=INK,
            bbox={"facecolor": "white", "edgecolor": FRAME, "linewidth": 0.4, "pad": 1.5})  # fmt: skip
    name_axes(ax, "requested cells")
