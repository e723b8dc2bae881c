"""Numeric arrays of a MATLAB 5 file (``.mat``, also compressed), read strictly.

scipy.io.loadmat reads them, too, but on some damaged files it ends the whole program (segmentation fault).
Format: "MAT-File Format", MathWorks. A file is a header of 128 bytes and elements. An element is a tag (type, bytes)
and data, padded to a multiple of 8 bytes.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError

LARGEST = 1 << 30  # bytes of one unpacked array
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_MATRIX, _COMPRESSED, _COMPLEX = 14, 15, 0x0800
_MOST_AXES = 8
_HDF5 = b"\x89HDF\r\n\x1a\n"  # version 7.3 is HDF5, behind a header of 512 bytes


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, NDArray]:
    """The named arrays of a file, as far as it has them, in MATLAB's shape (at least two axes) and type.

    CellscaperError if the file is damaged, of version 7.3 or no MATLAB file, or if a named variable is no array of real
    numbers.
    """
    wanted, found = set(names), {}
    try:
        data = Path(path).read_bytes()
        if b"MATLAB 7.3" in data[:20] or _HDF5 in (data[:8], data[512:520]):
            raise CellscaperError(f"{path} is a MATLAB file of version 7.3, which is not read; save it with -v7")
        for name, array in _variables(data, wanted):
            found[name] = array
    except (ValueError, struct.error, zlib.error, OverflowError, MemoryError) as error:
        raise CellscaperError(f"{path} is not a readable MATLAB file ({error}); get it again") from error
    return found


def _variables(data: bytes, wanted: set[str]) -> Iterator[tuple[str, NDArray]]:
    if len(data) < 128 or data[126:128] not in (b"IM", b"MI"):
        raise ValueError("no header")
    order = "<" if data[126:128] == b"IM" else ">"
    at = 128
    while at < len(data):
        kind, body, at = _element(data, at, order, padded=False)
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            body = unpacker.decompress(body, LARGEST)
            if not unpacker.eof:
                raise ValueError("a compressed array is cut or larger than a gigabyte")
            kind, body, _ = _element(body, 0, order)
        if kind != _MATRIX:
            raise ValueError(f"an element of type {kind} where an array was expected")
        found = _matrix(body, order, wanted)
        if found is not None:
            yield found


def _element(data: bytes, at: int, order: str, padded: bool = True) -> tuple[int, bytes, int]:
    """(type, content, where the next one starts) of the element at ``at``; small ones have their data in the tag."""
    kind, size = struct.unpack_from(order + "II", data, at)
    if kind >> 16:
        kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        if size > 4:
            raise ValueError(f"a small element of {size} bytes")
    else:
        start = at + 8
        end = start + size + (-size % 8 if padded or kind == _MATRIX else 0)
    if start + size > len(data):
        raise ValueError(f"an element of {size} bytes where {max(len(data) - start, 0)} are left")
    return kind, data[start : start + size], end


def _matrix(body: bytes, order: str, wanted: set[str]) -> tuple[str, NDArray] | None:
    """Name and array of a matrix element, None if it is not wanted."""
    _, flags, at = _element(body, 0, order)
    _, sides, at = _element(body, at, order)
    _, text, at = _element(body, at, order)
    name = text.decode("latin-1")
    if name not in wanted:
        return None
    (word,) = struct.unpack_from(order + "I", flags)
    if word & 0xFF not in _CLASSES or word & _COMPLEX:
        raise ValueError(f"{name} is no array of real numbers")
    shape = np.frombuffer(sides, order + "i4").tolist()
    if not 2 <= len(shape) <= _MOST_AXES or min(shape) < 0:
        raise ValueError(f"{name} has the shape {shape}")
    kind, values, _ = _element(body, at, order)
    if kind not in _TYPES:
        raise ValueError(f"{name} has numbers of type {kind}")
    array = np.frombuffer(values, order + _TYPES[kind])
    if array.size != int(np.prod([int(side) for side in shape], dtype=object)):
        raise ValueError(f"{name} has {array.size} numbers for the shape {shape}")
    with np.errstate(invalid="ignore", over="ignore"):
        array = array.astype(_CLASSES[word & 0xFF])
    return name, array.reshape(shape, order="F")
