"""Functions of cells against their global envelopes under a null model: a panel for each function."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cellscaper.envelopes.ranks import Envelope
from cellscaper.envelopes.statistics import STATISTICS, Floats, Function, Radii
from cellscaper.envelopes.trial import Data, Trial, title
from cellscaper.report.figures.palette import FONT, FRAME, INK
from cellscaper.report.figures.panels import name_axes

ACROSS, MOST = 6, 12  # panels in a row, panels of a statistic
SIDE, BESIDE, BELOW, HEAD, TOP = 1.5, 0.42, 0.6, 0.3, 0.34  # inches
BAND, OUT = "#D4DCE2", "#D55E00"
UNITS = {"cross-K": "L(r) - r, px", "pair correlation": "g(r)", "neighbours": "share within r", "mixing": "share"}


def envelope_figure(trial: Trial, data: Data) -> Figure:
    """All statistics against one null model, each in rows of ACROSS panels.

    Of a statistic with more than MOST functions the MOST with the smallest p are shown. The band is the global
    envelope, the dashed line the median of the null model; the data are black, orange where they leave the envelope.
    """
    blocks = {name: shown(trial, name) for name in STATISTICS if name in trial.tested.groups}
    rows = [-(-len(which) // ACROSS) for which in blocks.values()]
    width = 0.15 + ACROSS * (SIDE + BESIDE)
    height = sum(rows) * (SIDE + BELOW) + len(blocks) * HEAD + TOP
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    y = height - TOP
    text = f"against {trial.null}: p = {trial.tested.p:.3g} (all functions together, {trial.n} layouts)"
    figure.text(0.05 / width, (y + 0.1) / height, text, fontsize=FONT + 4, color=INK, weight="bold")
    for (name, which), many in zip(blocks.items(), rows, strict=True):
        y -= HEAD
        all_of_them = sum(one.statistic == name for one in trial.functions)
        kept = f", the {len(which)} of {all_of_them} with the smallest p" if len(which) < all_of_them else ""
        text = f"{name}: p = {trial.tested.groups[name]:.3g}{kept}"
        figure.text(0.05 / width, (y + 0.1) / height, text, fontsize=FONT + 2, color=INK)
        for k, number in enumerate(which):
            x, down = BESIDE + (k % ACROSS) * (SIDE + BESIDE), 0.16 + k // ACROSS * (SIDE + BELOW) + SIDE
            ax = figure.add_axes((x / width, (y - down) / height, SIDE / width, SIDE / height))
            _panel(ax, trial.functions[number], trial.observed[number], trial.tested.envelopes[number], data)
        y -= many * (SIDE + BELOW)
    return figure


def shown(trial: Trial, statistic: str) -> list[int]:
    """The functions of a statistic that a figure has room for, in their order."""
    own = [i for i, one in enumerate(trial.functions) if one.statistic == statistic]
    kept = sorted(own, key=lambda i: (trial.tested.envelopes[i].p, i))[:MOST]
    return sorted(kept)


def _panel(ax: Axes, one: Function, observed: Floats, envelope: Envelope, data: Data) -> None:
    ax.tick_params(labelsize=FONT - 2, colors=INK, length=2, pad=2)
    for spine in ax.spines.values():
        spine.set(color=FRAME, linewidth=0.6)
    if one.second < 0:
        _bars(ax, observed, envelope, data)
        name_axes(ax, "")
    else:
        _curve(ax, _places(one, data.radii), observed, envelope)
        name_axes(ax, "r, px")
    ax.set_title(shortened(title(one, data.classes), 30), fontsize=FONT - 1, color=INK, pad=3)
    for x, side, text in ((0.03, "left", UNITS[one.statistic]), (0.98, "right", f"p = {envelope.p:.3g}")):
        ax.annotate(text, (x, 0.98), xycoords="axes fraction", ha=side, va="top", fontsize=FONT - 2, color="#5A646E")


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _places(one: Function, radii: Radii) -> Floats:
    return radii.middles if one.statistic == "pair correlation" else radii.ends


def _curve(ax: Axes, at: Floats, observed: Floats, envelope: Envelope) -> None:
    ax.fill_between(at, envelope.low, envelope.high, color=BAND, linewidth=0)
    ax.plot(at, envelope.middle, color=FRAME, linestyle="--", linewidth=0.8)
    ax.plot(at, observed, color=INK, linewidth=1.1)
    out = envelope.outside != 0
    ax.plot(at[out], observed[out], color=OUT, linestyle="", marker="o", markersize=2.4, markeredgewidth=0)
    ax.set_xlim(0, at[-1])
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.14 * (high - low))


def _bars(ax: Axes, observed: Floats, envelope: Envelope, data: Data) -> None:
    used = np.flatnonzero(data.counts.sum(axis=0))
    for place, k in enumerate(used):
        low, high = envelope.low[k], envelope.high[k]
        ax.bar(place, high - low, 0.6, bottom=low, color=BAND)
        ax.plot([place - 0.3, place + 0.3], [envelope.middle[k]] * 2, color=FRAME, linestyle="--", linewidth=0.8)
        ax.plot(place, observed[k], color=OUT if envelope.outside[k] else INK, marker="o", markersize=3.5)
    names = [shortened(data.classes[k], 12) for k in used]
    ax.set_xticks(range(len(used)), names, rotation=30 if len(used) > 2 else 0, fontsize=FONT - 3)
    ax.set_xlim(-0.6, len(used) - 0.4)
    ax.set_ylim(0, 1.14)
