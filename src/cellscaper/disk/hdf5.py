"""The HDF5 files of cellscaper: atomic, versioned, with provenance, and with checksums of all contents.

Every file has the attributes ``schema`` (its kind), ``schema_version`` and ``provenance`` (JSON, see
`plan.provenance`). Data sets have fletcher32 checksums, everything else has HDF5's own (file format 1.10). Text has a
fixed length, because text of variable length has no checksum.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.files import atomic, partial_of
from cellscaper.errors import CellscaperError

SCHEMA_VERSION = 1
Provenance = Mapping[str, Any]  # JSON, see plan.provenance.record
COMPRESSED: dict[str, Any] = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "fletcher32": True}
_SLACK = 1 << 20  # bytes on disk for HDF5's own indices
_BLOCK = 1 << 17  # bytes of a growing array that are written at once
_END_OF_FILE = 28  # where the first block of an HDF5 file of format 1.10 holds the length of the file


@contextmanager
def create(path: Path, schema: str, provenance: Provenance) -> Iterator[h5py.File]:
    """A new file of kind ``schema`` to fill; it appears under its name when the block ends. OSError on a full disk.

    CellscaperError if another process is writing it: the partial file is locked while it is written.
    """
    with _alone(path) as lock, atomic(path) as partial:
        os.truncate(lock, 0)
        reserve(lock, _SLACK)  # fails before HDF5 holds anything
        if _hdf5_locks():  # it would refuse a file that this process has locked
            fcntl.flock(lock, fcntl.LOCK_UN)
        with h5py.File(partial, "w", libver=("v110", "v110"), locking=_hdf5_locks()) as file:
            reserve(file.id.get_vfd_handle(), _SLACK)
            put_text(file, "schema", schema)
            file.attrs["schema_version"] = SCHEMA_VERSION
            put_text(file, "provenance", json.dumps(provenance, sort_keys=True))
            yield file
        with open(partial, "rb+") as handle:
            handle.seek(_END_OF_FILE)
            handle.truncate(int.from_bytes(handle.read(8), "little"))  # drop reserved bytes that are not used


@contextmanager
def _alone(path: Path) -> Iterator[int]:
    """The open partial file of ``path``, made if it is not there, and locked as far as its file system has locks.

    CellscaperError if another process holds it.
    """
    partial = partial_of(path)
    partial.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with open(partial, "ab") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CellscaperError(
                    f"{path} is being written by another process; wait for it, or stop one of the two"
                ) from None
            except OSError:  # a file system without locks
                pass
            if _is_at(handle.fileno(), partial):  # else another process has ended meanwhile, and its file has moved
                try:
                    yield handle.fileno()
                finally:
                    with contextlib.suppress(OSError):
                        fcntl.flock(handle, fcntl.LOCK_UN)  # a child of this process may have the file open as well
                return


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def _hdf5_locks() -> bool:
    """Whether the user's environment makes HDF5 lock files itself, whatever it is told."""
    return os.environ.get("HDF5_USE_FILE_LOCKING", "").upper() in {"TRUE", "1", "BEST_EFFORT"}


def reserve(file: int, size: int) -> None:
    """Make an open file ``size`` bytes longer. OSError on a full disk, where HDF5's own writes would crash Python."""
    if hasattr(os, "posix_fallocate") and size:  # not on macOS
        os.posix_fallocate(file, os.fstat(file).st_size, size)


def open_file(path: Path, schema: str | None) -> h5py.File:
    """Open an HDF5 file of cellscaper for reading; CellscaperError if it is missing, broken or of another kind."""
    path = Path(path)
    if not path.exists():
        raise CellscaperError(f"{path} does not exist; run the stage that makes it")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise CellscaperError(
            f"{path} is not a readable HDF5 file (truncated or damaged); delete it and run again"
        ) from error
    try:
        _check_schema(path, file, schema)
    except BaseException:
        file.close()
        raise
    return file


def _check_schema(path: Path, file: h5py.File, schema: str | None) -> None:
    with reading(path):
        found = get_text(file, "schema") if "schema" in file.attrs else None
        version = file.attrs.get("schema_version")
    if found is None or (schema is not None and found != schema):
        raise CellscaperError(f"{path} holds {found or 'no cellscaper data'}, expected {schema or 'a cellscaper file'}")
    if version != SCHEMA_VERSION:
        raise CellscaperError(
            f"{path} has schema version {version}, this cellscaper reads {SCHEMA_VERSION}; "
            "make it again with this version"
        )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Context for reading from an open file: CellscaperError if its content is damaged."""
    try:
        yield
    except (
        OSError,
        RuntimeError,
        LookupError,
        ValueError,
        TypeError,
        ArithmeticError,
    ) as error:  # h5py raises all these
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CellscaperError(f"{path} is damaged ({reason}); delete it and run again") from error


def put_text(group: h5py.Group, name: str, text: str) -> None:
    """An attribute of fixed length, so that it is under a checksum."""
    group.attrs[name] = np.bytes_(text.encode())


def get_text(group: h5py.Group, name: str) -> str:
    """The attribute that :func:`put_text` wrote; KeyError if it is missing."""
    value = group.attrs[name]
    return value if isinstance(value, str) else bytes(value).decode()


def _encoded(array: NDArray) -> NDArray:
    """Text as HDF5 holds it; other arrays as they are."""
    if array.dtype.kind != "U":
        return array
    array = np.char.encode(array, "utf-8")
    return array.astype(h5py.string_dtype("utf-8", max(array.dtype.itemsize, 1)))


def put_array(group: h5py.Group, name: str, array: NDArray) -> None:
    """A whole array, numbers or text, compressed."""
    array = _encoded(array)
    reserve(group.file.id.get_vfd_handle(), array.nbytes)
    group.create_dataset(name, data=array, **(COMPRESSED if array.size else {}))


def get_rows(data: h5py.Dataset, rows: slice) -> NDArray:
    """Rows of an array; text as numpy's str."""
    if h5py.check_string_dtype(data.dtype) is not None:
        return np.char.decode(data[rows], "utf-8")
    return data[rows]


class GrowingArray:
    """An array of a group that gets its rows block by block: at most a block of them is in memory.

    The rows (n, …) that ``extend`` gets first decide type and shape of all; ``finish`` writes those that wait.
    """

    def __init__(self, group: h5py.Group, name: str):
        self._group, self._name = group, name
        self._waiting: list[NDArray] = []
        self._data: h5py.Dataset | None = None
        self._bytes = 0

    def extend(self, rows: NDArray) -> None:
        """Add rows (n, …). ValueError for another type or shape than that of the first."""
        first = self._waiting[0] if self._waiting else self._data
        if first is not None:
            is_text = first.dtype.kind == "S" and rows.dtype.kind == "U"
            if rows.shape[1:] != first.shape[1:] or not (is_text or np.can_cast(rows.dtype, first.dtype)):
                raise ValueError(
                    f"{self._name}: rows {rows.dtype} {rows.shape[1:]} after {first.dtype} {first.shape[1:]}"
                )
        self._waiting.append(_encoded(rows))
        self._bytes += self._waiting[-1].nbytes + 64
        if self._bytes >= _BLOCK:
            self._write()

    def finish(self) -> None:
        """Write the last rows."""
        if self._waiting:
            self._write()

    def _write(self) -> None:
        rows = np.concatenate(self._waiting)
        if rows.dtype.kind == "S":
            rows = rows.astype(h5py.string_dtype("utf-8", rows.dtype.itemsize))
        self._waiting, self._bytes = [], 0
        if self._data is None:
            self._data = self._create(self._name, rows)
        elif rows.dtype.kind == "S" and rows.dtype.itemsize > self._data.dtype.itemsize:
            self._data = self._widened(rows)
        reserve(self._group.file.id.get_vfd_handle(), rows.nbytes)
        start = len(self._data)
        self._data.resize(start + len(rows), axis=0)
        self._data[start:] = rows

    def _create(self, name: str, like: NDArray) -> h5py.Dataset:
        a_row = like.dtype.itemsize * int(np.prod(like.shape[1:]))
        shape, chunk = like.shape[1:], max(1, min(1 << 14, _BLOCK // max(a_row, 1)))
        return self._group.create_dataset(
            name, (0, *shape), like.dtype, maxshape=(None, *shape), chunks=(chunk, *shape), **COMPRESSED
        )

    def _widened(self, like: NDArray) -> h5py.Dataset:
        """The array of text with room for longer text."""
        old, name = self._data, f"{self._name}.wider"
        assert old is not None
        wide = self._create(name, like)
        wide.resize(len(old), axis=0)
        for start in range(0, len(old), old.chunks[0]):
            wide[start : start + old.chunks[0]] = old[start : start + old.chunks[0]]
        del self._group[self._name]
        self._group.move(name, self._name)
        return wide


def read_whole(path: Path, schema: str) -> None:
    """Read every array of a file; CellscaperError if it is of another kind, or damaged anywhere."""
    with open_file(path, schema) as file, reading(path):
        file.visititems(lambda name, node: node[()] if isinstance(node, h5py.Dataset) and node.size else None)
