"""Files between stages: exact, complete or not there, and never silently wrong."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from cellscaper.disk import hdf5
from cellscaper.disk import weights as weights_module
from cellscaper.disk.files import atomic, checksum, write_text
from cellscaper.disk.hdf5 import SCHEMA_VERSION
from cellscaper.disk.storage import (
    DensitySet,
    ImageSet,
    layout_names,
    read_layouts,
    read_provenance,
    read_split,
    write_density,
    write_images,
    write_layouts,
)
from cellscaper.disk.weights import read_weights, write_weights
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet

PROVENANCE = {"stage": "test", "seed": 3, "config": {"classes": ["Zelle", "größe"], "lr": 1e-4}, "inputs": {}}


def some_layouts(counts=(4, 0, 9, 1), seed=0):
    rng = np.random.default_rng(seed)
    n = len(counts)
    items = [
        Layout(
            rng.uniform(0, 50, (k, 2)).astype(np.float32),
            rng.integers(0, 3, k).astype(np.uint8),
            (50, 60 + k),
            f"bild_é{i}",
        )
        for i, k in enumerate(counts)
    ]
    columns = {
        "split": np.array(["train", "test", "", "größe 20×"])[np.arange(n) % 4],
        "seed": np.arange(n) - 2**40,
        "flag": np.arange(n) % 2 == 0,
        "weight": rng.random(n),
        "requested": rng.integers(0, 99, (n, 3)),
        "names": np.array([["a", "βγ"], ["", "x y"], ["longer text", "é"], ["1", "2"]])[np.arange(n) % 4],
    }
    return LayoutSet.build(items, ("lymphocyte", "tumeur é", "c"), 0.4987, columns)


def some_images(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((8, 9), (1, 1), (20, 13))]


def some_maps(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.random((3, h, w), np.float32) for h, w in ((4, 5), (2, 7))]


def some_weights(seed=0):
    random = torch.Generator().manual_seed(seed)
    return {
        "a.weight": torch.randn(3, 4, generator=random),
        "steps": torch.arange(5),
        "scalar": torch.tensor(1.5, dtype=torch.float64),
        "half": torch.randn(4, generator=random).bfloat16(),
        "none": torch.zeros(0, 3),
    }


def put_images(path, images):
    with write_images(path, PROVENANCE) as file:
        for one in images:
            file.append(one)


def get_images(path):
    with ImageSet(path) as images:
        return [one.tolist() for one in images], images.shape.tolist()


def get_density(path):
    with DensitySet(path) as maps:
        return [one.tolist() for one in maps], maps.shape.tolist(), maps.stride, maps.scale


def get_weights(path):
    tensors, facts = read_weights(path)
    return {name: (value.dtype, value.shape, value.tolist()) for name, value in tensors.items()}, facts


WRITERS = {
    "layouts": lambda path: write_layouts(path, some_layouts(), PROVENANCE),
    "sets": lambda path: write_layouts(path, {"a": some_layouts(), "b": some_layouts((2, 2), 1)}, PROVENANCE),
    "images": lambda path: put_images(path, some_images()),
    "density": lambda path: write_density(path, some_maps(), 4, 0.37, PROVENANCE),
    "weights": lambda path: write_weights(path, some_weights(), PROVENANCE, section={"x": [1, None]}, classes=["é"]),
}
READERS = {
    "layouts": lambda path: (read_layouts(path), read_provenance(path)),
    "sets": lambda path: (read_layouts(path, "a"), read_layouts(path, "b"), layout_names(path), read_provenance(path)),
    "images": lambda path: (get_images(path), read_provenance(path)),
    "density": lambda path: (get_density(path), read_provenance(path)),
    "weights": get_weights,
}
EVERY_KIND = pytest.mark.parametrize("kind", WRITERS)
HDF5_KINDS = pytest.mark.parametrize("kind", ["layouts", "sets", "images", "density"])


# -- round trips -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layouts",
    [
        some_layouts(),
        some_layouts((0, 0)),
        some_layouts(()),
        LayoutSet.build([], ("a",), 1.0),
        LayoutSet.build(some_layouts(), ("a", "b", "c"), 0.5),
    ],
    ids=["mixed", "no cells", "no layouts", "nothing", "no columns"],
)
def test_layouts_come_back_exactly(layouts, tmp_path):
    write_layouts(tmp_path / "x.h5", layouts, PROVENANCE)
    found = read_layouts(tmp_path / "x.h5")
    assert found == layouts
    assert {k: v.dtype.kind for k, v in found.columns.items()} == {k: v.dtype.kind for k, v in layouts.columns.items()}
    assert {k: v.shape for k, v in found.columns.items()} == {k: v.shape for k, v in layouts.columns.items()}
    assert read_provenance(tmp_path / "x.h5") == PROVENANCE


def test_several_named_sets_live_in_one_file(tmp_path):
    sets = {"requested": some_layouts(), "components": some_layouts((3,), 1), "released": some_layouts((), 2)}
    write_layouts(tmp_path / "x.h5", sets, PROVENANCE)
    assert layout_names(tmp_path / "x.h5") == sorted(sets)
    assert all(read_layouts(tmp_path / "x.h5", name) == one for name, one in sets.items())


def test_a_set_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    write_layouts(tmp_path / "many.h5", {"a": some_layouts(), "b": some_layouts()}, {})
    write_layouts(tmp_path / "one.h5", some_layouts(), {})
    for name in ("c", None):
        with pytest.raises(CellscaperError, match=f"many.h5 has no layouts {name!r}; it has a, b"):
            read_layouts(tmp_path / "many.h5", name)
    with pytest.raises(CellscaperError, match="one.h5 has no layouts 'a'; it has a single set"):
        read_layouts(tmp_path / "one.h5", "a")
    assert layout_names(tmp_path / "one.h5") == []


@pytest.mark.parametrize("images", [some_images(), some_images()[:1], []], ids=["three", "one", "none"])
def test_images_come_back_exactly_by_any_index(images, tmp_path):
    put_images(tmp_path / "x.h5", images)
    with ImageSet(tmp_path / "x.h5") as found:
        assert len(found) == len(images)
        assert found.shape.shape == (len(images), 3)
        for i in range(-len(images), len(images)):
            assert found[i].dtype == np.uint8
            np.testing.assert_array_equal(found[i], images[i])
        assert len(list(found)) == len(images)
        for i in (len(images), -len(images) - 1):
            with pytest.raises(IndexError):
                found[i]


def test_density_maps_come_back_exactly_with_their_grid_and_scale(tmp_path):
    write_density(tmp_path / "x.h5", some_maps(), 4, 0.1 + 0.2, PROVENANCE)
    with DensitySet(tmp_path / "x.h5") as found:
        assert (found.stride, found.scale) == (4, 0.1 + 0.2)
        for mine, theirs in zip(found, some_maps(), strict=True):
            assert mine.dtype == np.float32
            np.testing.assert_array_equal(mine, theirs)


def test_weights_come_back_exactly_with_their_facts(tmp_path):
    facts = {"section": {"lr": 1e-4, "density": None}, "classes": ["é"], "channels": 6}
    write_weights(tmp_path / "x.safetensors", some_weights(), PROVENANCE, **facts)
    tensors, found = read_weights(tmp_path / "x.safetensors")
    assert found == facts
    assert tensors.keys() == some_weights().keys()
    for name, value in some_weights().items():
        assert tensors[name].dtype == value.dtype
        assert torch.equal(tensors[name], value)


def test_weights_may_be_views_in_any_order_of_memory(tmp_path):
    weights = {
        "t": torch.arange(6.0).reshape(2, 3).T,
        "c": torch.rand(1, 2, 3, 4).to(memory_format=torch.channels_last),
    }
    write_weights(tmp_path / "x.safetensors", weights, {})
    assert all(torch.equal(read_weights(tmp_path / "x.safetensors")[0][k], v) for k, v in weights.items())


@EVERY_KIND
def test_the_same_content_makes_the_same_file(kind, tmp_path):
    WRITERS[kind](tmp_path / "1")
    WRITERS[kind](tmp_path / "2")
    assert checksum(tmp_path / "1") == checksum(tmp_path / "2")


@HDF5_KINDS
def test_files_are_readable_by_plain_hdf5_and_not_longer_than_their_content(kind, tmp_path):
    WRITERS[kind](tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        assert file.attrs["schema_version"] == SCHEMA_VERSION
        assert json.loads(file.attrs["provenance"]) == PROVENANCE
    assert (tmp_path / "x.h5").stat().st_size < 40_000  # the space reserved for the disk's sake is given back


# -- reading a part ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "select", [slice(1, 3), slice(0, 0), slice(None, 1), slice(-2, None), slice(2, 99), slice(3, 1), slice(None)]
)
def test_a_part_of_the_layouts_is_that_part(select, tmp_path):
    write_layouts(tmp_path / "x.h5", some_layouts(), {})
    assert read_layouts(tmp_path / "x.h5", select=select) == some_layouts()[select]


def test_reading_a_part_reads_only_that_part(tmp_path, monkeypatch):
    layouts = some_layouts((300, 200, 5, 1000))
    write_layouts(tmp_path / "x.h5", layouts, {})
    read, plain = {}, h5py.Dataset.__getitem__

    def counted(self, which):
        value = plain(self, which)
        read[self.name.split("/")[-1]] = len(value)
        return value

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    assert read_layouts(tmp_path / "x.h5", select=slice(1, 3)) == layouts[1:3]
    assert read.pop("offsets") == 5
    assert (read.pop("points"), read.pop("labels")) == (205, 205)
    assert set(read.values()) == {2}


def test_steps_are_refused(tmp_path):
    write_layouts(tmp_path / "x.h5", some_layouts(), {})
    with pytest.raises(CellscaperError, match="step 1, not 2"):
        read_layouts(tmp_path / "x.h5", select=slice(None, None, 2))


def test_a_split_is_its_layouts_with_their_images(tmp_path):
    images = some_images()
    items = [Layout(np.zeros((i, 2), np.float32), np.zeros(i, np.uint8), one.shape[:2]) for i, one in enumerate(images)]
    cells = LayoutSet.build(items, ("a",), 0.5, {"split": np.array(["train", "test", "train"])})
    write_layouts(tmp_path / "cells.h5", cells, {})
    put_images(tmp_path / "images.h5", images)
    layouts, found = read_split(tmp_path / "cells.h5", tmp_path / "images.h5", "train")
    assert layouts == cells[[0, 2]]
    for mine, theirs in zip(found, [images[0], images[2]], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    put_images(tmp_path / "other.h5", images[::-1])
    with pytest.raises(CellscaperError, match="do not hold the same images"):
        read_split(tmp_path / "cells.h5", tmp_path / "other.h5", "train")


# -- complete or not there ---------------------------------------------------------------------------------


def test_an_error_while_writing_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="mine"), write_images(tmp_path / "x.h5", {}) as images:
        images.append(some_images()[0])
        raise RuntimeError("mine")
    with pytest.raises(SystemExit), atomic(tmp_path / "y") as partial:
        partial.write_text("half")
        sys.exit(143)
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    write_text(tmp_path / "x", "old")
    with pytest.raises(KeyboardInterrupt), atomic(tmp_path / "x") as partial:
        partial.write_text("new")
        raise KeyboardInterrupt
    assert (tmp_path / "x").read_text() == "old"
    write_text(tmp_path / "x", "new é")
    assert (tmp_path / "x").read_text(encoding="utf-8") == "new é"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_folders_are_made(tmp_path):
    write_text(tmp_path / "a" / "b" / "x", "text")
    assert (tmp_path / "a" / "b" / "x").read_text() == "text"


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from cellscaper.disk.storage import write_images
with write_images(Path(sys.argv[1]), {}) as images:
    for _ in range(3):
        images.append(np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8))
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_killed_writer_leaves_nothing_under_the_name_and_the_next_one_succeeds(tmp_path):
    path = tmp_path / "x.h5"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not path.exists()
    put_images(path, some_images())
    assert get_images(path)[0] == [one.tolist() for one in some_images()]
    assert [file.name for file in tmp_path.iterdir()] == ["x.h5"]


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from cellscaper.disk.storage import write_images, write_layouts
from cellscaper.layouts import Layout, LayoutSet

def images(path):
    with write_images(path, {}) as file:
        for _ in range(60):
            file.append(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8))

def layouts(path):
    points = np.random.default_rng(0).uniform(0, 100, (400_000, 2)).astype(np.float32)
    write_layouts(path, LayoutSet.build([Layout(points, np.zeros(400_000, np.uint8), (100, 100))], ("a",), 0.5), {})

for limit in (0, 100, 20_000, 1_100_000, 2_000_000, 3_000_000):
    for write in (images, layouts):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1))
        try:
            write(Path(sys.argv[1]) / "x.h5")
        except OSError as error:
            print(error.errno, Path(error.filename).name)
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
"""


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot reserve disk space")
def test_a_full_disk_is_an_error_that_names_the_file_and_never_a_crash(tmp_path):
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{errno.EFBIG} x.h5"] * 12
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_of_text_or_weights_names_the_file(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(Path, "write_bytes", full)
    for write in (lambda path: write_text(path, "x"), WRITERS["weights"]):
        with pytest.raises(OSError) as caught:
            write(tmp_path / "x")
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "x"))


# -- damage ------------------------------------------------------------------------------------------------


def read_or_refuse(kind, path):
    """What the file holds, or None after a CellscaperError; any other exception is passed on."""
    try:
        return READERS[kind](path)
    except CellscaperError as error:
        assert "\n" not in str(error)
        assert str(path) in str(error)
        return None


@EVERY_KIND
def test_a_truncated_file_is_refused(kind, tmp_path):
    WRITERS[kind](tmp_path / "good")
    good, bad = (tmp_path / "good").read_bytes(), tmp_path / "bad"
    for length in {*range(0, 100, 12), *np.linspace(0, len(good) - 1, 25).astype(int).tolist()}:
        bad.write_bytes(good[:length])
        assert read_or_refuse(kind, bad) is None, f"{length} of {len(good)} bytes"


@EVERY_KIND
def test_a_flipped_byte_is_refused_or_does_not_matter(kind, tmp_path):
    WRITERS[kind](tmp_path / "good")
    good, bad = bytearray((tmp_path / "good").read_bytes()), tmp_path / "bad"
    expected, refused = READERS[kind](tmp_path / "good"), 0
    rng = np.random.default_rng(5)
    for position in rng.choice(len(good), 60, replace=False):
        damaged = good.copy()
        damaged[position] ^= int(rng.integers(1, 256))
        bad.write_bytes(damaged)
        found = read_or_refuse(kind, bad)
        refused += found is None
        assert found is None or found == expected, f"byte {position} of {len(good)}: wrong data without an error"
    assert refused > 10


def test_swapped_weights_of_equal_shape_are_refused(tmp_path):
    """What a checksum of each tensor's bytes alone would not see."""
    write_weights(tmp_path / "x", {"a": torch.zeros(4), "b": torch.ones(4)}, {})
    text = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(text.replace(b'"a":', b'"_":').replace(b'"b":', b'"a":').replace(b'"_":', b'"b":'))
    with pytest.raises(CellscaperError, match="digest"):
        read_weights(tmp_path / "x")


# -- other files -------------------------------------------------------------------------------------------


@EVERY_KIND
def test_a_missing_file_is_named(kind, tmp_path):
    with pytest.raises(CellscaperError, match="nothing.h5 does not exist; run the stage that makes it"):
        READERS[kind](tmp_path / "nothing.h5")


@EVERY_KIND
@pytest.mark.parametrize("content", [b"", b"seed,value\n1,2\n", b"\x89PNG\r\n\x1a\n" + bytes(200)])
def test_files_of_other_programs_are_refused(kind, content, tmp_path):
    (tmp_path / "x").write_bytes(content)
    assert read_or_refuse(kind, tmp_path / "x") is None


@HDF5_KINDS
def test_hdf5_of_other_programs_is_refused(kind, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["points"] = np.zeros((3, 2))
    with pytest.raises(CellscaperError, match="x.h5 holds no cellscaper data"):
        READERS[kind](tmp_path / "x.h5")


@pytest.mark.parametrize(("wrong", "kind"), [("images", "layouts"), ("layouts", "images"), ("images", "density")])
def test_one_kind_is_not_read_as_another(wrong, kind, tmp_path):
    WRITERS[wrong](tmp_path / "x.h5")
    with pytest.raises(CellscaperError, match=f"x.h5 holds cellscaper/{wrong}, expected cellscaper/{kind}"):
        READERS[kind](tmp_path / "x.h5")


@EVERY_KIND
def test_another_version_is_refused_with_both_versions(kind, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(hdf5, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        patch.setattr(weights_module, "VERSION", str(SCHEMA_VERSION + 1))
        WRITERS[kind](tmp_path / "x")
    with pytest.raises(CellscaperError, match=rf"version {SCHEMA_VERSION + 1}.*reads .*{SCHEMA_VERSION}"):
        READERS[kind](tmp_path / "x")


def test_files_that_contradict_themselves_are_refused(tmp_path):
    WRITERS["images"](tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file["values"].resize((10,))
    with pytest.raises(CellscaperError, match="damaged.*10 values, shapes add up to"):
        ImageSet(tmp_path / "x.h5")
    WRITERS["layouts"](tmp_path / "y.h5")
    with h5py.File(tmp_path / "y.h5", "r+") as file:
        del file["labels"]
    with pytest.raises(CellscaperError, match="y.h5 is damaged"):
        read_layouts(tmp_path / "y.h5")


def test_refused_files_are_closed(tmp_path):
    """HDF5 would refuse to write a file that is still open for reading."""
    WRITERS["images"](tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file["values"].resize((10,))
    for read in (ImageSet, read_layouts):
        with pytest.raises(CellscaperError):
            read(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+"):
        pass


def test_checksum_is_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")  # NIST's example
    assert checksum(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("locking", [None, "FALSE", "TRUE", "BEST_EFFORT"])
def test_a_file_that_another_process_writes_is_left_to_it(tmp_path, monkeypatch, locking):
    if locking:  # HDF5's own locks, which the environment turns off or on
        monkeypatch.setenv("HDF5_USE_FILE_LOCKING", locking)
    code = (
        "import sys\nfrom pathlib import Path\nfrom cellscaper.disk.storage import write_images\n"
        "with write_images(Path(sys.argv[1]), {}) as out:\n    print('open', flush=True)\n    sys.stdin.readline()\n"
    )
    file = tmp_path / "images.h5"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline() == "open\n"
        with (
            pytest.raises(CellscaperError, match="is being written by another process"),
            hdf5.create(file, "cellscaper/images", {}),
        ):
            pass
        first.communicate("\n")
    assert first.returncode == 0
    assert [one.name for one in tmp_path.iterdir()] == ["images.h5"]
