"""Layouts, images and density maps between stages. Only this module writes HDF5 (see `disk.hdf5`)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.hdf5 import (
    COMPRESSED,
    Provenance,
    create,
    get_rows,
    get_text,
    open_file,
    put_array,
    put_text,
    reading,
    reserve,
)
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet

_LAYOUT_ARRAYS = ("points", "labels", "offsets", "size", "origin")


def read_provenance(path: Path) -> dict[str, Any]:
    """The provenance record of any HDF5 file of cellscaper."""
    with open_file(path, None) as file, reading(path):
        return json.loads(get_text(file, "provenance"))


def _put_layouts(group: h5py.Group, layouts: LayoutSet) -> None:
    for name in _LAYOUT_ARRAYS:
        put_array(group, name, getattr(layouts, name))
    put_array(group, "source", layouts.source)
    columns = group.create_group("columns")
    for name, column in layouts.columns.items():
        put_array(columns, name, column)
    put_text(group, "classes", json.dumps(layouts.classes))
    group.attrs["mpp"] = layouts.mpp


def write_layouts(
    path: Path,
    layouts: LayoutSet | Mapping[str, LayoutSet],
    provenance: Provenance,
    arrays: Mapping[str, NDArray] | None = None,
) -> None:
    """Write one LayoutSet, or several named ones (one for each decoder of a sampling run).

    ``arrays`` belong to the first layouts of every set, row by row: generated density maps, for example.
    """
    with create(path, "cellscaper/layouts", provenance) as file:
        for name, array in (arrays or {}).items():
            put_array(file.require_group("arrays"), name, array)
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
        made = {"maxshape": (None,), "chunks": (1 << 14,), **COMPRESSED}
        self._labels = file.create_dataset("labels", (0,), "uint8", **made)
        made |= {"maxshape": (None, 2), "chunks": (1 << 14, 2)}
        self._points = file.create_dataset("points", (0, 2), "float32", **made)
        put_text(file, "classes", json.dumps(list(classes)))
        file.attrs["mpp"] = float(mpp)

    def append(self, layout: Layout, columns: Mapping[str, Any]) -> None:
        """Add a layout; ``columns`` has its value in each free column, the same columns for all layouts."""
        start, end = self._ends[-1], self._ends[-1] + len(layout)
        reserve(self._file.id.get_vfd_handle(), layout.points.nbytes + layout.labels.nbytes)
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
            put_array(group, name, column)
        put_array(self._file, "offsets", np.array(self._ends, np.int64))
        put_array(self._file, "size", np.array([size for size, _, _ in self._about], np.int32).reshape(-1, 2))
        put_array(self._file, "origin", np.array([origin for _, origin, _ in self._about], np.int32).reshape(-1, 2))
        put_array(self._file, "source", np.array([source for _, _, source in self._about], np.str_))


@contextmanager
def append_layouts(path: Path, classes: Sequence[str], mpp: float, provenance: Provenance) -> Iterator[LayoutWriter]:
    """Write a LayoutSet layout by layout: ``with append_layouts(…) as out: out.append(layout, {"seed": 3})``."""
    with create(path, "cellscaper/layouts", provenance) as file:
        writer = LayoutWriter(file, classes, mpp)
        yield writer
        writer._finish()


def layout_names(path: Path) -> list[str]:
    """The names of the LayoutSets in a file; empty if the file has a single set without a name."""
    with open_file(path, "cellscaper/layouts") as file, reading(path):
        return sorted(file["sets"]) if "sets" in file else []


def read_layouts(path: Path, name: str | None = None, select: slice = slice(None)) -> LayoutSet:
    """Read a LayoutSet; with ``select`` only those layouts' cells are read from disk.

    ``name`` picks one of several sets in the file; CellscaperError lists them if it is not there.
    """
    with open_file(path, "cellscaper/layouts") as file, reading(path):
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
            classes=tuple(json.loads(get_text(group, "classes"))),
            mpp=float(group.attrs["mpp"]),
            source=get_rows(group["source"], rows),
            origin=group["origin"][rows],
            columns={key: get_rows(group["columns"][key], rows) for key in group["columns"]},
        )


def array_names(path: Path) -> list[str]:
    """The names of the arrays of a file of layouts."""
    with open_file(path, "cellscaper/layouts") as file, reading(path):
        return sorted(file["arrays"]) if "arrays" in file else []


def read_array(path: Path, name: str) -> NDArray:
    """One of the arrays of a file of layouts; CellscaperError lists them if it is not there."""
    with open_file(path, "cellscaper/layouts") as file, reading(path):
        names = sorted(file["arrays"]) if "arrays" in file else []
        if name not in names:
            raise CellscaperError(f"{path} has no array {name!r}; it has {', '.join(names) or 'none'}")
        return file["arrays"][name][()]


# -- ragged arrays: images and density maps -----------------------------------------------------------------


class RaggedWriter:
    """Appends arrays of one dtype and any three-dimensional shapes to one HDF5 file, compressed as they come."""

    def __init__(self, file: h5py.File, dtype: str):
        self._values = file.create_dataset("values", (0,), dtype, maxshape=(None,), chunks=(1 << 16,), **COMPRESSED)
        self._file, self._shapes, self._end = file, list[tuple[int, ...]](), 0

    def append(self, array: NDArray) -> None:
        flat = np.ascontiguousarray(array, self._values.dtype).reshape(-1)
        reserve(self._file.id.get_vfd_handle(), flat.nbytes)
        self._values.resize((self._end + flat.size,))
        self._values[self._end :] = flat
        self._end += flat.size
        self._shapes.append(array.shape)

    def _finish(self) -> None:
        put_array(self._file, "shape", np.array(self._shapes, np.int64).reshape(-1, 3))


@contextmanager
def _write_ragged(path: Path, schema: str, dtype: str, provenance: Provenance) -> Iterator[RaggedWriter]:
    with create(path, schema, provenance) as file:
        writer = RaggedWriter(file, dtype)
        yield writer
        writer._finish()


class Ragged:
    """Lazy reader of a ragged file: ``len``, ``[i]`` → array, ``shape`` (L, 3). Close it or use ``with``."""

    def __init__(self, path: Path, schema: str):
        self.path, self._file = Path(path), open_file(path, schema)
        try:
            with reading(path):
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
        with reading(self.path):
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

    Values are per px² at 20× for any stride: each map of a class with cells integrates to one over the
    plane. ``scale`` is the training set's 0.99 quantile, which normalises the maps.
    """

    def __init__(self, path: Path):
        super().__init__(path, "cellscaper/density")

    def _read_index(self) -> None:
        super()._read_index()
        self.stride, self.scale = int(self._file.attrs["stride"]), float(self._file.attrs["scale"])


@contextmanager
def write_images(path: Path, provenance: Provenance) -> Iterator[RaggedWriter]:
    """Write an ImageSet: ``with write_images(path, record) as images: images.append(rgb)``."""
    with _write_ragged(path, "cellscaper/images", "uint8", provenance) as writer:
        yield writer


def write_density(
    path: Path, maps: list[NDArray[np.float32]], stride: int, scale: float, provenance: Provenance
) -> None:
    """Write a DensitySet (see there) with its grid ``stride`` in px and normalising ``scale``."""
    with create(path, "cellscaper/density", provenance) as file:
        file.attrs["stride"], file.attrs["scale"] = stride, scale
        writer = RaggedWriter(file, "float32")
        for one in maps:
            writer.append(one)
        writer._finish()
