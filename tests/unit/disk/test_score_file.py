"""Score files: tidy CSV that any program reads back."""

import csv

import numpy as np
import pandas as pd

from cellscaper.disk.score_file import HEADER, write_scores

ABOUT = {"dataset": "brca_m2c", "experiment": "sd_gmm", "decoder": "components", "seed": 2}
SCORES = {
    "cce": {"lymphocyte": 1.5, "tumour": 0.1 + 0.2},
    "tce": {"total": np.float32(1 / 3)},
    "topofd": {"mean": float("nan"), "tumour": 1e-300, "total": float("inf")},
}


def test_each_metric_and_class_is_one_row_with_what_was_scored(tmp_path):
    write_scores(tmp_path / "scores.csv", ABOUT, SCORES, 1550)
    with open(tmp_path / "scores.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == HEADER
    assert [(row["metric"], row["class"]) for row in rows] == [
        ("cce", "lymphocyte"),
        ("cce", "tumour"),
        ("tce", ""),
        ("topofd", "mean"),
        ("topofd", "tumour"),
        ("topofd", ""),
    ]
    assert all({**row, **{k: str(v) for k, v in ABOUT.items()}, "n": "1550"} == row for row in rows)


def test_a_decoder_and_a_detector_have_columns_of_their_own(tmp_path):
    about = {"dataset": "d", "experiment": "adm/points", "detector": "unet", "seed": 0}
    write_scores(tmp_path / "detections.csv", about, {"f1": {"mean": 0.5}}, 3)
    write_scores(tmp_path / "layouts.csv", ABOUT, {"tce": {"total": 1.0}}, 3)
    for name, expected in (("detections.csv", ("", "unet")), ("layouts.csv", ("components", ""))):
        row = pd.read_csv(tmp_path / name, keep_default_na=False).iloc[0]
        assert (row["decoder"], row["detector"]) == expected


def test_values_come_back_exactly(tmp_path):
    write_scores(tmp_path / "scores.csv", ABOUT, SCORES, 1)
    found = pd.read_csv(tmp_path / "scores.csv", float_precision="round_trip")["value"].to_numpy()
    np.testing.assert_array_equal(found, [1.5, 0.1 + 0.2, float(np.float32(1 / 3)), np.nan, 1e-300, np.inf])


def test_names_with_commas_quotes_and_accents_come_back(tmp_path):
    write_scores(
        tmp_path / "scores.csv", {**ABOUT, "dataset": 'größe, "x"'}, {"f1": {"cellule épithéliale, 1": 1.0}}, 3
    )
    row = pd.read_csv(tmp_path / "scores.csv").iloc[0]
    assert (row["dataset"], row["class"]) == ('größe, "x"', "cellule épithéliale, 1")


def test_folders_are_made_and_nothing_else_is_left(tmp_path):
    write_scores(tmp_path / "a" / "scores.csv", ABOUT, {}, 0)
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["scores.csv"]
    assert (tmp_path / "a" / "scores.csv").read_text() == ",".join(HEADER) + "\n"
