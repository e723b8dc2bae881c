"""Layouts written as they come: memory does not grow with their number."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cellscaper.disk.hdf5 import GrowingArray, Provenance, create, put_text
from cellscaper.disk.storage import array_names, layout_names, read_array, read_layouts
from cellscaper.layouts import Layout, LayoutSet

_EMPTY = LayoutSet.build([], (), 1.0)


class LayoutWriter:
    """Appends layouts to a group of an HDF5 file as they come; call ``finish`` at the end."""

    def __init__(self, group: h5py.Group, classes: Sequence[str], mpp: float):
        self._group, self._end = group, 0
        self._arrays: dict[str, GrowingArray] = {}
        self._columns: dict[str, GrowingArray] | None = None
        for name in ("points", "labels", "offsets", "size", "origin", "source"):
            self._arrays[name] = GrowingArray(group, name)
            self._arrays[name].extend(getattr(_EMPTY, name))
        put_text(group, "classes", json.dumps(list(classes)))
        group.attrs["mpp"] = float(mpp)

    def append(self, layout: Layout, columns: Mapping[str, Any]) -> None:
        """Add a layout; ``columns`` has its value in each free column, the same columns for all layouts."""
        put = self._arrays
        put["points"].extend(layout.points)
        put["labels"].extend(layout.labels)
        self._end += len(layout)
        put["offsets"].extend(np.array([self._end], np.int64))
        put["size"].extend(np.array([layout.size], np.int32))
        put["origin"].extend(np.array([layout.origin], np.int32))
        put["source"].extend(np.array([layout.source], np.str_))
        self._add_columns({name: np.asarray(value)[None] for name, value in columns.items()})

    def extend(self, layouts: LayoutSet) -> None:
        """Add the layouts of a set, with its columns."""
        for name in ("points", "labels", "size", "origin", "source"):
            self._arrays[name].extend(getattr(layouts, name))
        self._arrays["offsets"].extend(layouts.offsets[1:] + self._end)
        self._end += len(layouts.labels)
        self._add_columns(layouts.columns)

    def _add_columns(self, rows: Mapping[str, np.ndarray]) -> None:
        if self._columns is None:
            group = self._group.create_group("columns")
            self._columns = {name: GrowingArray(group, name) for name in rows}
        if rows.keys() != self._columns.keys():
            raise ValueError(f"columns {sorted(rows)} after {sorted(self._columns)}")
        for name, values in rows.items():
            self._columns[name].extend(values)

    def finish(self) -> None:
        """Write what is not in the file yet."""
        if self._columns is None:
            self._add_columns({})
        for array in (*self._arrays.values(), *(self._columns or {}).values()):
            array.finish()


@contextmanager
def append_layouts(path: Path, classes: Sequence[str], mpp: float, provenance: Provenance) -> Iterator[LayoutWriter]:
    """Write a LayoutSet layout by layout: ``with append_layouts(…) as out: out.append(layout, {"seed": 3})``."""
    with create(path, "cellscaper/layouts", provenance) as file:
        writer = LayoutWriter(file, classes, mpp)
        yield writer
        writer.finish()


def join_layouts(path: Path, files: Sequence[Path], provenance: Provenance) -> None:
    """Write the layouts of one or more files, one after the other, with the sets and columns of the first.

    Arrays belong to the first layouts: those of all files follow each other. One file at a time is in memory.
    """
    with create(path, "cellscaper/layouts", provenance) as file:
        for name in array_names(files[0]):
            array = GrowingArray(file.require_group("arrays"), name)
            for one in files:
                if name in array_names(one):
                    array.extend(read_array(one, name))
            array.finish()
        names: list[str | None] = [*layout_names(files[0])] or [None]
        for own in names:
            group = file if own is None else file.create_group(f"sets/{own}")
            head = read_layouts(files[0], own, slice(0, 0))
            writer = LayoutWriter(group, head.classes, head.mpp)
            for one in files:
                writer.extend(read_layouts(one, own))
            writer.finish()
