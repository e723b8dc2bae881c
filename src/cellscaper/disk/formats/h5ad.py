"""``.h5ad``: the layout of AnnData on disk, which anndata, scanpy and squidpy open. Written and read with h5py alone.

An observation is a cell: ``obsm/spatial`` (N, 2) float64 x, y px; ``obs/class`` and ``obs/image`` categorical. There
are no variables. ``uns/spatial/<image>/scalefactors/microns_per_pixel`` is the scale. ``uns/cellscaper`` holds head and
facts as JSON (:mod:`cellscaper.disk.formats.facts`), each layout with the name of its image, so that a file that
anndata has written again, with fewer cells or in another order, still has its layouts.

Reading takes the files of other programs, too: classes and images from the obs columns that name them, the scale from
``uns/spatial``, the size from the image there.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.files import atomic
from cellscaper.disk.formats.annotated import WITHOUT_PLACE, Annotated, said_scale
from cellscaper.disk.formats.class_names import UNCLASSIFIED
from cellscaper.disk.formats.counted import are, counted
from cellscaper.disk.formats.facts import Append, Cells, Columns, Given, Json, Say, assemble, dump, facts, head
from cellscaper.disk.formats.h5ad_spatial import SCALE, near, scale_of, size_of
from cellscaper.disk.formats.reading import parse, reading
from cellscaper.disk.hdf5 import COMPRESSED
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet

CLASSES = ("class", "classification", "cell_type", "celltype", "cell_types", "cell type", "annotation", "cluster",
           "leiden", "louvain")  # fmt: skip
IMAGES = ("image", "library_id", "image_id", "sample", "sample_id", "slide", "fov", "region")
_TEXT = h5py.string_dtype("utf-8")


# -- writing -----------------------------------------------------------------------------------------------


@contextmanager
def write(path: Path, classes: Sequence[str], mpp: float) -> Iterator[Append]:
    """Yield a function that appends one layout. The file is built in memory: a full disk is an ordinary error."""
    layouts: list[Layout] = []
    said: list[Json] = []

    def append(layout: Layout, columns: Columns) -> None:
        layouts.append(layout)
        said.append(facts(layout, columns))

    yield append
    images = image_names([layout.source for layout in layouts])
    own = {**head(classes, mpp), "layouts": [{**one, "image": name} for one, name in zip(said, images, strict=True)]}
    held = io.BytesIO()
    with h5py.File(held, "w", libver=("v110", "v110")) as file:  # with checksums
        _fill(file, layouts, images, classes, mpp, dump(own))
    with atomic(path) as partial:
        partial.write_bytes(held.getbuffer())


def image_names(sources: Sequence[str]) -> list[str]:
    """A name for the image of each layout: its source, if all differ and HDF5 can hold them, else its number."""
    fit = all(name and name != "." and "/" not in name and "\0" not in name for name in sources)
    return list(sources) if fit and len(set(sources)) == len(sources) else [str(i) for i in range(len(sources))]


def _fill(
    file: h5py.File, layouts: Sequence[Layout], images: Sequence[str], classes: Sequence[str], mpp: float, own: str
) -> None:
    lengths = [len(layout) for layout in layouts]
    n = sum(lengths)
    points = np.concatenate([np.zeros((0, 2)), *(layout.points.astype(np.float64) for layout in layouts)])
    labels = np.concatenate([np.zeros(0, np.int64), *(layout.labels.astype(np.int64) for layout in layouts)])
    _encoded(file, "anndata", "0.1.0")
    _array(file, "X", np.zeros((n, 0), np.float32))
    obs = _frame(file, "obs", n, ["class", "image"])
    _categorical(obs, "class", labels, classes)
    _categorical(obs, "image", np.repeat(np.arange(len(layouts)), lengths), images)
    _frame(file, "var", 0, [])
    for name in ("obsm", "varm", "obsp", "varp", "layers", "uns"):
        _group(file, name)
    _array(file["obsm"], "spatial", points[:, ::-1])
    spatial = _group(file["uns"], "spatial")
    for name in images:
        scale = _group(_group(spatial, name), "scalefactors")
        _encoded(scale.create_dataset(SCALE, data=float(mpp)), "numeric-scalar", "0.2.0")
    _encoded(file["uns"].create_dataset("cellscaper", data=own, dtype=_TEXT), "string", "0.2.0")


def _encoded(node: Any, kind: str, version: str) -> None:
    node.attrs["encoding-type"], node.attrs["encoding-version"] = kind, version


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    group = parent.create_group(name)
    _encoded(group, "dict", "0.1.0")
    return group


def _array(parent: h5py.Group, name: str, values: NDArray) -> None:
    _encoded(parent.create_dataset(name, data=values, **(COMPRESSED if values.size else {})), "array", "0.2.0")


def _texts(parent: h5py.Group, name: str, values: Sequence[str]) -> None:
    _encoded(parent.create_dataset(name, data=np.array(values, object), dtype=_TEXT), "string-array", "0.2.0")


def _frame(parent: h5py.Group, name: str, n: int, columns: Sequence[str]) -> h5py.Group:
    frame = parent.create_group(name)
    _encoded(frame, "dataframe", "0.2.0")
    frame.attrs["_index"] = "_index"
    frame.attrs.create("column-order", np.array(columns, object), dtype=_TEXT)
    _texts(frame, "_index", [str(i) for i in range(n)])
    return frame


def _categorical(frame: h5py.Group, name: str, codes: NDArray, categories: Sequence[str]) -> None:
    column = frame.create_group(name)
    _encoded(column, "categorical", "0.2.0")
    column.attrs["ordered"] = False
    small = np.int8 if len(categories) < 128 else np.int32
    _array(column, "codes", codes.astype(small))
    _texts(column, "categories", categories)


# -- reading -----------------------------------------------------------------------------------------------


def read(path: Path, given: Given, say: Say = lambda text: None) -> LayoutSet:
    """The layouts of an ``.h5ad`` file; CellscaperError for any other file, and where columns compete."""
    with _opened(path) as file:
        points = _points(file)
        own = _own(file)
        if own is not None:
            names = {one["image"]: i for i, one in enumerate(own["layouts"])}
            kinds, images = _texts_of(file, "class", len(points)), _texts_of(file, "image", len(points))
            strange = sorted(set(images) - set(names))
            if strange:
                raise ValueError(f"obs/image {strange[0][:40]!r} is none of the images in uns/cellscaper")
            rows = [names[name] for name in images]
            layouts: list[Any] | None = own["layouts"]
        else:
            kinds = _kinds(path, file, len(points))
            rows, layouts, given = _foreign(path, file, len(points), given)
        cells = Cells([], [], [])
        lost = 0
        for (x, y), kind, row in zip(points.tolist(), kinds, rows, strict=True):
            if own is None and (x != x or y != y):
                lost += 1
            else:
                cells.add(y, x, kind, row)
        if lost:
            say(f"{counted(lost, WITHOUT_PLACE)} {are(lost)} left out")
        return assemble(path, cells, own, layouts, given, say)


def read_cells(path: Path) -> Annotated:
    """All cells of a file; ``images`` is None for a file that names no image."""
    with _opened(path) as file:
        points = _points(file)
        head = _own(file)
        own = head is not None
        kinds = _texts_of(file, "class", len(points)) if own else _kinds(path, file, len(points))
        lost = np.isnan(points).any(axis=1)
        if not (np.abs(points[~lost]) < 1e9).all():
            raise ValueError("obsm/spatial holds no finite numbers")
        column = "image" if own else _image_column(path, file, len(points))
        images = None if column is None else _texts_of(file, column, len(points))
        value = head["mpp"] if own else scale_of(path, file, list(dict.fromkeys(images or ())))
        scale = None if value is None else said_scale(float(value), f"its µm a pixel, {float(value):g}")
        left = {WITHOUT_PLACE: int(lost.sum())} if lost.any() else {}
        cells = Annotated(points[:, ::-1], kinds, np.arange(len(kinds)), images, left=left, scale=scale)
        return cells.of(np.flatnonzero(~lost))


def observations(path: Path, wanted: Callable[[str], bool]) -> list[tuple[int, list[str]]]:
    """The columns of obs whose names are wanted, as rows of text with their numbers from 1: first the names."""
    with _opened(path) as file:
        n = len(_points(file))
        names = [name for name in _columns(file) if wanted(name)]
        columns = [_texts_of(file, name, n) for name in names]
        rows = zip(*columns, strict=True) if columns else ()
        return list(enumerate([names, *map(list, rows)], 1))


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    what = "an AnnData file with obsm/spatial and classes in obs"
    if not Path(path).exists():
        raise CellscaperError(f"{path} does not exist")
    with reading(path, what):
        try:
            with h5py.File(path, "r") as file:
                yield file
        except (OSError, RuntimeError) as error:  # h5py raises these for damaged files
            raise ValueError((str(error) or type(error).__name__).splitlines()[0]) from error


def _points(file: h5py.File) -> NDArray[np.float64]:
    """(N, 2) x, y."""
    obsm = file.get("obsm")
    if not isinstance(obsm, h5py.Group) or "spatial" not in obsm:
        raise ValueError(
            "it has no obsm/spatial; put x and y there: adata.obsm['spatial'] = adata.obs[['x', 'y']].values"
        )
    node = obsm["spatial"]
    if not isinstance(node, h5py.Dataset) or node.dtype.kind not in "iuf" or len(node.shape) != 2 or node.shape[1] < 2:
        raise ValueError("obsm/spatial is no array of N × 2 numbers")
    return node[:, :2].astype(np.float64)


def _own(file: h5py.File) -> Any:
    """What uns/cellscaper says, None where it is missing."""
    node = file.get("uns/cellscaper")
    if node is None:
        return None
    return parse(_text(node[()]))


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _texts_of(file: h5py.File, name: str, n: int) -> list[str]:
    """The values of a column of obs as text; UNCLASSIFIED where one is missing, or nan in another program's file."""
    obs = file["obs"]
    node = obs[name]
    old = obs.get("__categories")
    if isinstance(node, h5py.Group):
        codes, known = node["codes"][()], node["categories"][()]
    elif old is not None and name in old:  # anndata before 0.7.6
        codes, known = node[()], old[name][()]
    else:
        values = node[()]
        codes, known = np.arange(len(values)), values
    names = [_text(one) for one in np.asarray(known).reshape(-1).tolist()]
    if len(codes) != n or codes.dtype.kind not in "iu" or (codes.size and codes.max() >= len(names)):
        raise ValueError(f"obs/{name} does not have a category for each of {n} cells")
    if _own(file) is None:
        names = [UNCLASSIFIED if one in ("", "nan") else one for one in names]
    return [names[code] if code >= 0 else UNCLASSIFIED for code in codes.tolist()]


def _columns(file: h5py.File) -> list[str]:
    obs = file["obs"]
    if not isinstance(obs, h5py.Group):
        raise ValueError("obs is no table of anndata 0.7 or later; write it again with a newer anndata")
    return [name for name in obs if name not in ("__categories", _text(obs.attrs.get("_index", "")))]


def _kinds(path: Path, file: h5py.File, n: int) -> list[str]:
    """The classes of another program's file. ``class`` is taken before others; among others the only one."""
    columns = _columns(file)
    found = [name for name in columns if name.lower() in CLASSES]
    found = [name for name in found if name.lower() in CLASSES[:2]] or found
    if len(found) > 1:
        raise CellscaperError(f"{path}: {' and '.join(found)} of obs may hold the classes; name the right one 'class'")
    if not found:
        raise CellscaperError(
            f"{path}: obs has no column with classes (class, cell_type, …), but {', '.join(columns)[:120] or 'none'}; "
            "name the right one 'class'"
        )
    return _texts_of(file, found[0], n)


def _foreign(path: Path, file: h5py.File, n: int, given: Given) -> tuple[list[int], list[Any] | None, Given]:
    """The layout of each cell, and what another program's file says of the layouts and their scale."""
    spatial = file.get("uns/spatial")
    libraries = list(spatial) if isinstance(spatial, h5py.Group) else []
    column = _image_column(path, file, n)
    images = [libraries[0] if len(libraries) == 1 else path.stem] * n if column is None else _texts_of(file, column, n)
    names = list(dict.fromkeys(images))
    scale = scale_of(path, file, names)
    if scale is not None:
        given = replace(given, mpp=scale)
    sizes = [near(size_of(spatial[name]) if name in libraries else None, given.size) for name in names]
    number = {name: i for i, name in enumerate(names)}
    rows = [number[name] for name in images]
    if None in sizes or not names:
        return rows, None, given
    layouts: list[Any] = [
        {"size": [int(side) for side in size or ()], "source": name, "origin": [0, 0], "columns": {}}
        for name, size in zip(names, sizes, strict=True)
    ]
    return rows, layouts, given


def _image_column(path: Path, file: h5py.File, n: int) -> str | None:
    """The column of obs that names the images: ``image``, else the one of entries of uns/spatial, else the only one."""
    spatial = file.get("uns/spatial")
    libraries = set(spatial) if isinstance(spatial, h5py.Group) else set()
    columns = [name for name in _columns(file) if name.lower() in IMAGES]
    keyed = [name for name in columns if libraries and set(_texts_of(file, name, n)) <= libraries]
    columns = [name for name in columns if name.lower() == IMAGES[0]] or keyed or columns
    if len(columns) > 1:
        raise CellscaperError(f"{path}: {' and '.join(columns)} of obs may name the images; name the right one 'image'")
    return columns[0] if columns else None
