"""Files between stages: atomic, versioned, with provenance. Nothing else in the package writes HDF5.

Every HDF5 file carries ``schema`` (what it is), ``schema_version`` and ``provenance`` (JSON, see
:mod:`cellscaper.provenance`) as attributes; so do weights (:mod:`cellscaper.weights`).
A file appears under its final name only when it is complete. Every byte that matters is under a checksum:
fletcher32 on the data sets, HDF5's own (file format 1.10) on everything else, so text is stored with a fixed
length (text of variable length has none).
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet

SCHEMA_VERSION = 1
_COMPRESSED: dict[str, Any] = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "fletcher32": True}
_SLACK = 1 << 20  # bytes on disk for HDF5's own indices
_END_OF_FILE = 28  # where the first block of an HDF5 file of format 1.10 holds the length of the file
_LAYOUT_ARRAYS = ("points", "labels", "offsets", "size", "origin")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a scratch path beside ``path``; move it there on success, remove it on failure.

    A killed writer leaves only ``.<name>.partial``, which the next write of the same file replaces.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.partial"
    try:
        yield partial
        with open(partial, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)  # a failed write does not say in which file
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def checksum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


# -- HDF5 --------------------------------------------------------------------------------------------------


@contextmanager
def _create(path: Path, schema: str, provenance: Mapping[str, Any]) -> Iterator[h5py.File]:
    with atomic(path) as partial:
        with open(partial, "wb") as handle:
            _reserve(handle.fileno(), _SLACK)  # fails before HDF5 holds anything
        with h5py.File(partial, "w", libver=("v110", "v110")) as file:
            _reserve(file.id.get_vfd_handle(), _SLACK)
            _put_text(file, "schema", schema)
            file.attrs["schema_version"] = SCHEMA_VERSION
            _put_text(file, "provenance", json.dumps(provenance, sort_keys=True))
            yield file
        with open(partial, "rb+") as handle:
            handle.seek(_END_OF_FILE)
            handle.truncate(int.from_bytes(handle.read(8), "little"))  # what was reserved in vain


def _reserve(file: int, size: int) -> None:
    """Make an open file ``size`` bytes longer, OSError on a full disk: there, HDF5's own writes crash Python."""
    if hasattr(os, "posix_fallocate") and size:  # not on macOS
        os.posix_fallocate(file, os.fstat(file).st_size, size)


def _open(path: Path, schema: str | None) -> h5py.File:
    """Open an HDF5 file of ours for reading; CellscaperError if it is missing, broken or another kind."""
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
    with _reading(path):
        found = _get_text(file, "schema") if "schema" in file.attrs else None
        version = file.attrs.get("schema_version")
    if found is None or (schema is not None and found != schema):
        raise CellscaperError(f"{path} holds {found or 'no cellscaper data'}, expected {schema or 'a cellscaper file'}")
    if version != SCHEMA_VERSION:
        raise CellscaperError(
            f"{path} has schema version {version}, this cellscaper reads {SCHEMA_VERSION}; "
            "make it again with this version"
        )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
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


def _put_text(group: h5py.Group, name: str, text: str) -> None:
    group.attrs[name] = np.bytes_(text.encode())


def _get_text(group: h5py.Group, name: str) -> str:
    value = group.attrs[name]
    return value if isinstance(value, str) else bytes(value).decode()


def read_provenance(path: Path) -> dict[str, Any]:
    """The provenance record of any HDF5 file of ours."""
    with _open(path, None) as file, _reading(path):
        return json.loads(_get_text(file, "provenance"))


def _put_layouts(group: h5py.Group, layouts: LayoutSet) -> None:
    for name in _LAYOUT_ARRAYS:
        _put(group, name, getattr(layouts, name))
    _put(group, "source", layouts.source)
    columns = group.create_group("columns")
    for name, column in layouts.columns.items():
        _put(columns, name, column)
    _put_text(group, "classes", json.dumps(layouts.classes))
    group.attrs["mpp"] = layouts.mpp


def _put(group: h5py.Group, name: str, array: NDArray) -> None:
    if array.dtype.kind == "U":
        array = np.char.encode(array, "utf-8")
        array = array.astype(h5py.string_dtype("utf-8", max(array.dtype.itemsize, 1)))
    _reserve(group.file.id.get_vfd_handle(), array.nbytes)
    group.create_dataset(name, data=array, **(_COMPRESSED if array.size else {}))


def write_layouts(
    path: Path,
    layouts: LayoutSet | Mapping[str, LayoutSet],
    provenance: Mapping[str, Any],
    arrays: Mapping[str, NDArray] | None = None,
) -> None:
    """Write one LayoutSet, or several named ones (one for each decoder of a sampling run).

    ``arrays`` belong to the first layouts, row by row, whatever the decoder: generated density maps, for example.
    """
    with _create(path, "cellscaper/layouts", provenance) as file:
        for name, array in (arrays or {}).items():
            _put(file.require_group("arrays"), name, array)
        if isinstance(layouts, LayoutSet):
            _put_layouts(file, layouts)
        else:
            for name, one in layouts.items():
                _put_layouts(file.create_group(f"sets/{name}"), one)


class LayoutWriter:
    """Appends layouts to one HDF5 file as they come: at most one of them is in memory."""

    def __init__(self, file: h5py.File, classes: Sequence[str], mpp: float):
        self._file, self._ends = file, [0]
        self._about: list[tuple[tuple[int, int], tuple[int, int], str]] = []  # size, origin, source
        self._columns: list[dict[str, Any]] = []
        made = {"maxshape": (None,), "chunks": (1 << 14,), **_COMPRESSED}
        self._labels = file.create_dataset("labels", (0,), "uint8", **made)
        made |= {"maxshape": (None, 2), "chunks": (1 << 14, 2)}
        self._points = file.create_dataset("points", (0, 2), "float32", **made)
        _put_text(file, "classes", json.dumps(list(classes)))
        file.attrs["mpp"] = float(mpp)

    def append(self, layout: Layout, columns: Mapping[str, Any]) -> None:
        """One more layout; ``columns`` holds its value in each free column, the same columns for all layouts."""
        start, end = self._ends[-1], self._ends[-1] + len(layout)
        _reserve(self._file.id.get_vfd_handle(), layout.points.nbytes + layout.labels.nbytes)
        for data, values in ((self._points, layout.points), (self._labels, layout.labels)):
            data.resize(end, axis=0)
            data[start:] = values
        self._ends.append(end)
        self._about.append((layout.size, layout.origin, layout.source))
        self._columns.append(dict(columns))

    def _finish(self) -> None:
        names = list(self._columns[0]) if self._columns else []
        columns = {name: np.array([row[name] for row in self._columns]) for name in names}
        group = self._file.create_group("columns")
        for name, column in columns.items():
            _put(group, name, column)
        _put(self._file, "offsets", np.array(self._ends, np.int64))
        _put(self._file, "size", np.array([size for size, _, _ in self._about], np.int32).reshape(-1, 2))
        _put(self._file, "origin", np.array([origin for _, origin, _ in self._about], np.int32).reshape(-1, 2))
        _put(self._file, "source", np.array([source for _, _, source in self._about], np.str_))


@contextmanager
def append_layouts(
    path: Path, classes: Sequence[str], mpp: float, provenance: Mapping[str, Any]
) -> Iterator[LayoutWriter]:
    """Write a LayoutSet layout by layout: ``with append_layouts(…) as out: out.append(layout, {"seed": 3})``."""
    with _create(path, "cellscaper/layouts", provenance) as file:
        writer = LayoutWriter(file, classes, mpp)
        yield writer
        writer._finish()


def layout_names(path: Path) -> list[str]:
    """The names of the LayoutSets in a file; empty where the file holds a single one."""
    with _open(path, "cellscaper/layouts") as file, _reading(path):
        return sorted(file["sets"]) if "sets" in file else []


def read_layouts(path: Path, name: str | None = None, select: slice = slice(None)) -> LayoutSet:
    """Read a LayoutSet; with ``select`` only those layouts' cells are read from disk.

    ``name`` picks one of several sets in the file; CellscaperError lists them if it is not there.
    """
    with _open(path, "cellscaper/layouts") as file, _reading(path):
        group: h5py.Group = file
        if name is not None or "sets" in file:
            names = sorted(file["sets"]) if "sets" in file else []
            if name not in names:
                raise CellscaperError(f"{path} has no layouts {name!r}; it has {', '.join(names) or 'a single set'}")
            group = file["sets"][name]
        offsets = group["offsets"][()]
        start, stop, step = select.indices(len(offsets) - 1)
        if step != 1:
            raise CellscaperError(f"read_layouts selects with step 1, not {step}")
        stop = max(start, stop)
        a, b = int(offsets[start]), int(offsets[stop])
        rows = slice(start, stop)
        return LayoutSet(
            points=group["points"][a:b],
            labels=group["labels"][a:b],
            offsets=offsets[start : stop + 1] - a,
            size=group["size"][rows],
            classes=tuple(json.loads(_get_text(group, "classes"))),
            mpp=float(group.attrs["mpp"]),
            source=_get(group["source"], rows),
            origin=group["origin"][rows],
            columns={key: _get(group["columns"][key], rows) for key in group["columns"]},
        )


def array_names(path: Path) -> list[str]:
    """The names of the arrays of a file of layouts."""
    with _open(path, "cellscaper/layouts") as file, _reading(path):
        return sorted(file["arrays"]) if "arrays" in file else []


def read_array(path: Path, name: str) -> NDArray:
    """One of the arrays of a file of layouts; CellscaperError lists them if it is not there."""
    with _open(path, "cellscaper/layouts") as file, _reading(path):
        names = sorted(file["arrays"]) if "arrays" in file else []
        if name not in names:
            raise CellscaperError(f"{path} has no array {name!r}; it has {', '.join(names) or 'none'}")
        return file["arrays"][name][()]


def _get(data: h5py.Dataset, rows: slice) -> NDArray:
    if h5py.check_string_dtype(data.dtype) is not None:
        return np.char.decode(data[rows], "utf-8")
    return data[rows]


# -- ragged arrays: images and density maps -----------------------------------------------------------------


class RaggedWriter:
    """Appends arrays of one dtype and any three-dimensional shapes to one HDF5 file, compressed as they come."""

    def __init__(self, file: h5py.File, dtype: str):
        self._values = file.create_dataset("values", (0,), dtype, maxshape=(None,), chunks=(1 << 16,), **_COMPRESSED)
        self._file, self._shapes, self._end = file, list[tuple[int, ...]](), 0

    def append(self, array: NDArray) -> None:
        flat = np.ascontiguousarray(array, self._values.dtype).reshape(-1)
        _reserve(self._file.id.get_vfd_handle(), flat.nbytes)
        self._values.resize((self._end + flat.size,))
        self._values[self._end :] = flat
        self._end += flat.size
        self._shapes.append(array.shape)

    def _finish(self) -> None:
        _put(self._file, "shape", np.array(self._shapes, np.int64).reshape(-1, 3))


@contextmanager
def _write_ragged(path: Path, schema: str, dtype: str, provenance: Mapping[str, Any]) -> Iterator[RaggedWriter]:
    with _create(path, schema, provenance) as file:
        writer = RaggedWriter(file, dtype)
        yield writer
        writer._finish()


class Ragged:
    """Lazy reader of a ragged file: ``len``, ``[i]`` → array, ``shape`` (L, 3). Close it or use ``with``."""

    def __init__(self, path: Path, schema: str):
        self.path, self._file = Path(path), _open(path, schema)
        try:
            with _reading(path):
                self._read_index()
        except BaseException:
            self.close()
            raise

    def _read_index(self) -> None:
        self.shape: NDArray[np.int64] = self._file["shape"][()]
        self._offsets = np.concatenate([[0], np.cumsum(self.shape.prod(axis=1))]).astype(np.int64)
        if self._offsets[-1] != self._file["values"].shape[0]:
            raise ValueError(f"{self._file['values'].shape[0]} values, shapes add up to {self._offsets[-1]}")

    def __len__(self) -> int:
        return len(self.shape)

    def __getitem__(self, i: int) -> NDArray:
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        i %= len(self)
        with _reading(self.path):
            return self._file["values"][self._offsets[i] : self._offsets[i + 1]].reshape(self.shape[i])

    def __iter__(self) -> Iterator[NDArray]:
        return (self[i] for i in range(len(self)))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ImageSet(Ragged):
    """Images (height, width, 3) uint8 RGB with the same index as their LayoutSet."""

    def __init__(self, path: Path):
        super().__init__(path, "cellscaper/images")


def read_split(cells: Path, images: Path, split: str) -> tuple[LayoutSet, list[NDArray[np.uint8]]]:
    """The layouts of one split and their images, each (height, width, 3); CellscaperError if the files do not agree."""
    layouts = read_layouts(cells)
    with ImageSet(images) as pixels:
        if not np.array_equal(pixels.shape[:, :2], layouts.size):
            raise CellscaperError(f"{images} and {cells} do not hold the same images; run read_cells again")
        chosen = [pixels[i] for i in np.flatnonzero(layouts.columns["split"] == split).tolist()]
    return layouts.where(split=split), chosen


class DensitySet(Ragged):
    """Density maps (C, h, w) float32, one entry for each training layout, on a grid of ``stride``-px pixels.

    Values are per px² at 20×, whatever the stride: each map of a class with cells integrates to one over the
    plane. ``scale`` is the training set's 0.99 quantile, which normalises them.
    """

    def __init__(self, path: Path):
        super().__init__(path, "cellscaper/density")

    def _read_index(self) -> None:
        super()._read_index()
        self.stride, self.scale = int(self._file.attrs["stride"]), float(self._file.attrs["scale"])


@contextmanager
def write_images(path: Path, provenance: Mapping[str, Any]) -> Iterator[RaggedWriter]:
    """Write an ImageSet: ``with write_images(path, record) as images: images.append(rgb)``."""
    with _write_ragged(path, "cellscaper/images", "uint8", provenance) as writer:
        yield writer


def write_density(
    path: Path, maps: list[NDArray[np.float32]], stride: int, scale: float, provenance: Mapping[str, Any]
) -> None:
    """Write a DensitySet (see there) with its grid ``stride`` in px and normalising ``scale``."""
    with _create(path, "cellscaper/density", provenance) as file:
        file.attrs["stride"], file.attrs["scale"] = stride, scale
        writer = RaggedWriter(file, "float32")
        for one in maps:
            writer.append(one)
        writer._finish()
