"""Generators whose losses act late begin as the generator that they name: the stages' own runs, whole and shared."""

import csv
import json
import sys

import numpy as np
import pytest
import torch

from cellscaper.disk.storage import write_density, write_layouts
from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.begins import plain_beginning
from cellscaper.run.methods import method, names
from cellscaper.stages import start_layout, train_layout

LATE = [name for name in names("generators") if hasattr(method("generators", name), "BEGINS")]
STEPS = 8
RECIPE = {
    "region": 64,
    "small": "error",
    "grid": {"region": 64, "stride": 4, "marker": 1, "pad": 0, "low": -0.2, "high": 4.0},
    "condition": {"kind": "count_category", "categories": 2, "edges": "quantiles"},
    "settings": {
        "network": {"channels": 16, "blocks": 1, "multipliers": [1, 2], "attention": [], "head_channels": 16},
        "diffusion": {"schedule": "cosine", "steps": 100, "prediction": "v"},
    },
    "training": {"steps": STEPS, "batch": 4, "lr": 1e-2, "ema": 0.9, "grad_clip": 1.0, "log_every": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Cells of three classes in three images, two of them for training."""
    rng = np.random.default_rng(0)
    items = [
        Layout(rng.uniform(0, 96, (70, 2)).astype(np.float32), rng.integers(0, 3, 70).astype(np.uint8), (96, 96))
        for _ in range(3)
    ]
    file = tmp_path_factory.mktemp("cells") / "cells.h5"
    split = {"split": np.array(["train", "train", "test"])}
    write_layouts(file, LayoutSet.build(items, ("a", "b", "c"), 0.5, split), {})
    return file


def ended(stage, folder, cells, recipe, monkeypatch, **options):
    """Run a stage on these cells, seed 3, in ``folder``: its weights or beginning, and its losses."""
    files = {"cells": cells, "model": folder / "model.safetensors", "losses": folder / "losses.csv"}
    given = {**files, "config": json.dumps(recipe), "seed": 3, "threads": 1, **options}
    monkeypatch.setattr(
        sys, "argv", ["stage", *(str(word) for key, one in given.items() for word in (f"--{key}", one))]
    )
    stage.main()
    return files["model"], files["losses"]


def rows(file):
    with open(file, newline="", encoding="utf-8") as lines:
        return [{name: value for name, value in row.items() if name != "check"} for row in csv.DictReader(lines)]


def late_recipe(name):
    """The recipe of a late generator, its own losses acting in the second half of the training."""
    begins = method("generators", name).BEGINS
    block = {begins.after: 0.6}
    return {**RECIPE, "method": name, "settings": {**RECIPE["settings"], begins.block: block}}


def test_there_is_a_generator_with_late_losses():
    assert "topocellgen" in LATE


@pytest.mark.slow
@pytest.mark.parametrize("name", LATE)
def test_shared_and_unshared_trainings_end_bit_for_bit_the_same(name, cells, tmp_path, monkeypatch):
    whole_recipe = late_recipe(name)
    plain, until = plain_beginning(whole_recipe, method("generators", name).BEGINS)
    assert until == 5  # not at the end of a row of the log
    file, _ = ended(start_layout, tmp_path / "start", cells, plain, monkeypatch, until=until)
    assert {one.name for one in file.parent.iterdir()} == {"losses.csv", "model.safetensors", "tensorboard"}
    found = {}
    for one in (whole_recipe, plain):
        whole, losses = ended(train_layout, tmp_path / one["method"], cells, one, monkeypatch)
        on, more = ended(train_layout, tmp_path / f"{one['method']}_on", cells, one, monkeypatch, beginning=file)
        (mine, facts), (theirs, wanted) = read_weights(on), read_weights(whole)
        assert mine.keys() == theirs.keys() and facts == wanted
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
        mine, theirs = rows(more), rows(losses)
        assert len(mine) == len(theirs) == STEPS // 2
        for row, other in zip(mine, theirs, strict=True):
            assert row == {key: value if row[key] else "" for key, value in other.items()}
            assert row["loss"] and row["grad_norm"] and row["noise"]
        assert all(mine[-1].values())
        found[one["method"]] = read_weights(on)[0]
    assert any(not torch.equal(*pair) for pair in zip(*(one.values() for one in found.values()), strict=True))


@pytest.mark.slow
def test_a_beginning_of_other_cells_or_another_recipe_is_refused(cells, tmp_path, monkeypatch):
    recipe = late_recipe("topocellgen")
    plain, until = plain_beginning(recipe, method("generators", "topocellgen").BEGINS)
    file, _ = ended(start_layout, tmp_path / "start", cells, plain, monkeypatch, until=until)
    other = {**recipe, "training": {**recipe["training"], "lr": 2e-2}}
    with pytest.raises(CellscaperError, match=r"is the beginning of a training with another recipe; run start_layout"):
        ended(train_layout, tmp_path / "a", cells, other, monkeypatch, beginning=file)
    earlier = {**recipe, "settings": {**recipe["settings"], "losses": {"after": 0.5}}}
    with pytest.raises(CellscaperError, match=r"ends after step 5, but this training has only its first 4 steps"):
        ended(train_layout, tmp_path / "b", cells, earlier, monkeypatch, beginning=file)
    for wrong in ("0", "9", "x"):
        with pytest.raises(CellscaperError, match=rf"--until {wrong}: expected a whole number from 1 to .* 8 steps"):
            ended(start_layout, tmp_path / "c", cells, plain, monkeypatch, until=wrong)


@pytest.mark.slow
def test_a_beginning_with_density_maps_goes_on_with_the_same(cells, tmp_path, monkeypatch):
    """No generator with late losses takes a density so far; a plain training with one may go on all the same."""
    maps = list(np.random.default_rng(5).random((2, 3, 24, 24)).astype(np.float32))
    for name, scale in (("maps", 1.0), ("other", 0.5)):
        write_density(tmp_path / f"{name}.h5", maps, 4, scale, {})
    plain = {**RECIPE, "method": "spatial_diffusion", "density": {"method": "gmm", "settings": {}}}
    maps = tmp_path / "maps.h5"
    file, _ = ended(start_layout, tmp_path / "start", cells, plain, monkeypatch, until=3, density=maps)
    whole, _ = ended(train_layout, tmp_path / "whole", cells, plain, monkeypatch, density=maps)
    on, _ = ended(train_layout, tmp_path / "on", cells, plain, monkeypatch, density=maps, beginning=file)
    mine, theirs = read_weights(on)[0], read_weights(whole)[0]
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    with pytest.raises(CellscaperError, match="is the beginning of a training with other input files"):
        ended(train_layout, tmp_path / "b", cells, plain, monkeypatch, density=tmp_path / "other.h5", beginning=file)
