import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from cellscaper.errors import CellscaperError
from cellscaper.report.figures.intervals import CEILING, FLOOR, OURS, PAPER, interval_plot

NAN = float("nan")


def frame(**rows):
    """A built table of two metrics; a row is {metric: (mean, sd, paper)}, a missing one was not run."""
    lines = []
    for row, cells in rows.items():
        for metric in ("topofd", "tce"):
            mean, sd, paper = cells.get(metric, (NAN, NAN, NAN))
            lines.append(
                {
                    "row": row, "row_label": f"system {row}", "column_label": metric, "metric": metric, "class": "",
                    "mean": mean, "sd": sd, "n": 3, "paper": paper, "difference": mean - paper,
                    "lower_is_better": True, "status": "ok" if metric in cells else "not run: no time", "note": "",
                }
            )  # fmt: skip
    return pd.DataFrame(lines)


TABLE = frame(
    floor={"topofd": (5.0, 1.0, NAN), "tce": (9.0, NAN, NAN)},
    ceiling={"topofd": (20.0, NAN, NAN), "tce": (0.0, NAN, NAN)},
    a={"topofd": (8.0, 2.0, 7.0), "tce": (3.0, NAN, NAN)},
    b={"topofd": (12.0, NAN, NAN)},
    c={},
)


def panels(figure):
    return {ax.get_title(loc="left").split()[0]: ax for ax in figure.axes if ax.get_title(loc="left")}


def dots(ax, shade, marker):
    """(x, y) of all dots of a colour and shape."""
    return [
        (float(x), float(y))
        for line in ax.lines
        if line.get_marker() == marker and to_hex(line.get_color()) == shade.lower()
        for x, y in zip(*line.get_data(), strict=True)
    ]


def upright(ax, shade):
    return [float(line.get_xdata()[0]) for line in ax.lines
            if to_hex(line.get_color()) == shade.lower() and len(set(line.get_xdata())) == 1
            and list(line.get_ydata()) == [0, 1]]  # fmt: skip


def test_rows_are_dots_with_the_papers_numbers_between_floor_and_ceiling():
    ax = panels(interval_plot(TABLE, ["floor"], ["ceiling"]))["topofd"]
    assert dots(ax, OURS, "o") == [(8.0, 0.0), (12.0, 1.0)]
    assert dots(ax, PAPER, "D") == [(7.0, 0.0)]
    assert upright(ax, FLOOR) == [5.0] and upright(ax, CEILING) == [20.0]
    bars = [collection.get_segments()[0] for collection in ax.collections if len(collection.get_segments())]
    assert np.allclose(bars[0][:, 0], [6.0, 10.0])  # ± one sd, for the row that has one
    assert len(bars) == 1
    assert [label.get_text() for label in ax.get_yticklabels()] == ["system a", "system b"]


def test_count_errors_are_not_framed_and_a_missing_number_leaves_its_line_empty():
    ax = panels(interval_plot(TABLE, ["floor"], ["ceiling"]))["tce"]
    assert upright(ax, FLOOR) == upright(ax, CEILING) == []
    assert dots(ax, OURS, "o") == [(3.0, 0.0)]


def test_everything_drawn_lies_inside_the_axes():
    ax = panels(interval_plot(TABLE, ["floor"], ["ceiling"]))["topofd"]
    low, high = ax.get_xlim()
    assert low <= 4.0 and high >= 20.0


def test_a_wide_range_of_positive_values_has_a_logarithmic_axis():
    wide = frame(a={"topofd": (0.01, NAN, NAN)}, b={"topofd": (10.0, NAN, NAN)})
    assert panels(interval_plot(wide))["topofd"].get_xscale() == "log"
    assert panels(interval_plot(TABLE))["topofd"].get_xscale() == "linear"


def test_curves_run_over_their_numbers_in_order():
    steps = frame(
        floor={"topofd": (5.0, NAN, NAN)},
        s50={"topofd": (6.0, 0.5, NAN)},
        s5={"topofd": (30.0, 1.0, NAN)},
        s10={"topofd": (20.0, NAN, NAN)},
    )
    curves = {"s5": ("ADM", 5.0), "s10": ("ADM", 10.0), "s50": ("ADM", 50.0)}
    ax = panels(interval_plot(steps, ["floor"], [], curves))["topofd"]
    line = next(line for line in ax.lines if line.get_marker() == "o")
    assert line.get_xdata().tolist() == [5, 10, 50] and line.get_ydata().tolist() == [30, 20, 6]
    assert ax.get_xscale() == "log"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["5", "10", "50"]


def test_a_table_without_a_number_is_refused():
    with pytest.raises(CellscaperError, match="has nothing to draw"):
        interval_plot(frame(a={}))
    with pytest.raises(CellscaperError, match="has nothing to draw"):
        interval_plot(frame(floor={"topofd": (1.0, NAN, NAN)}), ["floor"])
