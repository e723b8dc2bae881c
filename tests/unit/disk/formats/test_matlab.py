"""MATLAB files as scipy writes and reads them, and those that are no such file."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.io import loadmat, savemat

from cellscaper.disk.formats.matlab import read_arrays
from cellscaper.errors import CellscaperError

KINDS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


@pytest.mark.slow
@given(
    array=st.sampled_from(KINDS).flatmap(
        lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5))
    ),
    packed=st.booleans(),
)
def test_arrays_are_those_of_scipy(array, packed, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "one.mat"
    savemat(path, {"other": "text", "x": array, "s": {"a": 1}}, do_compression=packed)
    wanted, found = loadmat(path)["x"], read_arrays(path, ["x", "y"])
    assert found.keys() == {"x"}
    assert found["x"].dtype == wanted.dtype
    np.testing.assert_array_equal(found["x"], wanted)


def test_numbers_may_be_stored_smaller_than_they_are(tmp_path):
    """MATLAB writes doubles that are whole as bytes; small ones go into the tag."""
    name = struct.pack("<HH4s", 1, 1, b"x")
    flags, sides = struct.pack("<IIII", 6, 8, 6, 0), struct.pack("<IIii", 5, 8, 1, 3)
    body = flags + sides + name + struct.pack("<HH4B", 2, 3, 7, 8, 9, 0)
    header = b"MATLAB 5.0".ljust(124) + struct.pack("<HH", 0x0100, 0x4D49)
    (tmp_path / "a.mat").write_bytes(header + struct.pack("<II", 14, len(body)) + body)
    array = read_arrays(tmp_path / "a.mat", ["x"])["x"]
    assert array.dtype == np.float64
    assert array.tolist() == [[7, 8, 9]] == loadmat(tmp_path / "a.mat")["x"].tolist()


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "no header"), (b"\x89HDF\r\n\x1a\n" + bytes(200), "7.3"), (b"MATLAB 7.3 MAT-file".ljust(600), "7.3")],
)
def test_other_files_are_refused(data, words, tmp_path):
    (tmp_path / "a.mat").write_bytes(data)
    with pytest.raises(CellscaperError, match=words):
        read_arrays(tmp_path / "a.mat", ["x"])


@pytest.mark.parametrize("value", ["text", 1j, {"a": 1}, np.array([1, "a"], dtype=object)])
def test_what_is_no_array_of_numbers_is_refused(value, tmp_path):
    savemat(tmp_path / "a.mat", {"x": value})
    with pytest.raises(CellscaperError, match="x is no array of real numbers"):
        read_arrays(tmp_path / "a.mat", ["x"])


def test_sizes_that_lie_are_refused(tmp_path):
    savemat(tmp_path / "a.mat", {"x": np.arange(6.0)})
    data = (tmp_path / "a.mat").read_bytes()
    sides = struct.pack("<ii", 1, 6)
    (tmp_path / "a.mat").write_bytes(data.replace(sides, struct.pack("<ii", 2**31 - 1, 2**31 - 1)))
    with pytest.raises(CellscaperError, match="6 numbers for the shape"):
        read_arrays(tmp_path / "a.mat", ["x"])
