"""Images painted part by part: the same file as of one request, also after kills."""

import multiprocessing
import random
import time
from types import SimpleNamespace

import numpy as np
import pytest

from cellscaper.disk.storage import ImageSet
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.painters.protocol import Request
from cellscaper.painters.writing import write_painted
from cellscaper.run.parts import BATCHES

pytestmark = pytest.mark.slow  # processes that are killed

ABOUT = {"config": {"a": 1}, "inputs": {}, "seed": 0, "code": "c"}
BATCH = 2


def painter(pause=0.0, seen=None):
    """Noise by the seed."""

    def paint(request):
        if seen is not None:
            seen.append(len(request.layouts))
        for seed in request.seeds:
            time.sleep(pause)
            yield np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)

    return SimpleNamespace(paint=paint)


def request(n, settings=SimpleNamespace(batch=BATCH)):  # noqa: B008 (not changed)
    empty = Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), (6, 5))
    return Request(LayoutSet.build([empty] * n, ("a",), 0.5), list(range(100, 100 + n)), settings)


def images(file):
    with ImageSet(file) as found:
        return list(found)


@pytest.mark.parametrize("n", [0, 1, 3 * BATCHES * BATCH, 3 * BATCHES * BATCH + 5])
def test_parts_are_the_single_request(tmp_path, n):
    write_painted(tmp_path / "out.h5", painter(), request(n), ABOUT, "images")
    wanted = list(painter().paint(request(n)))
    found = images(tmp_path / "out.h5")
    assert len(found) == n
    assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))
    assert [file.name for file in tmp_path.iterdir()] == ["out.h5"]


def test_a_painter_without_batches_is_asked_once(tmp_path):
    seen = []
    write_painted(tmp_path / "out.h5", painter(seen=seen), request(40, SimpleNamespace()), ABOUT, "images")
    assert seen == [40]
    assert len(images(tmp_path / "out.h5")) == 40


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments_it_ends_with_the_same_file(tmp_path, seed, capfd):
    asked = request(5 * BATCHES * BATCH + 3)
    write_painted(tmp_path / "whole.h5", painter(), asked, ABOUT, "images")
    chance, fork = random.Random(seed), multiprocessing.get_context("fork")
    out = tmp_path / "killed" / "out.h5"
    for _ in range(3):
        child = fork.Process(target=write_painted, args=(out, painter(pause=0.02), asked, ABOUT, "images"))
        child.start()
        child.join(chance.uniform(0.1, 0.4))
        child.kill()
        child.join()
        assert not out.exists()
    kept = len(list(out.parent.glob("state/part*.h5")))
    seen = []
    write_painted(out, painter(seen=seen), asked, ABOUT, "images")
    assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert len(seen) == 6 - kept
    assert ("going on after" in capfd.readouterr().err) == bool(kept)
    assert [file.name for file in out.parent.iterdir()] == ["out.h5"]
