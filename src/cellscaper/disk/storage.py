"""Layouts, images and density maps between stages. Only this module writes HDF5 (see `disk.hdf5`)."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.hdf5 import (
    COMPRESSED,
    GrowingArray,
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
from cellscaper.disk.set_parts import part_files
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet

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


def layout_names(path: Path) -> list[str]:
    """The names of the LayoutSets in a file; empty if the file has a single set without a name."""
    with open_file(path, "cellscaper/layouts") as file, reading(path):
        return sorted(file["sets"]) if "sets" in file else []


def read_layouts(path: Path, name: str | None = None, select: slice = slice(None)) -> LayoutSet:
    """Read a LayoutSet; with ``select`` only those layouts' cells are read from disk.

    ``path`` is a file, or a folder with all parts of a set (`disk.set_parts`). ``name`` picks one of several sets in
    the file; CellscaperError lists them if it is not there.
    """
    files = part_files(Path(path), "cellscaper/layouts")
    if len(files) == 1:
        return _read_layouts(files[0], name, select)
    numbers = [number_of_layouts(file, name) for file in files]
    starts = np.concatenate([[0], np.cumsum(numbers)]).tolist()
    start, stop, step = select.indices(starts[-1])
    if step != 1:
        raise CellscaperError(f"read_layouts selects with step 1, not {step}")
    chosen = [slice(max(start - first, 0), max(stop - first, 0)) for first in starts[:-1]]
    found = [_read_layouts(file, name, rows) for file, rows in zip(files, chosen, strict=True)]
    for file, one in zip(files, found, strict=True):
        if (one.classes, one.mpp) != (found[0].classes, found[0].mpp):
            raise CellscaperError(f"{file} has the classes {one.classes}, {files[0]} has {found[0].classes}")
    return LayoutSet.joined(found)


def _read_layouts(path: Path, name: str | None, select: slice) -> LayoutSet:
    with open_file(path, "cellscaper/layouts") as file, reading(path):
        group = _group(path, file, name)
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


def _group(path: Path, file: h5py.File, name: str | None) -> h5py.Group:
    """The group of a set; CellscaperError lists the sets of the file if ``name`` is none of them."""
    if name is None and "sets" not in file:
        return file
    names = sorted(file["sets"]) if "sets" in file else []
    if name not in names:
        there = ", ".join(names) or "a single set without a name: leave the name out"
        raise CellscaperError(f"{path} has no layouts {name!r}; it has {there}")
    return file["sets"][name]


def number_of_layouts(path: Path, name: str | None = None) -> int:
    """The number of layouts in a set of a file."""
    with open_file(path, "cellscaper/layouts") as file, reading(path):
        return len(_group(path, file, name)["size"])


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
        self._file, self._shapes, self._end = file, GrowingArray(file, "shape"), 0
        self._shapes.extend(np.zeros((0, 3), np.int64))

    def append(self, array: NDArray) -> None:
        flat = np.ascontiguousarray(array, self._values.dtype).reshape(-1)
        reserve(self._file.id.get_vfd_handle(), flat.nbytes)
        self._values.resize((self._end + flat.size,))
        self._values[self._end :] = flat
        self._end += flat.size
        self._shapes.extend(np.array([array.shape], np.int64))

    def _finish(self) -> None:
        self._shapes.finish()


@contextmanager
def _write_ragged(path: Path, schema: str, dtype: str, provenance: Provenance) -> Iterator[RaggedWriter]:
    with create(path, schema, provenance) as file:
        writer = RaggedWriter(file, dtype)
        yield writer
        writer._finish()


class Ragged:
    """Lazy reader of a ragged file: ``len``, ``[i]`` → array, ``shape`` (L, 3). Close it or use ``with``.

    ``path`` may be a folder with all parts of a set (`disk.set_parts`); one of them is open at a time.
    """

    def __init__(self, path: Path, schema: str):
        self._schema, self._files = schema, part_files(Path(path), schema)
        self._number, self._file = 0, open_file(self._files[0], schema)
        self._firsts, shapes = [0], list[NDArray[np.int64]]()  # the first array of each part
        try:
            for number, file in enumerate(self._files):
                with reading(file):
                    shapes.append(self._read_index(self._part(number)))
                self._firsts.append(self._firsts[-1] + len(shapes[-1]))
        except BaseException:
            self.close()
            raise
        self.shape: NDArray[np.int64] = np.concatenate(shapes)
        self._offsets = np.concatenate([[0], np.cumsum(self.shape.prod(axis=1))]).astype(np.int64)

    def _read_index(self, file: h5py.File) -> NDArray[np.int64]:
        """The shapes (L, 3) of one file."""
        shape = file["shape"][()]
        total = int(shape.prod(axis=1).sum())
        if total != file["values"].shape[0]:
            raise ValueError(f"{file['values'].shape[0]} values, shapes add up to {total}")
        return shape

    def _part(self, number: int) -> h5py.File:
        """The open file of a part."""
        if number != self._number:
            self._file.close()
            self._number, self._file = number, open_file(self._files[number], self._schema)
        return self._file

    def __len__(self) -> int:
        return len(self.shape)

    def __getitem__(self, i: int) -> NDArray:
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        i %= len(self)
        number = int(np.searchsorted(self._firsts, i, side="right")) - 1
        start, stop = self._offsets[i : i + 2] - self._offsets[self._firsts[number]]
        file = self._part(number)
        with reading(self._files[number]):
            return file["values"][start:stop].reshape(self.shape[i])

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

    def _read_index(self, file: h5py.File) -> NDArray[np.int64]:
        self.stride, self.scale = int(file.attrs["stride"]), float(file.attrs["scale"])
        return super()._read_index(file)


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
