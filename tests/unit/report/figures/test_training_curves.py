import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from cellscaper.report.figures.training_curves import training_curves

STEPS = np.arange(10, 510, 10)


def log(**columns):
    return pd.DataFrame({"step": STEPS, **columns})


def panel(figure, title):
    return next(ax for ax in figure.axes if ax.get_title(loc="left") == title)


def test_each_column_of_any_log_has_a_panel_with_a_line_for_each_run_that_has_it():
    late = np.where(STEPS > 250, 40.0 / STEPS, np.nan)
    runs = [("A", log(loss=1 / STEPS)), ("B", log(loss=3 / STEPS, count_error=STEPS - 50.0, intra=late))]
    figure = training_curves(runs)
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.axison]
    assert titles == ["loss", "count error", "intra"]
    raw_a, mean_a, raw_b, mean_b = panel(figure, "loss").get_lines()
    assert raw_a.get_ydata().tolist() == (1 / STEPS).tolist()
    assert raw_b.get_ydata().tolist() == (3 / STEPS).tolist()
    assert to_hex(mean_a.get_color()) != to_hex(mean_b.get_color()) == to_hex(raw_b.get_color())
    only_b = panel(figure, "intra").get_lines()
    assert [to_hex(line.get_color()) for line in only_b] == [to_hex(mean_b.get_color())] * 2
    assert only_b[0].get_xdata().tolist() == STEPS[STEPS > 250].tolist()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A", "B"]


@pytest.mark.slow
def test_the_last_of_many_runs_is_drawn():
    runs = [(f"run {i}", log(loss=1 / STEPS)) for i in range(60)] + [("GAN", log(accuracy=STEPS / 500))]
    figure = training_curves(runs)
    assert len(panel(figure, "loss").get_lines()) == 60
    assert len(panel(figure, "accuracy").get_lines()) == 2
    assert figure.legends[0].get_texts()[-1].get_text() == "GAN"


def test_the_running_mean_of_a_constant_is_the_constant_and_follows_a_step_late():
    figure = training_curves([("A", log(flat=np.full(50, 7.0), step_up=np.where(STEPS > 250, 2.0, 1.0)))])
    assert panel(figure, "flat").get_lines()[1].get_ydata() == pytest.approx(7.0)
    mean = panel(figure, "step up").get_lines()[1].get_ydata()
    assert 1 < mean[25] < mean[30] < mean[-1] <= 2


def test_value_axes_are_logarithmic_without_negative_values_and_steps_the_same_everywhere():
    zero_first = np.where(STEPS < 100, 0.0, 1 / STEPS)
    short = pd.DataFrame({"step": [10, 20], "loss": [1.0, 0.5]})
    figure = training_curves([("A", log(signed=STEPS - 50.0, count=zero_first, dead=0.0 * STEPS)), ("B", short)])
    scales = {name: panel(figure, name).get_yscale() for name in ("signed", "count", "dead", "loss")}
    assert scales == {"signed": "linear", "count": "log", "dead": "linear", "loss": "log"}
    assert len({panel(figure, name).get_xlim() for name in scales}) == 1


@pytest.mark.slow
def test_panels_of_many_runs_show_their_means_alone_and_stay_square():
    columns = {f"part_{i}": 1 / STEPS for i in range(8)}
    figure = training_curves([(f"run {i}", log(**columns)) for i in range(12)])
    shown = [ax for ax in figure.axes if ax.axison]
    assert [len(ax.get_lines()) for ax in shown] == [12] * 8
    assert len({(line.get_color(), line.get_linestyle()) for line in shown[0].get_lines()}) == 12
    sizes = {tuple(np.round(ax.get_window_extent().size)) for ax in shown}
    assert len(sizes) == 1 and len(set(sizes.pop())) == 1
    legend = figure.legends[0].get_window_extent()
    assert legend.width <= figure.bbox.width and legend.y1 <= min(ax.get_window_extent().y0 for ax in shown)


def test_a_log_without_rows_leaves_its_lines_out():
    figure = training_curves([("A", log(loss=1 / STEPS)), ("B", pd.DataFrame({"step": [], "loss": []}))])
    assert panel(figure, "loss").get_lines()[0].get_xdata().tolist() == STEPS.tolist()
