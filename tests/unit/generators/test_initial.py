"""Trainings of layout models that start from other weights: by the networks' own outputs, and through the stage."""

import json
import sys

import numpy as np
import pytest
import torch

from cellscaper.disk.files import checksum
from cellscaper.disk.storage import write_layouts
from cellscaper.disk.weights import read_weights, write_weights
from cellscaper.errors import CellscaperError
from cellscaper.generators.initial import start_training
from cellscaper.generators.protocol import read_recipe
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.methods import method
from cellscaper.stages import start_layout, train_layout

CPU = torch.device("cpu")
NETWORK = {"channels": 16, "blocks": 1, "multipliers": [1, 2], "attention": [], "head_channels": 16, "fold": 2}
MAPS = {
    "settings": {"network": NETWORK, "diffusion": {"steps": 100, "prediction": "v", "learn_variance": False}},
    "grid": {"region": 64, "stride": 4, "marker": 1, "low": -0.2, "high": 4.0},
    "condition": {"kind": "class_counts", "scale": 10.0},
}
POINTS = {
    "settings": {"network": {"width": 16, "layers": 2, "heads": 2, "neighbours": 4, "edge_width": 8, "expansion": 2}}
}
GAN = {
    "settings": {
        "network": {"width": 16, "layers": 2, "radial": 6, "noise": 2},
        "discriminator": {"width": 8},
        "radii": [6, 12, 24],
        "bank": 8,
    }
}
SYSTEMS = {
    "adm": MAPS,
    "topocellgen": MAPS,
    "spatial_diffusion": {**MAPS, "density": {"method": "gmm", "settings": {}}},
    "point_diffusion": POINTS,
    "tmccg": GAN,
}
OLD = ("a", "b", "c")


def section(name, training=None, **more):
    own = {**SYSTEMS[name], **more}
    return {"method": name, "region": 64, "small": "error", "training": {"steps": 2, "lr": 1e-9, "batch": 2, "ema": 0.5,
            **(training or {})}, **own}  # fmt: skip


def cells(classes, seed=0, mpp=0.5):
    rng, n = np.random.default_rng(seed), len(classes)
    items = [
        Layout(rng.uniform(0, 96, (70, 2)).astype(np.float32), rng.integers(0, n, 70).astype(np.uint8), (96, 96))
        for _ in range(3)
    ]
    return LayoutSet.build(items, classes, mpp, {"split": np.array(["train", "train", "test"])})


def prepared(name, classes, seed, noise=False, **more):
    """The network of a training, with numbers everywhere (new networks end in zeros)."""
    torch.manual_seed(seed)
    recipe = read_recipe(section(name, **more))
    maps = [torch.zeros(len(classes), 24, 24) for _ in range(3)] if recipe.density is not None else None
    found = method("generators", name).prepare(recipe, cells(classes), maps, CPU)
    if noise:
        with torch.no_grad():
            for one in found.model.parameters():
                one.add_(0.1 * torch.randn_like(one))
    return found


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights for each system, its classes OLD."""
    files = {}
    for name in SYSTEMS:
        found = prepared(name, OLD, 1, noise=True)
        files[name] = tmp_path_factory.mktemp("weights") / f"{name}.safetensors"
        facts = {"section": found.recipe.model_dump(mode="json"), "classes": list(OLD), "mpp": 0.5, **found.facts}
        write_weights(files[name], found.model.state_dict(), {}, **facts)
    return files


def started(name, classes, weights, seed=2, **more):
    found = prepared(name, classes, seed, **more)
    start_training(found.model, method("generators", name), found.recipe, classes, 0.5, weights[name], "here")
    return found.model.eval()


def outputs(name, model, order):
    """What the network makes of one request, classes in ``order`` of OLD; the answer in the order of OLD."""
    random = torch.Generator().manual_seed(4)
    of = torch.tensor([order.index(one) for one in OLD])  # class of OLD → the model's
    labels = torch.randint(3, (2, 16), generator=random)
    counts = torch.stack([(labels == k).sum(dim=1) for k in range(3)], dim=1).float()
    own_counts = torch.zeros_like(counts)
    own_counts[:, of] = counts
    mask = torch.ones(2, 16, dtype=torch.bool)
    if name == "point_diffusion":
        x = (torch.rand(2, 16, 2, generator=random) - 0.5) * 64
        return model(x, torch.tensor([5.0, 50.0]), of[labels], own_counts, mask)
    if name == "tmccg":
        from cellscaper.generators.gan.statistics import Pattern, describe, diagrams

        x = torch.rand(2, 16, 2, generator=random) * 64
        pattern = Pattern(x, of[labels], mask)
        told = describe(pattern, diagrams(pattern, 3), 3, (6, 12, 24), 64)
        return model(x, torch.randn(2, 2, generator=random), told, of[labels], mask)
    kinds = 2 if name == "spatial_diffusion" else 1
    x = torch.randn(2, kinds, 3, 16, 16, generator=random)
    own = torch.zeros_like(x)
    own[:, :, of] = x
    made = model(own.flatten(1, 2), torch.tensor([3, 70]), own_counts)
    return made.view(2, kinds, 3, 16, 16)[:, :, of]


@pytest.mark.parametrize("name", SYSTEMS)
@torch.no_grad()
def test_a_network_with_its_classes_in_another_order_does_the_same(name, weights, capsys):
    same, turned = (started(name, order, weights) for order in (OLD, ("c", "a", "b")))
    found = read_weights(weights[name])[0]
    assert all(torch.equal(one, found[key]) for key, one in same.named_parameters())
    one, other = outputs(name, same, OLD), outputs(name, turned, ("c", "a", "b"))
    assert one.std() > 0.01
    torch.testing.assert_close(other, one, atol=2e-4, rtol=1e-3)
    said = capsys.readouterr().err
    assert f"training starts from {weights[name]} ({name}, 2 steps), 100.00% of the numbers; classes as there" in said
    assert "anew" not in said


def test_capitals_do_not_part_classes_from_those_of_weights(weights, capsys):
    started(next(iter(SYSTEMS)), ("B", "a", "c"), weights)
    said = capsys.readouterr().err
    assert "100.00% of the numbers; classes as there: B, a, c" in said and "anew" not in said


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_class_that_the_weights_do_not_know_starts_anew_and_is_told(name, weights, capsys):
    mine = ("b", "new", "a")
    model, fresh = started(name, mine, weights), prepared(name, mine, 2).model
    found = read_weights(weights[name])[0]
    anatomy = method("generators", name).anatomy(read_recipe(section(name)), mine)
    mixed = {key for key in anatomy.axes if key in dict(model.named_parameters())}
    before = dict(fresh.named_parameters())
    for key, one in model.named_parameters():
        if key not in mixed:
            assert torch.equal(one, found[key]), key
        else:
            assert not torch.equal(one, before[key]), key
    for key, one in model.named_buffers():
        assert torch.equal(one, dict(fresh.named_buffers())[key]), key  # of these data, never of the weights
    said = capsys.readouterr().err
    assert "classes as there: b, a; starting anew: new; left out: c" in said
    line = next(one for one in said.splitlines() if "parameters that start anew, whole or in part" in one)
    assert set(line.split(": ")[-1].split(", ")) == mixed


def test_maps_of_one_system_start_another_and_conditions_that_differ_start_anew(weights, capsys):
    found = prepared("topocellgen", OLD, 3)
    start_training(found.model, method("generators", "topocellgen"), found.recipe, OLD, 0.5, weights["adm"], "here")
    theirs = read_weights(weights["adm"])[0]
    assert all(torch.equal(one, theirs[key]) for key, one in found.model.named_parameters())
    started("adm", OLD, weights, condition={"kind": "class_counts", "scale": 5.0})
    assert "anew, whole or in part: condition.mlp.0.weight, condition.mlp.0.bias" in capsys.readouterr().err
    started("adm", OLD, weights, condition={"kind": "class_counts", "scale": 10.0, "drop": 0.1})
    assert "anew, whole or in part: condition.withheld" in capsys.readouterr().err
    started("adm", OLD, weights, condition={"kind": "none"})
    plain = started("adm", OLD, weights, condition={"kind": "count_category", "categories": 3})
    assert plain.condition.edges.shape == (2,)


@pytest.mark.parametrize(
    ("name", "changed", "line"),
    [
        ("adm", {"grid": {**MAPS["grid"], "stride": 8}}, "trained with grid.stride = 4, this experiment has 8"),
        ("adm", {"grid": {**MAPS["grid"], "marker": 3}}, "trained with grid.marker = 1, this experiment has 3"),
        (
            "topocellgen",
            {"settings": {**MAPS["settings"], "network": {**NETWORK, "channels": 32}}},
            "trained with settings.network.channels = 16, this experiment has 32: another network",
        ),
        (
            "adm",
            {"settings": {"network": NETWORK, "diffusion": {"steps": 100, "learn_variance": False}}},
            "settings.diffusion.prediction = 'v', this experiment has 'noise'",
        ),
        (
            "point_diffusion",
            {"settings": {"network": {**POINTS["settings"]["network"], "neighbours": 5}}},
            "settings.network.neighbours = 4, this experiment has 5",
        ),
        ("tmccg", {"settings": {**GAN["settings"], "radii": [6, 12, 25]}}, "settings.radii = [6"),
        ("point_diffusion", {"region": 96}, "was trained on regions of 64 px, this experiment has 96 px"),
    ],
)
def test_another_network_or_scale_is_one_line(name, changed, line, weights):
    with pytest.raises(CellscaperError) as caught:
        started(name, OLD, weights, **changed)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_other_files_are_one_line(weights, tmp_path):
    found = prepared("adm", OLD, 0)
    adm = method("generators", "adm")

    def refused(file, mpp=0.5, generator=adm, recipe=found.recipe):
        with pytest.raises(CellscaperError) as caught:
            start_training(found.model, generator, recipe, OLD, mpp, file, "here")
        return str(caught.value)

    assert "was trained at 0.5 µm a pixel, these cells have 0.25; rescale" in refused(weights["adm"], mpp=0.25)
    assert "the weights are a model of tmccg, expected one of point_diffusion" in refused(
        weights["tmccg"], generator=method("generators", "point_diffusion"),
        recipe=prepared("point_diffusion", OLD, 0).recipe,
    )  # fmt: skip
    assert "the weights are a model of point_diffusion, expected one of maps" in refused(weights["point_diffusion"])
    assert "has no `anatomy`" in refused(weights["adm"], generator=method("generators", "random"))
    painter = tmp_path / "painter.safetensors"
    write_weights(painter, {"a": torch.ones(1)}, {}, classes=["a"], mpp=0.5, section={"method": "diffusion"})
    assert "holds no model of layouts; name weights of train_layout" in refused(painter)
    beginning = tmp_path / "beginning.safetensors"
    write_weights(beginning, {"a": torch.ones(1)}, {}, classes=["a"], mpp=0.5, beginning={}, section={})
    assert "is the beginning of a training, no weights" in refused(beginning)


# -- the stages ------------------------------------------------------------------------------------------------


def run(stage, folder, config, monkeypatch, **options):
    folder.mkdir(exist_ok=True)
    write_layouts(folder / "cells.h5", cells(options.pop("classes", ("b", "new", "a"))), {})
    files = {"cells": folder / "cells.h5", "model": folder / "model.safetensors", "losses": folder / "losses.csv"}
    given = {**files, "config": json.dumps(config), "seed": 3, "threads": 1, **options}
    monkeypatch.setattr(sys, "argv", ["stage", *(str(w) for key, one in given.items() for w in (f"--{key}", one))])
    stage.main()
    return files["model"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adm", "point_diffusion", "tmccg"])
def test_the_stage_trains_and_averages_from_the_weights(name, weights, tmp_path, monkeypatch):
    """After two steps at a rate of 1e-9 the averages are still the start."""
    file = weights[name]
    made = run(train_layout, tmp_path / "one", section(name, init=checksum(file)), monkeypatch, init=file)
    found, facts = read_weights(made)
    theirs = read_weights(file)[0]
    assert facts["section"]["init"] == checksum(file) and facts["classes"] == ["b", "new", "a"]
    axes = method("generators", name).anatomy(read_recipe(section(name)), ("b", "new", "a")).axes
    own = dict(prepared(name, ("b", "new", "a"), 0).model.named_parameters())
    same = [key for key in own if key not in axes]
    assert len(same) > 10
    for key in same:
        torch.testing.assert_close(found[key], theirs[key], atol=1e-7, rtol=0)


@pytest.mark.slow
def test_the_stage_refuses_other_weights_than_planned(weights, tmp_path, monkeypatch):
    other = checksum(weights["tmccg"])
    with pytest.raises(CellscaperError, match=rf"--init .*adm.safetensors has the SHA-256 .*, but {other} was planned"):
        run(train_layout, tmp_path / "a", section("adm", init=other), monkeypatch, init=weights["adm"])
    with pytest.raises(CellscaperError, match="--init None has the SHA-256 None, but .* was planned"):
        run(train_layout, tmp_path / "b", section("adm", init=other), monkeypatch)
    with pytest.raises(CellscaperError, match="but None was planned"):
        run(train_layout, tmp_path / "c", section("adm"), monkeypatch, init=weights["adm"])


@pytest.mark.slow
def test_a_shared_beginning_starts_from_the_weights_and_whole_and_shared_trainings_are_the_same(
    weights, tmp_path, monkeypatch
):
    more = {"init": "experiment:adm", "training": {"steps": 4, "lr": 1e-2, "log_every": 1}}
    config = section("adm", **more)
    begun = run(start_layout, tmp_path / "start", config, monkeypatch, init=weights["adm"], until=2)
    on = run(train_layout, tmp_path / "on", config, monkeypatch, init=weights["adm"], beginning=begun)
    whole = run(train_layout, tmp_path / "whole", config, monkeypatch, init=weights["adm"])
    mine, theirs = read_weights(on)[0], read_weights(whole)[0]
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    with pytest.raises(CellscaperError, match="is the beginning of a training with other input files"):
        other = run(train_layout, tmp_path / "other", section("adm"), monkeypatch)
        run(train_layout, tmp_path / "d", config, monkeypatch, init=other, beginning=begun)
