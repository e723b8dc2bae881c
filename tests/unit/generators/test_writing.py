"""Layouts made part by part: the same file as of one request, also after kills, with little memory."""

import multiprocessing
import random
import time
import tracemalloc
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from cellscaper.disk import hdf5
from cellscaper.disk.storage import read_layouts
from cellscaper.generators import point_diffusion
from cellscaper.generators.pointsets.network import PointDenoiser
from cellscaper.generators.pointsets.settings import LevelSampling
from cellscaper.generators.protocol import Made, Request
from cellscaper.generators.writing import write_generated
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.parts import BATCHES

pytestmark = pytest.mark.slow  # processes that are killed

ABOUT = {"config": {"a": 1}, "inputs": {}, "seed": 0, "code": "c"}
BATCH = 2


def targets(n):
    rng = np.random.default_rng(0)
    made = [
        Layout(rng.random((k, 2), np.float32) * 64, (np.arange(k) % 2).astype(np.uint8), (64, 64))
        for k in rng.integers(1, 40, n)
    ]
    return LayoutSet.build(made, ("a", "b"), 0.5, {"target": np.arange(n) + 7})


def generator(pause=0.0, seen=None):
    """Cells at places drawn by the seed, in two sets, and an array of the first 20 layouts."""

    def generate(request):
        layouts, maps = [], []
        for i, (target, seed) in enumerate(zip(request.targets, request.seeds, strict=True)):
            rng = np.random.default_rng(seed)
            layouts.append(Layout(rng.random(target.points.shape, np.float32) * 64, target.labels, (64, 64)))
            if request.first + i < 20:
                maps.append(rng.random((2, 3, 3), np.float32))
            if i % request.batch == request.batch - 1:
                time.sleep(pause)
                request.advance(request.batch)
        if seen is not None:
            seen.append(len(layouts))
        made = LayoutSet.build(layouts, request.targets.classes, 0.5)
        return Made({"points": made, "requested": made}, {"density": np.stack(maps)} if maps else {})

    return SimpleNamespace(generate=generate)


def request(n, batch=BATCH):
    return Request(targets(n), list(range(n)), SimpleNamespace(batch=batch), targets(n), 64)


def contents(file):
    """Every array of a file, and its attributes."""
    found = {}
    with h5py.File(file) as content:
        content.visititems(lambda name, node: found.update({name: node[()]} if isinstance(node, h5py.Dataset) else {}))
    return found


def assert_equal(one, other):
    first, second = contents(one), contents(other)
    assert first.keys() == second.keys()
    assert all(np.array_equal(value, second[name]) for name, value in first.items())


def test_parts_are_the_single_request(tmp_path):
    seen = []
    asked = request(3 * BATCHES * BATCH + 5)
    write_generated(tmp_path / "out.h5", generator(seen=seen), asked, ABOUT, "layouts")
    assert seen == [BATCHES * BATCH] * 3 + [5]
    whole = generator().generate(asked)
    found = read_layouts(tmp_path / "out.h5", "points")
    assert np.array_equal(found.points, whole.sets["points"].points)
    assert found.columns["target"].tolist() == asked.targets.columns["target"].tolist()
    assert np.array_equal(found.columns["requested"], asked.targets.counts())
    assert np.array_equal(contents(tmp_path / "out.h5")["arrays/density"], whole.arrays["density"])
    assert [file.name for file in tmp_path.iterdir()] == ["out.h5"]


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments_it_ends_with_the_same_file(tmp_path, seed, capfd):
    asked = request(5 * BATCHES * BATCH + 3)
    write_generated(tmp_path / "whole.h5", generator(), asked, ABOUT, "layouts")
    chance, fork = random.Random(seed), multiprocessing.get_context("fork")
    out, kept = tmp_path / "killed" / "out.h5", []
    for _ in range(4):
        child = fork.Process(target=write_generated, args=(out, generator(pause=0.03), asked, ABOUT, "layouts"))
        child.start()
        child.join(chance.uniform(0.02, 0.3))
        child.kill()
        child.join()
        assert not out.exists()
        kept.append(len(list(out.parent.glob("state/part*.h5"))))
    assert kept == sorted(kept)
    seen = []
    write_generated(out, generator(seen=seen), asked, ABOUT, "layouts")
    assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert len(seen) == 6 - kept[-1]
    assert [file.name for file in out.parent.iterdir()] == ["out.h5"]
    if kept[-1]:
        assert f"going on after {min(kept[-1] * BATCHES * BATCH, len(asked.targets))} of" in capfd.readouterr().err


def test_parts_of_other_settings_are_not_used(tmp_path, capsys):
    class Stops:
        def __init__(self):
            self.calls = 0

        def generate(self, request):
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return generator().generate(request)

    asked, out = request(4 * BATCHES * BATCH), tmp_path / "out.h5"
    with pytest.raises(KeyboardInterrupt):
        write_generated(out, Stops(), asked, ABOUT, "layouts")
    assert not out.exists()
    assert len(list(tmp_path.glob("state/part*.h5"))) == 2
    seen = []
    write_generated(out, generator(seen=seen), asked, {**ABOUT, "code": "other"}, "layouts")
    assert len(seen) == 4
    assert "starting anew" in capsys.readouterr().err


def test_a_generator_without_batches_is_asked_once(tmp_path):
    seen = []
    asked = Request(targets(50), list(range(50)), SimpleNamespace(), targets(50), 64)

    def generate(request):
        seen.append(len(request.targets))
        return Made({"points": request.targets.with_columns(target=np.arange(50))})

    write_generated(tmp_path / "out.h5", SimpleNamespace(generate=generate), asked, ABOUT, "layouts")
    assert seen == [50]


@pytest.mark.slow
def test_memory_is_that_of_a_part(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "_BLOCK", 1 << 12)  # so that the blocks that wait are full in a small set

    def peak(parts):
        asked = request(parts * BATCHES * 16, 16)
        tracemalloc.start()
        try:
            write_generated(tmp_path / "out.h5", generator(), asked, ABOUT, "layouts")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)
    assert peak(20) < 1.25 * peak(4)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_point_diffusion_makes_the_same_layouts_in_parts(tmp_path, precision):
    """The parts of the real sampler, which puts layouts of equal size together: bit for bit those of one request."""
    torch.manual_seed(0)
    model = PointDenoiser(2, 64, width=16, layers=1, heads=2, neighbours=4, edge_width=8, expansion=2)
    sampling = LevelSampling(steps=3, precision=precision, batch=4)
    asked = Request(targets(75), list(range(75)), sampling, targets(75), 64)

    def generate(request):
        return Made({"points": point_diffusion.sample_layouts(model, request.targets, request.seeds, sampling)})

    write_generated(tmp_path / "out.h5", SimpleNamespace(generate=generate), asked, ABOUT, "layouts")
    found = read_layouts(tmp_path / "out.h5", "points")
    assert np.array_equal(found.points, generate(asked).sets["points"].points)
