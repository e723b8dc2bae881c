"""Scores kept beside a stage's output: used while nothing they depend on has changed, and never when damaged."""

import json
import math
from pathlib import Path

import pytest

from cellscaper.plan.provenance import digest
from cellscaper.run import kept_scores as module
from cellscaper.run.kept_scores import kept_scores, metric_key

SCORES = {"cce": {"a": 0.1 + 0.2, "b": math.pi}, "nn": {"a": 1e-300}}
SECTION = {"method": "counts", "settings": {}}


class Counter:
    """A metric that says how often it was computed."""

    def __init__(self, scores: dict[str, dict[str, float]] = SCORES):
        self.scores, self.times = scores, 0

    def __call__(self) -> dict[str, dict[str, float]]:
        self.times += 1
        return self.scores


def test_scores_are_computed_once_for_a_key_and_come_back_exactly(tmp_path):
    metric = Counter()
    for _ in range(3):
        assert kept_scores(tmp_path / "kept", "key", "counts", metric) == SCORES
    assert metric.times == 1


def test_undefined_scores_are_kept_too(tmp_path):
    metric = Counter({"nn": {"a": math.nan, "b": math.inf}})
    for _ in range(2):
        found = kept_scores(tmp_path, "key", "counts", metric)
        assert math.isnan(found["nn"]["a"]) and found["nn"]["b"] == math.inf
    assert metric.times == 1


def test_another_key_or_another_metric_is_computed(tmp_path):
    metric = Counter()
    for key, name in (("one", "counts"), ("two", "counts"), ("one", "counts"), ("one", "mmd")):
        kept_scores(tmp_path, key, name, metric)
    assert metric.times == 4
    assert sorted(file.name for file in tmp_path.iterdir()) == ["counts.json", "mmd.json"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "\udcff",
        lambda text: text.replace("3.14", "3.15"),
        lambda text: json.dumps({**json.loads(text), "scores": {}}),
        lambda text: json.dumps({key: value for key, value in json.loads(text).items() if key != "sum"}),
        lambda text: json.dumps({"key": "key", "sum": digest(None)}),
        lambda text: "[" * 100_000,
    ],
    ids=["half", "empty", "list", "bytes", "value", "none", "no sum", "no scores", "deep"],
)
def test_a_damaged_file_is_replaced(tmp_path, damage):
    metric, file = Counter(), tmp_path / "counts.json"
    kept_scores(tmp_path, "key", "counts", metric)
    text = file.read_text(encoding="utf-8")
    file.write_text(damage(text), encoding="utf-8", errors="surrogateescape")
    assert kept_scores(tmp_path, "key", "counts", metric) == SCORES
    assert metric.times == 2
    assert file.read_text(encoding="utf-8") == text


def test_nothing_is_kept_where_the_metric_fails(tmp_path):
    def fails() -> dict[str, dict[str, float]]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kept_scores(tmp_path, "key", "counts", fails)
    assert not list(tmp_path.iterdir())


# -- the key -----------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / f"{name}.h5" for name in ("cells", "layouts", "network")}
    for name, file in found.items():
        file.write_text(name, encoding="utf-8")
    return found


def test_a_key_depends_on_settings_reading_and_the_content_of_the_files(files, tmp_path):
    first = metric_key("score_layouts", SECTION, {}, files)
    moved = {**files, "cells": tmp_path / "elsewhere.h5"}
    moved["cells"].write_bytes(files["cells"].read_bytes())
    assert metric_key("score_layouts", SECTION, {}, moved) == first
    keys = [
        first,
        metric_key("score_layouts", {**SECTION, "settings": {"layouts": 3}}, {}, files),
        metric_key("score_layouts", SECTION, {"threshold": 0.4}, files),
        metric_key("score_layouts", SECTION, {}, {name: files[name] for name in ("cells", "layouts")}),
    ]
    files["layouts"].write_text("others", encoding="utf-8")
    keys.append(metric_key("score_layouts", SECTION, {}, files))
    assert len(set(keys)) == 5


def test_a_key_depends_on_the_code_of_its_own_metric_and_network_alone(files, monkeypatch):
    asked: list[tuple[str, ...]] = []
    plain = module.code

    def spy(*modules: str) -> dict[str, str]:
        asked.append(modules)
        return plain(*modules)

    monkeypatch.setattr(module, "code", spy)
    metric_key("score_layouts", SECTION, {}, files)
    metric_key("score_layouts", {"method": "spatial_fid", "settings": {}, "network": "resnet50"}, {}, files)
    stage = "cellscaper.stages.score_layouts"
    assert asked == [
        (stage, "cellscaper.metrics.counts"),
        (stage, "cellscaper.metrics.spatial_fid", "cellscaper.features.resnet50"),
    ]
    others = {f"code_cellscaper_metrics_{name}" for name in ("mmd", "topofd", "copies", "spatial_fid")}
    assert not others & set(plain(*asked[0]))
