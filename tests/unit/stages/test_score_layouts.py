"""score_layouts compares layouts with their reference, counts with their targets, and test windows apart."""

import json

import numpy as np
import pandas as pd
import pytest

from cellscaper.disk.storage import write_layouts
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.cross_class import cross_class
from cellscaper.stages import score_layouts

CONFIG = {"reading": {}, "metrics": [{"method": one, "settings": {}} for one in ("counts", "cross_class")]}


def layouts(n, cells, seed, **columns):
    rng = np.random.default_rng(seed)
    items = [
        Layout(rng.uniform(0, 64, (cells, 2)).astype(np.float32), rng.integers(0, 2, cells).astype(np.uint8), (64, 64))
        for _ in range(n)
    ]
    return LayoutSet.build(items, ("a", "b"), 0.5, columns)


SETS = {
    "cells": layouts(2, 90, 0, split=np.array(["train", "test"])),
    "windows": layouts(4, 50, 1),
    "targets": layouts(6, 30, 2),
    "reference": layouts(5, 40, 3),
    "layouts": layouts(3, 35, 4, target=np.array([5, 0, 2])),
}


@pytest.fixture
def score(tmp_path, monkeypatch):
    def run(**changes):
        words = []
        for name, one in ({**SETS, **changes}).items():
            if one is not None:
                write_layouts(tmp_path / f"{name}.h5", {"points": one} if name == "layouts" else one, {})
                words += [f"--{name}", str(tmp_path / f"{name}.h5")]
            elif name == "windows":
                words += ["--windows", str(tmp_path / "targets.h5")]
        named = {"dataset": "d", "experiment": "e", "decoder": "points", "scores": str(tmp_path / "scores.csv")}
        words += [word for name, value in named.items() for word in (f"--{name}", value)]
        monkeypatch.setattr("sys.argv", ["score_layouts", *words, "--config", json.dumps(CONFIG)])
        score_layouts.main()
        frame = pd.read_csv(tmp_path / "scores.csv", keep_default_na=False)
        return {(row["metric"], row["class"]): float(row["value"]) for _, row in frame.iterrows()}

    return run


def test_with_a_reference_the_distribution_is_its_own_and_counts_are_the_targets(score):
    found = score()
    made = SETS["layouts"]
    assert found["cross_k", "mean"] == pytest.approx(cross_class(SETS["reference"], made)["cross_k"]["mean"])
    assert found["cross_k_test", "mean"] == pytest.approx(cross_class(SETS["windows"], made)["cross_k"]["mean"])
    assert found["tce", ""] == 5  # 35 cells made, 30 requested in each


def test_without_one_the_targets_are_what_layouts_are_compared_with(score):
    found = score(reference=None)
    matched = SETS["targets"][SETS["layouts"].columns["target"]]
    assert found["cross_k", "mean"] == pytest.approx(cross_class(matched, SETS["layouts"])["cross_k"]["mean"])
    assert found["cross_k_test", "mean"] == pytest.approx(
        cross_class(SETS["windows"], SETS["layouts"])["cross_k"]["mean"]
    )
    same = score(reference=None, windows=None)
    assert same["cross_k_test", "mean"] == same["cross_k", "mean"] == found["cross_k", "mean"]


@pytest.mark.parametrize("name", ["reference", "targets"])
def test_one_layout_is_nothing_to_compare_with(score, name):
    changes = {"reference": {"reference": SETS["reference"][:1]}, "targets": {"reference": None}}[name]
    if name == "targets":
        changes |= {"targets": SETS["targets"][:1], "layouts": SETS["layouts"][:1].with_columns(target=np.array([0]))}
    with pytest.raises(
        CellscaperError, match=rf"{name}.h5: 1 real layouts to compare with, expected at least 2"
    ) as told:
        score(**changes)
    assert "\n" not in str(told.value)
