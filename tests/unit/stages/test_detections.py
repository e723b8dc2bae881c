"""From detections to a table with intervals, by the stages themselves."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from cellscaper.disk.storage import read_layouts, write_layouts
from cellscaper.disk.weights import write_weights
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.detection import detection_scores
from cellscaper.report.tables.notes import read_notes
from cellscaper.stages import draw_radii, make_tables, score_detections, select_detector

CLASSES = ("a", "b")
COLUMNS = [
    {"metric": m, "class": "mean", "label": m, "detector": "unet", "lower": False} for m in ("f1", "f1_released")
]
TABLE = {
    "title": "A table",
    "kind": "detections",
    "framing": {},
    "rows": [
        ["real", {"label": "real only", "experiment": "real_only"}],
        ["ours", {"label": "+ ours", "experiment": "adm/points"}],
    ],
    "columns": COLUMNS,
    "radius": 6,
    "bootstrap": 200,
    "trainings": {"unet": 2},
}


def run(monkeypatch, module, **flags):
    many = {name: value if isinstance(value, list) else [value] for name, value in flags.items()}
    given = [str(word) for name, values in many.items() for word in (f"--{name}", *values)]
    monkeypatch.setattr("sys.argv", ["stage", *given])
    module.main()


def found(cells, noise, rng):
    """Each cell moved by noise."""
    items = [
        Layout(np.clip(one.points + rng.normal(0, noise, one.points.shape), 0, 79), one.labels, one.size, one.source)
        for one in cells
    ]
    return LayoutSet.build(items, CLASSES, 0.5, cells.columns)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    items = [
        Layout(rng.uniform(0, 79, (20, 2)).astype(np.float32), rng.integers(0, 2, 20).astype(np.uint8), (80, 80), name)
        for name in ("x", "y", "z", "t")
    ]
    cells = LayoutSet.build(items, CLASSES, 0.5, {"split": np.array(["test", "test", "test", "train"])})
    write_layouts(tmp_path / "cells.h5", cells, {})
    about = {"dataset": "d", "detector": "unet", "seed": 0, "config": json.dumps({"radius": 6, "bootstrap": 200})}
    for name, noise in (("real_only", 4.0), ("adm/points", 2.0)):
        stem = tmp_path / name.split("/")[0]
        made = {"synthetic_fraction": 0.5 if "adm" in name else 0.0, "val_f1": 0.5, "initialised": "he"}
        write_layouts(f"{stem}.h5", found(cells.where(split="test"), noise, rng), {"config": made})
        run(
            monkeypatch,
            score_detections,
            cells=tmp_path / "cells.h5",
            detections=f"{stem}.h5",
            scores=f"{stem}.csv",
            counts=f"{stem}_counts.csv",
            experiment=name,
            **about,
        )
    return tmp_path


def test_scores_are_those_of_both_protocols(folder):
    cells, ours = read_layouts(folder / "cells.h5").where(split="test"), read_layouts(folder / "adm.h5")
    frame = pd.read_csv(folder / "adm.csv").set_index(["metric", "class"])["value"]
    for protocol, suffix in (("paper", ""), ("released", "_released")):
        for metric, by_class in detection_scores(cells, ours, 6, protocol).items():
            for name, value in by_class.items():
                assert frame[metric + suffix, name] == pytest.approx(value)


def test_the_table_has_a_gain_with_its_interval(folder, monkeypatch):
    ends = {"csv": "csv", "notes": "notes.json", "markdown": "md", "latex": "tex"}
    made = {kind: folder / f"t.{end}" for kind, end in ends.items()}
    run(
        monkeypatch,
        make_tables,
        cells=folder / "cells.h5",
        scores=[folder / "real_only.csv", folder / "adm.csv"],
        counts=[folder / "real_only_counts.csv", folder / "adm_counts.csv"],
        dataset="d",
        table="t",
        config=json.dumps(TABLE),
        **made,
    )
    frame = pd.read_csv(made["csv"]).set_index(["row", "metric"])
    ours, real = frame.loc[("ours", "f1")], frame.loc[("real", "f1")]
    assert ours["gain"] == pytest.approx(ours["mean"] - real["mean"])
    assert ours["gain_low"] <= ours["gain"] <= ours["gain_high"] and 0 < ours["gain_p"] <= 1
    assert np.isnan(real["gain"])
    text = made["markdown"].read_text()
    assert "3 test images (200 resamples)" in text and "within 6 px of a dot, one to one" in text
    assert "protocol “released”" in text
    assert "unet: encoder with He initialisation (no ImageNet weights)" in text
    assert "unet: rows with pairs: the best of 2 trainings by validation F1; real only: one training. " in text
    assert "one training. Share of synthetic crops: + ours 0.5" in text
    assert pd.read_csv(made["csv"])["detector"].eq("unet").all()
    for note in read_notes(made["notes"]):
        assert f"- {note.mark} {note.text}".replace("-  ", "- ") in text


@pytest.mark.parametrize(("f1", "chosen"), [((0.4, 0.6, 0.5), 1), ((0.6, 0.6, 0.1), 0)])
def test_the_mixing_ratio_with_the_best_validation_is_taken(tmp_path, monkeypatch, capsys, f1, chosen):
    files = []
    for i, score in enumerate(f1):
        files.append(tmp_path / f"{i}.safetensors")
        section = {"method": "unet", "settings": {}, "synthetic_fraction": 0.25 * (i + 1)}
        write_weights(files[-1], {"w": torch.full((2,), float(i))}, {}, section=section, val_f1=score)
    run(monkeypatch, select_detector, models=files, model=tmp_path / "best.safetensors")
    assert (tmp_path / "best.safetensors").read_bytes() == files[chosen].read_bytes()
    assert f"50 % synthetic crops, F1 on validation images {f1[1]:.4f}" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "0.safetensors",
        "1.safetensors",
        "2.safetensors",
        "best.safetensors",
    ]


@pytest.mark.slow
def test_thresholds_are_drawn(folder, monkeypatch):
    rows = {"labels": ["real only", "+ ours"], "rows": ["real_only", "adm/points"]}
    files = [folder / "real_only_counts.csv", folder / "adm_counts.csv"]
    run(monkeypatch, draw_radii, counts=files, **rows, detectors="unet", picture=folder / "r.png")
    assert (folder / "r.png").read_bytes().startswith(b"\x89PNG")
