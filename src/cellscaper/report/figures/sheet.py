"""The sheet of panels behind every figure, on matplotlib's Agg canvas: without pyplot, without global state."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cellscaper.disk.files import atomic
from cellscaper.errors import CellscaperError
from cellscaper.report.figures.palette import FONT, FRAME, INK

_DPI = 150


class Sheet:
    """A figure of rows × columns square panels of ``side`` inches, titles above the columns, a legend at the bottom.

    ``below`` and ``aside`` are the inches left under and beside each panel, ``names`` stand left of the rows, ``left``
    inches are kept free left of the first column for the labels of its axes.
    """

    def __init__(
        self,
        rows: int,
        titles: Sequence[str],
        side: float,
        below: float,
        aside: float = 0.1,
        names: Sequence[str] = (),
        left: float = 0.0,
    ):
        if rows < 1 or not titles:
            raise CellscaperError(f"a figure of {rows} rows × {len(titles)} columns shows nothing; give it layouts")
        self.side = side
        columns = len(titles)
        margin = left + (0.28 if names else 0.0)
        wrapped = [textwrap.fill(title, max(8, int(side * 13))) for title in titles]
        top = 0.08 + 0.17 * max(text.count("\n") + 1 for text in wrapped) + 0.04
        self.width = max(margin + aside * (columns + 1) + side * columns, 3.2)
        start = margin + (self.width - margin - side * columns - aside * (columns + 1)) / 2
        self.height = top + rows * (side + below)
        self.figure = Figure(figsize=(self.width, self.height), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(self.figure)
        self._axes: list[list[Axes]] = []
        for r in range(rows):
            bottom = self.height - top - r * (side + below) - side
            places = [(start + aside + c * (side + aside), bottom, side, side) for c in range(columns)]
            self._axes.append([self._add(place) for place in places])
        for ax, text in zip(self._axes[0], wrapped, strict=True):
            ax.set_title(text, fontsize=FONT + 1, color=INK, pad=4, linespacing=1.05)
        for line, text in zip(self._axes, names, strict=False):
            self._name(line[0], text, aside)

    def _add(self, place: tuple[float, float, float, float]) -> Axes:
        x, y, w, h = place
        ax = self.figure.add_axes((x / self.width, y / self.height, w / self.width, h / self.height))
        ax.tick_params(which="both", labelsize=FONT - 1, colors=INK)
        for spine in ax.spines.values():
            spine.set(color=FRAME, linewidth=0.6)
        return ax

    def _name(self, ax: Axes, text: str, aside: float) -> None:
        """The name of a row, upright at the left edge of the sheet."""
        ax.annotate(
            textwrap.fill(text, max(10, int(self.side * 13))), (0, 0.5), xytext=(-72 * aside, 0),
            xycoords="axes fraction", textcoords="offset points", rotation=90, ha="right", va="center",
            fontsize=FONT + 1, color=INK, linespacing=1.05, annotation_clip=False, multialignment="center",
        )  # fmt: skip

    def panels(self) -> Iterator[tuple[int, int, Axes]]:
        """(row, column, axes) of all panels."""
        return ((r, c, ax) for r, line in enumerate(self._axes) for c, ax in enumerate(line))

    def finish(self, handles: Sequence[Line2D]) -> Figure:
        """Add the legend, in as many rows as it needs."""
        for across in range(len(handles), 0, -1):
            legend = self.figure.legend(
                handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=0, ncols=across,
                frameon=False, fontsize=FONT, handletextpad=0.4, columnspacing=1.4, labelcolor=INK,
            )  # fmt: skip
            box = legend.get_window_extent()
            if across == 1 or box.width <= self.width * _DPI:
                break
            legend.remove()
        return self.figure


def write_picture(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, the same bytes for the same figure."""
    with atomic(path) as partial:
        figure.savefig(partial, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=0.08)
