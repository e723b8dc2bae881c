"""The Δ of detection tables: which cells have one, what it is, how it is written."""

import math

import numpy as np
import pandas as pd
import pytest

from cellscaper.disk.count_file import ImageCounts
from cellscaper.metrics.bootstrap import paired_differences
from cellscaper.metrics.detection import ratios, scores
from cellscaper.plan.tables import described
from cellscaper.report.figures.radius_curves import radius_curves
from cellscaper.report.tables.build import SCORE_COLUMNS
from cellscaper.report.tables.build import build as build_table
from cellscaper.report.tables.gains import add_gains, gain_note
from cellscaper.report.tables.notes import Note
from cellscaper.report.tables.text import to_latex, to_markdown

CLASSES = ("a", "b")
TABLE = {
    "kind": "detections",
    "rows": {
        "real": {"label": "real only", "experiment": "real_only"},
        "gmm": {"label": "+ GMM", "experiment": "sd_gmm/components"},
        "left": {"label": "left out", "experiment": None, "why": "not wanted"},
    },
    "columns": [
        {"metric": metric, "class": name, "label": f"{metric} {name}", "detector": "unet"}
        for metric in ("f1", "f1_released")
        for name in (*CLASSES, "mean", "detection")
    ],
}


def build(table, *rest):
    """The table with each column's direction and label as planning fills them in."""
    return build_table({**table, "columns": [described("t", column) for column in table["columns"]]}, *rest)


@pytest.fixture(scope="module")
def counts():
    """Two seeds, 30 images; generated pairs raise the recall of class a from 0.5 to 0.8 and leave b as it is."""
    rng = np.random.default_rng(0)
    found = {}
    for name, recall in (("real_only", (0.5, 0.7)), ("sd_gmm/components", (0.8, 0.7))):
        number = np.full((2, 30, 6, 2), 40)
        hits = rng.binomial(number, recall)
        one = np.stack([hits, rng.poisson(8, hits.shape), number - hits], axis=-1)
        both = np.concatenate([one, one.sum(axis=3, keepdims=True)], axis=3)
        for protocol in ("paper", "released"):
            images = tuple(map(str, range(30)))
            found[name, "unet", protocol] = ImageCounts(both, images, tuple(range(1, 7)), CLASSES)
    return found


@pytest.fixture(scope="module")
def frame(counts):
    lines = []
    for (experiment, detector, protocol), one in counts.items():
        for seed in (0, 1):
            pooled = scores(one.at(6)[seed].sum(axis=0), CLASSES, protocol)["f1"]
            metric = "f1" if protocol == "paper" else "f1_released"
            lines += [("d", experiment, "", detector, seed, metric, name, value, 30) for name, value in pooled.items()]
    built = build(TABLE, "d", CLASSES, pd.DataFrame(lines, columns=list(SCORE_COLUMNS)), {})
    return add_gains(built, TABLE, counts, 6, 400)


def cell(frame, row, metric, name):
    return frame[(frame["row"] == row) & (frame["metric"] == metric) & (frame["class"] == name)].iloc[0]


@pytest.mark.parametrize("metric", ["f1", "f1_released"])
@pytest.mark.parametrize("name", [*CLASSES, "mean", "detection"])
def test_the_gain_is_the_difference_of_the_two_cells(frame, metric, name):
    ours, real = (cell(frame, row, metric, name) for row in ("gmm", "real"))
    assert ours["gain"] == pytest.approx(ours["mean"] - real["mean"])
    assert ours["gain_low"] < ours["gain"] < ours["gain_high"]


def test_intervals_are_those_of_the_bootstrap_and_tell_a_gain_from_none(frame, counts):
    sides = [counts[name, "unet", "paper"].at(6) for name in ("sd_gmm/components", "real_only")]
    expected = paired_differences(*sides, lambda pooled: ratios(pooled, "paper")["f1"], 400)
    found = [cell(frame, "gmm", "f1", name)["gain_low"] for name in (*CLASSES, "mean", "detection")]
    assert found == [one.low for one in expected]
    assert cell(frame, "gmm", "f1", "a")["gain_p"] < 0.01 and cell(frame, "gmm", "f1", "a")["gain_low"] > 0
    assert cell(frame, "gmm", "f1", "b")["gain_low"] < 0 < cell(frame, "gmm", "f1", "b")["gain_high"]


def test_real_only_and_rows_not_run_have_none(frame, counts):
    none = frame[frame["row"] != "gmm"]
    assert none[["gain", "gain_low", "gain_high", "gain_p"]].isna().all(axis=None)
    alone = {key: one for key, one in counts.items() if key[0] != "real_only"}
    assert add_gains(frame, TABLE, alone, 6, 100)["gain"].isna().all()


def test_tables_show_the_interval_and_p(frame):
    found = cell(frame, "gmm", "f1", "a")
    text = to_markdown(frame, "t", [Note(gain_note(30, 400))])
    assert f"Δ {found['gain']:+.3f} [{found['gain_low']:+.3f}, {found['gain_high']:+.3f}], p 0.005" in text
    assert "30 test images (400 resamples)" in text
    (real,) = [line for line in text.splitlines() if line.startswith("| real only")]
    assert "Δ" not in real
    assert r"$\Delta$" in to_latex(frame, "t")


def test_few_images_are_warned_of():
    assert "too narrow" in gain_note(4, 400) and "too narrow" not in gain_note(30, 400)


def test_curves_hold_the_pooled_f1_at_each_threshold(counts):
    figure = radius_curves([("real only", "real_only"), ("+ GMM", "sd_gmm/components")], ["unet"], counts)
    panels = [ax for ax in figure.axes if ax.lines]
    assert len(panels) == 4
    one = counts["sd_gmm/components", "unet", "paper"]
    drawn = panels[2].lines[1]
    assert drawn.get_xdata().tolist() == [1, 2, 3, 4, 5, 6]
    expected = [np.mean([scores(s[:, r].sum(0), CLASSES)["f1"]["mean"] for s in one.counts]) for r in range(6)]
    assert drawn.get_ydata() == pytest.approx(expected)
    assert not math.isnan(panels[0].get_ylim()[1])
