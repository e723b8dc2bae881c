"""Training logs as curves."""

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from cellscaper.report.figures.palette import FONT, INK, line_styles
from cellscaper.report.figures.panels import name_axes
from cellscaper.report.figures.sheet import Sheet

_FEW = 4  # lines in a panel that still leave room for the logged values


def training_curves(runs: Sequence[tuple[str, pd.DataFrame]]) -> Figure:
    """Training logs: a panel for each column except ``step``, a line for each (label, log) that has the column.

    Strong lines are running means; panels of few lines show the logged values as faint lines. The value axis is
    logarithmic if no value is negative; all step axes are the same.
    """
    names = list(dict.fromkeys(name for _, log in runs for name in log.columns if name != "step"))
    last = max((float(log["step"].max()) for _, log in runs if len(log)), default=1.0)
    across = min(3 if len(names) != 4 else 2, max(len(names), 1))
    sheet = Sheet(math.ceil(len(names) / across), [""] * across, 3.0, below=0.55, aside=0.65)
    for r, c, ax in sheet.panels():
        if r * across + c < len(names):
            _draw_log(ax, runs, names[r * across + c], last)
        else:
            ax.set_axis_off()
    lines = zip([label for label, _ in runs], line_styles(), strict=False)
    return sheet.finish([Line2D([], [], color=shade, ls=style, label=label) for label, (shade, style) in lines])


def _draw_log(ax: Axes, runs: Sequence[tuple[str, pd.DataFrame]], name: str, last: float) -> None:
    """One column of all logs against the step from 0 to ``last``, smoothed over a twenty-fifth of its length."""
    own = [(log[["step", name]].dropna(), style) for (_, log), style in zip(runs, line_styles(), strict=False)
           if name in log.columns]  # fmt: skip
    for part, (shade, style) in own:
        if len(own) <= _FEW:
            ax.plot(part["step"], part[name], color=shade, alpha=0.25, linewidth=0.7)
        smooth = part[name].ewm(halflife=max(len(part) / 25, 1e-6)).mean()
        ax.plot(part["step"], smooth, color=shade, linestyle=style, linewidth=1.4)
    values = pd.concat([part[name] for part, _ in own])
    if (values >= 0).all() and (values > 0).any():
        _scale_by_tens(ax)
    ax.set_xlim(0, 1.02 * last)
    ax.set_title(name.replace("_", " "), fontsize=FONT + 1, color=INK, loc="left")
    name_axes(ax, "step")


def _scale_by_tens(ax: Axes) -> None:
    """A logarithmic value axis without zeros, with plain numbers; the fewer decades, the more ticks in each."""
    ax.set_yscale("log", nonpositive="mask")
    low, high = ax.get_ylim()
    decades = math.log10(high / low)
    parts = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0) if decades < 1 else (1.0, 2.0, 5.0) if decades < 2 else (1.0,)
    ax.yaxis.set_major_locator(LogLocator(subs=parts))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
