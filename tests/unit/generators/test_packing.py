"""Weights that are made ready for the package: rounding, the range of the counts, what the header says."""

import json

import numpy as np
import pytest
import torch

from cellscaper.disk.files import checksum
from cellscaper.disk.storage import write_layouts
from cellscaper.disk.weights import read_weights, write_weights
from cellscaper.disk.weights_header import read_header
from cellscaper.errors import CellscaperError
from cellscaper.generators import packing, point_diffusion
from cellscaper.generators.pointsets.packaged import load
from cellscaper.generators.protocol import read_recipe
from cellscaper.layouts import Layout, LayoutSet

CLASSES = ("a", "b")
NETWORK = {"width": 16, "layers": 1, "heads": 2, "neighbours": 4, "edge_width": 8, "expansion": 2}
SECTION = {
    "method": "point_diffusion",
    "region": 64,
    "small": "error",
    "settings": {"network": NETWORK},
    "training": {"steps": 5, "lr": 1e-3},
}
TOLD = {"experiment": "point_diffusion", "data": "toys", "licence": "MIT", "how": "a test"}


@pytest.fixture
def trained(tmp_path):
    """Weights of a training, and its cells."""
    rng = np.random.default_rng(0)
    items = [
        Layout(rng.uniform(0, 80, (n, 2)).astype(np.float32), rng.integers(0, 2, n).astype(np.uint8), (80, 90))
        for n in (30, 60, 90)
    ]
    cells = LayoutSet.build(items, CLASSES, 0.5, {"split": np.array(["train", "train", "test"])})
    write_layouts(tmp_path / "cells.h5", cells, {})
    torch.manual_seed(0)
    found = point_diffusion.prepare(read_recipe(SECTION), cells, None, torch.device("cpu"))
    with torch.no_grad():
        for one in found.model.parameters():
            one.add_(torch.randn_like(one))
    inputs = {"cells": {"file": "cells.h5", "sha256": checksum(tmp_path / "cells.h5")}}
    record = {"inputs": inputs, "seed": 4, "git": "abc"}
    section = found.recipe.model_dump(mode="json")
    file = tmp_path / "model.safetensors"
    write_weights(file, found.model.state_dict(), record, section=section, classes=list(CLASSES), mpp=0.5)
    return file, tmp_path / "cells.h5", cells


def pack(trained, tmp_path, precision="fp16", sampling=None):
    return packing.pack(trained[0], trained[1], tmp_path, "toy", precision, sampling or {"steps": 7}, **TOLD)


def test_numbers_are_rounded_to_16_bits_and_those_of_one_axis_kept(trained, tmp_path):
    file = pack(trained, tmp_path)
    before, after = read_weights(trained[0])[0], read_weights(file)[0]
    assert before.keys() == after.keys()
    for name, one in before.items():
        wanted = one.half() if one.dim() > 1 else one
        assert after[name].dtype == wanted.dtype and torch.equal(after[name], wanted), name
    model, facts = load(file)
    assert all(torch.equal(p, after[name].float()) for name, p in model.named_parameters())
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert facts["section"] == read_weights(trained[0])[1]["section"]
    assert checksum(file) == file.with_suffix(".sha256").read_text().split()[0]
    whole = read_weights(pack(trained, tmp_path, "fp32"))[0]
    assert all(torch.equal(one, whole[name]) for name, one in before.items())


def test_the_header_says_how_they_were_trained_and_for_which_counts(trained, tmp_path):
    facts, record = read_header(pack(trained, tmp_path))
    packed = facts["package"]
    assert {key: packed[key] for key in TOLD} == TOLD
    assert (packed["seed"], packed["commit"], packed["precision"]) == (4, "abc", "fp16")
    assert packed["sampling"] == point_diffusion.Sampling(steps=7).model_dump(mode="json")
    assert packed["trained"] == checksum(trained[0]) and record["seed"] == 4
    json.dumps(facts)


def test_the_range_is_that_of_all_places_of_a_crop(trained):
    """Against every whole corner of the training images; random crops see most of them."""
    cells = trained[2].where(split="train")
    found = packing.count_range(cells, 64, "error")
    seen = []
    for one in cells:
        for y in range(17):
            for x in range(27):
                inside = ((one.points >= [y, x]) & (one.points < [y + 64, x + 64])).all(axis=1)
                counts = np.bincount(one.labels[inside], minlength=2)
                seen.append([*counts, counts.sum()])
    low, high = np.min(seen, axis=0), np.max(seen, axis=0)
    for k, name in enumerate((*CLASSES, "all")):
        assert abs(found[name][0] - low[k]) <= 1 and abs(found[name][1] - high[k]) <= 1
        assert low[k] <= found[name][0] <= found[name][1] <= high[k]


def test_what_cannot_be_packed_is_one_line_and_leaves_no_file(trained, tmp_path, monkeypatch):
    other = tmp_path / "other.h5"
    write_layouts(other, trained[2][:2], {})
    (tmp_path / "out").mkdir()
    with pytest.raises(CellscaperError, match="other.h5 is not the file that .* was trained on"):
        packing.pack(trained[0], other, tmp_path / "out", "toy", "fp16", {}, **TOLD)
    with pytest.raises(CellscaperError, match="sampling.batches = 3: this key is unknown"):
        pack(trained, tmp_path / "out", sampling={"batches": 3})
    monkeypatch.setattr(packing, "LARGEST", 1000)
    with pytest.raises(CellscaperError, match=r"toy.safetensors would have 0\.\d MB, at most 0.001 are shipped"):
        pack(trained, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(CellscaperError, match="parameter w has numbers beyond 16 bits; pack it with --precision fp32"):
        packing.rounded({"w": torch.full((2, 2), 7e4)})
