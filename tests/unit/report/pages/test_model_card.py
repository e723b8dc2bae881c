"""The model cards of the bundled weights are those that their files and scores make."""

import csv
import importlib.util
from pathlib import Path

import pytest
import torch

from cellscaper.disk.shipped import shipped_file, shipped_names
from cellscaper.disk.weights import write_weights
from cellscaper.report.pages.model_card import SCORES, model_card

DOCS = Path(__file__).resolve().parents[4] / "docs"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("pack_weights", DOCS / "pack_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", shipped_names())
def test_the_card_is_up_to_date(name, script, monkeypatch, tmp_path):
    (tmp_path / f"{name}.csv").write_bytes((DOCS / f"models/{name}.csv").read_bytes())
    monkeypatch.setattr(script, "CARDS", tmp_path)
    script.write_card(name)
    made, committed = (folder / f"{name}.md" for folder in (tmp_path, DOCS / "models"))
    assert made.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8"), "run docs/pack_weights.py"
    assert f"package:{name}" in made.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", shipped_names())
def test_the_scores_are_those_of_these_weights_or_of_their_training(name):
    with open(DOCS / f"models/{name}.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    from cellscaper.disk.files import checksum
    from cellscaper.disk.weights_header import read_header

    known = {checksum(shipped_file(name)), read_header(shipped_file(name))[0]["package"]["trained"]}
    assert {row["weights"] for row in rows} <= known and tuple(rows[0]) == SCORES
    assert {"cross_k", "nn_distance", "tce"} <= {row["metric"] for row in rows}


def test_no_card_is_of_weights_that_are_not_there():
    assert {file.stem for file in (DOCS / "models").iterdir()} == set(shipped_names())
    page = (DOCS / "weights.md").read_text(encoding="utf-8")
    assert all(f"(models/{name}.md)" in page for name in shipped_names())


def test_a_card_of_maps_says_what_they_are(tmp_path):
    section = {
        "method": "topocellgen",
        "region": 256,
        "grid": {"stride": 4, "marker": 3, "soft": 0.914},
        "condition": {"kind": "class_counts"},
        "training": {"steps": 6000, "batch": 16, "lr": 1e-3, "ema": 0.999},
    }
    packed = {
        **{"name": "topocellgen", "precision": "fp16", "counts": {"a": [0, 50], "all": [1, 50]}, "seed": 0},
        **{"sampling": {"steps": 25}, "commit": "0123456789abcdef", "data": "toys", "licence": "MIT", "how": "a day"},
    }
    file = tmp_path / "topocellgen.safetensors"
    write_weights(file, {"a": torch.ones(3)}, {}, section=section, classes=["a"], mpp=0.5, package=packed)
    lines = [",".join(SCORES)]
    lines += [f"{decoder},tce,,{value},1550,other" for decoder, value in (("peaks", 6.5), ("requested", 0))]
    lines += ["peaks,cce,a,3,1550,other"]
    (tmp_path / "scores.csv").write_text("\n".join(lines) + "\n")
    card = model_card(file, 5_000_000, tmp_path / "scores.csv")
    for part in (
        "| system | `topocellgen`, the number of cells of each class as condition |",
        "| network | 5.00 M numbers, fp16, ",
        "| raster | a pixel for 4 × 4 px, soft markers (sd 0.914 pixels) |",
        "6 000 steps of 16, AdamW 0.001, averaged weights (decay 0.999), seed 0, commit `0123456789ab`; a day |",
        "One seed, 1550 layouts for real test windows, of the weights before they were rounded to 16 bits",
        "| tce | all | 6.5 | 0 |",
        "Exact counts need the decoder `requested`",
    ):
        assert part in card
    assert "| cce |" not in card and "[scores.csv](scores.csv) has the scores of each class" in card
