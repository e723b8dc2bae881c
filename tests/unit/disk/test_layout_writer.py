"""Layouts that are written as they come: the contents, and the memory."""

import tracemalloc

import h5py
import numpy as np
import pytest

from cellscaper.disk.hdf5 import GrowingArray
from cellscaper.disk.layout_writer import append_layouts, join_layouts
from cellscaper.disk.storage import array_names, read_array, read_layouts, write_layouts
from cellscaper.layouts import Layout, LayoutSet

CLASSES = ("a", "b")


def layouts(n, seed=0, text="image"):
    rng = np.random.default_rng(seed)
    made = [
        Layout(
            rng.random((k, 2), np.float32) * 90, rng.integers(0, 2, k).astype(np.uint8), (90, 100), f"{text}{i}", (i, k)
        )
        for i, k in enumerate(rng.integers(0, 60, n).tolist())
    ]
    columns = {
        "seed": rng.integers(0, 2**62, n),
        "requested": rng.integers(0, 9, (n, 2)),
        "split": np.array([f"s{'x' * (i % 7)}" for i in range(n)]),
        "share": rng.random(n),
    }
    return LayoutSet.build(made, CLASSES, 0.5, columns)


def append_all(path, wanted):
    with append_layouts(path, CLASSES, 0.5, {}) as out:
        for i, layout in enumerate(wanted):
            out.append(layout, {name: column[i] for name, column in wanted.columns.items()})


@pytest.mark.slow
@pytest.mark.parametrize("n", [0, 1, 7, 9000])
def test_a_set_that_is_appended_is_the_set_that_is_written_whole(tmp_path, n):
    wanted = layouts(n)
    append_all(tmp_path / "appended.h5", wanted)
    write_layouts(tmp_path / "whole.h5", wanted, {})
    found = read_layouts(tmp_path / "appended.h5")
    if n:
        assert found == wanted
    assert len(found) == n
    with h5py.File(tmp_path / "appended.h5") as one, h5py.File(tmp_path / "whole.h5") as other:
        for name in ("points", "labels", "offsets", "size", "origin"):
            assert one[name].dtype == other[name].dtype
            assert one[name].shape == other[name].shape
            assert one[name].fletcher32


def test_text_that_grows_longer_in_a_later_block_is_kept(tmp_path):
    rows = [
        np.full(3000, "short"),
        np.full(3000, "ä little longer"),
        np.full(3000, "b"),
        np.full(3000, "the longest of all"),
    ]
    with h5py.File(tmp_path / "text.h5", "w") as file:
        array = GrowingArray(file, "text")
        for one in rows:
            array.extend(one)
        array.finish()
        found = np.char.decode(file["text"][()], "utf-8")
        assert list(file) == ["text"]
    assert np.array_equal(found, np.concatenate(rows))


@pytest.mark.parametrize("wrong", [np.zeros((3, 2)), np.zeros(3), np.array(["a", "b", "c"])])
def test_rows_of_another_kind_are_refused(tmp_path, wrong):
    with h5py.File(tmp_path / "kinds.h5", "w") as file:
        array = GrowingArray(file, "numbers")
        array.extend(np.arange(3))
        with pytest.raises(ValueError, match="numbers: rows"):
            array.extend(wrong)


def peak(path, n):
    """Bytes of Python and numpy while n equal layouts are appended."""
    layout = Layout(np.ones((90, 2), np.float32), np.zeros(90, np.uint8), (256, 256))
    requested = np.array([12, 78])
    tracemalloc.start()
    try:
        with append_layouts(path, CLASSES, 0.5, {}) as out:
            for i in range(n):
                out.append(layout, {"requested": requested, "seed": i, "min_distance": 4.0})
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_layouts(tmp_path):
    peak(tmp_path / "warm.h5", 3000)
    few, many = peak(tmp_path / "few.h5", 3000), peak(tmp_path / "many.h5", 12000)
    assert many < 1.1 * few
    assert len(read_layouts(tmp_path / "many.h5")) == 12000


def test_files_are_joined_in_order_with_their_sets_and_arrays(tmp_path):
    parts = [layouts(5, seed=1), layouts(1, seed=2)[:0], layouts(3000, seed=3, text="a much longer name of an image, ")]
    maps = [np.random.default_rng(4).random((n, 2, 3, 3), np.float32) for n in (5, 2)]
    files = [tmp_path / f"part{i}.h5" for i in range(3)]
    for i, (file, one) in enumerate(zip(files, parts, strict=True)):
        arrays = {"density": maps[i // 2]} if i != 1 else {"density": np.zeros((0, 2, 3, 3), np.float32)}
        write_layouts(file, {"points": one, "other": one[::2]}, {}, arrays)
    join_layouts(tmp_path / "joined.h5", files, {"stage": "test"})
    assert read_layouts(tmp_path / "joined.h5", "points") == LayoutSet.joined(parts)
    assert read_layouts(tmp_path / "joined.h5", "other") == LayoutSet.joined([one[::2] for one in parts])
    assert array_names(tmp_path / "joined.h5") == ["density"]
    assert np.array_equal(read_array(tmp_path / "joined.h5", "density"), np.concatenate(maps))
