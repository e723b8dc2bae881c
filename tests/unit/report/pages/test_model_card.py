"""The model cards of the bundled weights are those that their files and scores make."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cellscaper.disk import shipped
from cellscaper.disk.files import checksum
from cellscaper.disk.shipped import shipped_file, shipped_names
from cellscaper.disk.storage import write_layouts
from cellscaper.disk.weights import write_weights
from cellscaper.disk.weights_header import read_header
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.report.pages.model_card import SCORES, model_card
from scripts import script

DOCS = Path(__file__).resolve().parents[4] / "docs"
NAMES = (*shipped_names(), *shipped_names("demo"))


@pytest.fixture(scope="module")
def packer():
    return script("docs/pack_weights.py")


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_up_to_date(name, packer, monkeypatch, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / f"{name}.csv").write_bytes((DOCS / f"models/{name}.csv").read_bytes())
    monkeypatch.setattr(packer, "CARDS", tmp_path)
    packer.write_card(name)
    made, committed = (folder / f"{name}.md" for folder in (tmp_path, DOCS / "models"))
    assert made.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8"), "run docs/pack_weights.py"
    assert f"package:{name}" in made.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_scores_are_those_of_these_weights_or_of_their_training(name):
    with open(DOCS / f"models/{name}.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    known = {checksum(shipped_file(name)), read_header(shipped_file(name))[0]["package"]["trained"]}
    assert {row["weights"] for row in rows} <= known and tuple(rows[0]) == SCORES
    assert {"cross_k", "nn_distance", "tce"} <= {row["metric"] for row in rows}


def test_no_card_is_of_weights_that_are_not_there():
    cards = [one.relative_to(DOCS / "models") for one in (DOCS / "models").rglob("*.md")]
    assert {str(one.with_suffix("")) for one in cards} == set(NAMES)
    page = (DOCS / "weights.md").read_text(encoding="utf-8")
    assert all(f"(models/{name}.md)" in page for name in NAMES)


# -- the script --------------------------------------------------------------------------------------------------


@pytest.fixture
def results(tmp_path):
    """A folder of results as a run leaves it: a training of ``mine``, its layouts and scores."""
    folder = tmp_path / "results/toy"
    layouts = LayoutSet.build([Layout(np.ones((1, 2)), np.zeros(1, np.uint8), (64, 64))], ["a"], 0.5)
    split = {"split": np.array(["train"])}
    write_layouts(folder / "read_cells/cells.h5", layouts.with_columns(**split), {})
    inputs = {"cells": {"sha256": checksum(folder / "read_cells/cells.h5")}}
    section = {
        "method": "point_diffusion",
        "region": 64,
        "small": "error",
        "settings": {},
        "training": {"steps": 9, "batch": 2, "lr": 1e-3, "ema": 0.5},
    }
    model = folder / "train_layout/mine/seed1/model.safetensors"
    record = {"inputs": inputs, "seed": 1, "git": "0123456789abcdef"}
    write_weights(model, {"a": torch.ones(3, 2)}, record, section=section, classes=["a"], mpp=0.5)
    for name, sha in (("mine", checksum(model)), ("stale", "0")):
        made_by = {"config": {"settings": {"steps": 4}}, "inputs": {"model": {"sha256": sha}}}
        write_layouts(folder / f"sample_layouts/{name}/test/seed1/layouts.h5", layouts, made_by)
        scores = folder / f"score_layouts/{name}/points/seed1/scores.csv"
        scores.parent.mkdir(parents=True)
        head = "dataset,experiment,decoder,detector,seed,metric,class,value,n\n"
        scores.write_text(f"{head}toy,{name},points,,1,tce,,0.25,7\n")
    return folder


@pytest.fixture
def pack(packer, results, tmp_path, monkeypatch):
    """Runs the script on these results, with a package and cards of its own."""
    for name in ("package", "cards"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(packer, "FOLDER", tmp_path / "package")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "package")
    monkeypatch.setattr(packer, "CARDS", tmp_path / "cards")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["pack_weights.py", str(results), *words])
        packer.main()

    return run


WORDS = ("--seed", "1", "--data", "toys", "--licence", "MIT", "--how", "a test")


def test_a_training_is_packed_with_its_scores_and_its_card(pack, tmp_path, capsys):
    pack("mine", *WORDS, "--name", "toy")
    assert sorted(one.name for one in (tmp_path / "package").iterdir()) == ["toy.safetensors", "toy.sha256"]
    assert capsys.readouterr().out.endswith("package/toy.safetensors: 0.00 MB\n")
    packed = read_header(shipped_file("toy"))[0]["package"]
    assert (packed["sampling"]["steps"], packed["experiment"], packed["counts"]) == (
        4,
        "mine",
        {"a": [1, 1], "all": [1, 1]},
    )
    card = (tmp_path / "cards/toy.md").read_text(encoding="utf-8")
    for part in (
        "9 steps of 2",
        "commit `0123456789ab`; a test |",
        "| data | toys |",
        "| tce | all | 0.25 |",
        "One seed, 7 layouts",
    ):
        assert part in card
    assert "of the weights before they were rounded to 16 bits" in card


def test_weights_of_one_preset_lie_in_a_folder_of_their_own(pack, tmp_path):
    pack("mine", *WORDS, "--name", "demo/toy")
    assert sorted(one.name for one in (tmp_path / "package/demo").iterdir()) == ["toy.safetensors", "toy.sha256"]
    assert (shipped.shipped_names(), shipped.shipped_names("demo")) == ([], ["demo/toy"])
    assert read_header(shipped_file("demo/toy"))[0]["package"]["name"] == "demo/toy"
    assert "(../../weights.md)" in (tmp_path / "cards/demo/toy.md").read_text(encoding="utf-8")


def test_scores_of_other_weights_pack_nothing(pack, tmp_path):
    with pytest.raises(CellscaperError, match=r"stale/test/seed1/layouts.h5 is of other weights \(SHA-256 0\)"):
        pack("mine", *WORDS, "--scored", "stale")
    with pytest.raises(SystemExit):
        pack("mine", "--seed", "1")  # data and licence of this data set are not known
    assert list((tmp_path / "package").iterdir()) == [] == list((tmp_path / "cards").iterdir())


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
        "One seed, 1550 layouts for test windows, of the weights before they were rounded to 16 bits",
        "| tce | all | 6.5 | 0 |",
        "Exact counts need the decoder `requested`",
    ):
        assert part in card
    assert "| cce |" not in card and "[scores.csv](scores.csv) has the scores of each class" in card
