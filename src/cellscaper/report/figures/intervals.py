"""The numbers of a table as dots with intervals between floor and ceiling, or as lines over a numeric axis."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from cellscaper.errors import CellscaperError
from cellscaper.report.figures.palette import FONT, INK, line_styles
from cellscaper.report.figures.panels import name_axes
from cellscaper.report.figures.sheet import Sheet

FLOOR, CEILING, OURS, PAPER = "#009E73", "#777777", "#0072B2", "#D55E00"
_WIDE = 30  # largest over smallest value from which an axis is logarithmic
_LETTER = 0.058  # inches
_UNFRAMED = ("cce", "tce")  # count errors: random layouts have none, real layouts are compared with unrelated ones


def interval_plot(
    frame: pd.DataFrame,
    floor: Collection[str] = (),
    ceiling: Collection[str] = (),
    curves: Mapping[str, tuple[str, float]] | None = None,
) -> Figure:
    """A built table (:func:`cellscaper.report.tables.build.build`): a panel for each column that has a number.

    Rows stand below each other: the mean over the seeds, ± one sd as a bar, and the paper's number if both mean the
    same. Rows named in ``floor`` (real against real) and ``ceiling`` (random layouts) are lines through the panel with
    their sd as bands; panels of count errors have neither.
    With ``curves`` {row: (line, x)} the plot shows only these rows, as lines over x.
    CellscaperError for a table without a number.
    """
    done = frame[(frame["status"] == "ok") & frame["mean"].notna()]
    framing = {*floor, *ceiling}
    shown = [row for row in dict.fromkeys(frame["row"]) if row not in framing and row in set(done["row"])]
    if curves:
        shown = [row for row in shown if row in curves]
    columns: list[str] = list(dict.fromkeys(done.loc[done["row"].isin(shown), "column_label"]))
    if not columns:
        raise CellscaperError("a table without the number of a system has nothing to draw; run at least one row of it")
    labels = dict(zip(frame["row"], frame["row_label"], strict=True))
    across = min(4, len(columns))
    left = 0.3 if curves else min(0.25 + _LETTER * max(len(labels[row]) for row in shown), 3.4)
    sheet = Sheet(
        math.ceil(len(columns) / across),
        [""] * across,
        max(1.9, 0.6 + 0.15 * len(shown)) if not curves else 2.2,
        below=0.55,
        aside=0.42,  # numbers of neighbouring axes do not touch
        left=left,
    )
    for r, c, ax in sheet.panels():
        if r * across + c >= len(columns):
            ax.set_axis_off()
            continue
        part = done[done["column_label"] == columns[r * across + c]].set_index("row")
        if part["metric"].iloc[0] not in _UNFRAMED:
            _draw_frame(ax, part, floor, FLOOR, bool(curves))
            _draw_frame(ax, part, ceiling, CEILING, bool(curves))
        if curves:
            _draw_curves(ax, part, shown, curves)
        else:
            _draw_rows(ax, part, shown, [labels[row] for row in shown] if c == 0 else None)
        arrow = "↓" if part["lower_is_better"].iloc[0] else "↑"
        ax.set_title(f"{columns[r * across + c]} {arrow}", fontsize=FONT + 1, color=INK, loc="left", pad=4)
    return sheet.finish(_handles(done, framing, floor, ceiling, shown, curves))


def _handles(
    done: pd.DataFrame,
    framing: Collection[str],
    floor: Collection[str],
    ceiling: Collection[str],
    shown: Sequence[str],
    curves: Mapping[str, tuple[str, float]] | None,
) -> list[Line2D]:
    handles: list[Line2D] = []
    if curves:
        names = list(dict.fromkeys(curves[row][0] for row in shown))
        for name, (shade, style) in zip(names, _styles(), strict=False):
            handles.append(Line2D([], [], color=shade, linestyle=style, marker="o", markersize=4, label=name))
    else:
        handles.append(Line2D([], [], color=OURS, marker="o", markersize=5, linewidth=1.3, label="ours: mean ± sd"))
        if done["paper"].notna().any():
            handles.append(
                Line2D([], [], color=PAPER, marker="D", mfc="none", linestyle="", markersize=5, label="the paper")
            )
    for rows, shade, name in ((floor, FLOOR, "floor: real vs real"), (ceiling, CEILING, "ceiling: random")):
        if set(rows) & set(done["row"]) & set(framing):
            handles.append(Line2D([], [], color=shade, linewidth=1.6, label=name))
    return handles


def _styles() -> Iterator[tuple[str, Any]]:
    """Line styles without the floor's colour."""
    return ((shade, style) for shade, style in line_styles() if shade != FLOOR)


def _draw_frame(ax: Axes, part: pd.DataFrame, rows: Collection[str], shade: str, across: bool) -> None:
    """The line of each floor or ceiling row and a band of ± its sd; horizontal if ``across``."""
    line, band = (ax.axhline, ax.axhspan) if across else (ax.axvline, ax.axvspan)
    for row in rows:
        if row in part.index:
            mean, sd = _numbers(part, row, "mean", "sd")
            line(mean, color=shade, linewidth=1.4, zorder=1)
            if sd > 0:
                band(mean - sd, mean + sd, color=shade, alpha=0.18, linewidth=0, zorder=0)


def _numbers(part: pd.DataFrame, row: str, *names: str) -> list[float]:
    return [float(value) for value in part[list(names)].astype(float).loc[[row]].to_numpy()[0]]


def _draw_rows(ax: Axes, part: pd.DataFrame, shown: Sequence[str], labels: Sequence[str] | None) -> None:
    """A dot with its bar for each row that has a number, top to bottom."""
    for y, row in enumerate(shown):
        if row not in part.index:
            continue
        mean, sd, paper = _numbers(part, row, "mean", "sd", "paper")
        ax.errorbar(mean, y, xerr=sd if sd > 0 else None, color=OURS, fmt="o", markersize=4.5, linewidth=1.3, capsize=2)
        if not math.isnan(paper) and not part.at[row, "note"]:
            ax.plot(paper, y, "D", color=PAPER, mfc="none", markersize=4.5, zorder=4)
    name_axes(ax, "")
    ax.set_yticks(range(len(shown)), labels if labels is not None else [""] * len(shown), fontsize=FONT - 1)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    _scale(ax, part, horizontal=True)


def _draw_curves(ax: Axes, part: pd.DataFrame, shown: Sequence[str], curves: Mapping[str, tuple[str, float]]) -> None:
    """A line for each name in ``curves`` through its rows, over x on a logarithmic axis."""
    names = list(dict.fromkeys(curves[row][0] for row in shown))
    ticks = sorted({curves[row][1] for row in shown})
    for name, (shade, style) in zip(names, _styles(), strict=False):
        own = sorted((curves[row][1], row) for row in shown if curves[row][0] == name and row in part.index)
        if own:
            x, rows = zip(*own, strict=True)
            mean, sd = part.loc[list(rows), "mean"].to_numpy(float), part.loc[list(rows), "sd"].to_numpy(float)
            bars = np.nan_to_num(sd) if np.isfinite(sd).any() else None
            ax.errorbar(
                x, mean, yerr=bars, color=shade, linestyle=style, marker="o", markersize=3.5, linewidth=1.3, capsize=2
            )
    name_axes(ax, "sampling steps")
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    _scale(ax, part, horizontal=False)


def _scale(ax: Axes, part: pd.DataFrame, horizontal: bool) -> None:
    """A logarithmic value axis if positive values differ much; otherwise a linear axis, which shows 0 if it is near."""
    values = pd.concat([part["mean"], part.loc[part["note"] == "", "paper"]]).dropna().to_numpy(float)
    axis = ax.xaxis if horizontal else ax.yaxis
    if values.min() > 0 and values.max() > _WIDE * values.min():
        (ax.set_xscale if horizontal else ax.set_yscale)("log")
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
        return
    axis.set_major_locator(MaxNLocator(5))
    margin = 0.08 * (np.ptp(values) or abs(values[0]) or 1.0)
    low, high = values.min() - margin, values.max() + margin
    low = min(low, 0.0) if values.min() >= 0 and values.min() < 0.5 * values.max() else low
    spread = np.nan_to_num(part["sd"].to_numpy(float))
    low, high = min(low, float((part["mean"] - spread).min())), max(high, float((part["mean"] + spread).max()))
    (ax.set_xlim if horizontal else ax.set_ylim)(low, high)
