"""LayoutSets in the files of other programs, by the ending of the name: .h5, .geojson, .csv, .json (COCO), .h5ad
(AnnData), and .napari.csv for napari's points.

Reading any of these formats gives an equal LayoutSet (:mod:`cellscaper.disk.formats.facts`). A set without layouts
keeps its classes and pixel size, not its columns. Files are written layout by layout and appear under their name when
they are complete.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cellscaper.disk.formats import coco, geojson, h5ad, napari, other_kinds, table
from cellscaper.disk.formats.agreement import agreed
from cellscaper.disk.formats.annotations import READ, format_of
from cellscaper.disk.formats.facts import Append, Given, Say
from cellscaper.disk.formats.foreign import read_foreign
from cellscaper.disk.formats.label_mask import ENDINGS as MASKS
from cellscaper.disk.formats.reading import read_text, suffix
from cellscaper.disk.hdf5 import Provenance
from cellscaper.disk.layout_writer import append_layouts
from cellscaper.disk.storage import read_layouts
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet

ENDINGS = (".h5", ".geojson", ".csv", ".json", ".h5ad", ".napari.csv")


def ending(path: Path) -> str:
    """The format of a file; CellscaperError for an unknown one."""
    found = Path(path).suffix.lower()
    found = {".hdf5": ".h5"}.get(found, found)
    if Path(path).name.lower().endswith(".napari.csv"):
        return ".napari.csv"
    if found not in ENDINGS:
        expected = ", ".join(ENDINGS).replace(".json,", ".json (COCO),")
        raise CellscaperError(f"{path}: unknown ending {Path(path).suffix!r}, expected {expected}")
    return found


@contextmanager
def writer(
    path: Path, classes: Sequence[str], mpp: float, provenance: Provenance, images: bool = False
) -> Iterator[Append]:
    """Yield ``append(layout, columns)``; only HDF5 stores ``provenance``.

    ``images``: the layouts are the cells of images, and each line of CSV and each cell of GeoJSON names its image.
    COCO names the images anyway.
    """
    kind = ending(path)
    if kind == ".h5":
        with append_layouts(path, classes, mpp, provenance) as out:
            yield out.append
        return
    write: Callable = {
        ".geojson": geojson.write, ".csv": table.write, ".json": coco.write, ".h5ad": h5ad.write,
        ".napari.csv": napari.write,
    }[kind]  # fmt: skip
    named = {"images": True} if images and kind in (".geojson", ".csv") else {}
    with write(path, classes, mpp, **named) as append:
        yield append


def write(path: Path, layouts: LayoutSet, provenance: Provenance) -> None:
    """Write a whole LayoutSet."""
    with writer(path, layouts.classes, layouts.mpp, provenance) as append:
        for i, layout in enumerate(layouts):
            append(layout, {name: column[i] for name, column in layouts.columns.items()})


def read(path: Path, given: Given | None = None, name: str | None = None, say: Say = lambda text: None) -> LayoutSet:
    """Read a LayoutSet. ``given``: facts that other programs' files lack; ``name``: one of the sets of an HDF5 file.

    Facts that contradict those of the file are an error, and classes are named or refused
    (:mod:`cellscaper.disk.formats.agreement`).

    ``path`` may be a folder with all parts of a set (`disk.set_parts`), or a file of another program that
    :mod:`cellscaper.disk.formats.annotations` reads; ``say`` is told what is left out of such a file.
    CellscaperError for any other file.
    """
    given = given or Given()
    return agreed(Path(path), _read(Path(path), given, name, say), given, say)


def _read(path: Path, given: Given, name: str | None, say: Say) -> LayoutSet:
    kind = ".h5" if path.is_dir() else _read_as(path)
    if given.columns is not None and (kind != ".csv" or not _has_columns(path)):
        raise CellscaperError(
            f"{path} is no text table of another program; --columns names the columns of tables, leave it out"
        )
    if kind == ".h5":
        return read_layouts(path, name)
    if name is not None:
        raise CellscaperError(f"{path} holds one set of layouts, not {name!r}; named sets are in .h5 files")
    if kind == ".h5ad":
        return h5ad.read(path, given, say)
    if kind == ".csv" and napari.is_napari(path) and given.columns is None:
        return napari.read(path, given, say)
    found: Callable[[Path, Given, Say], LayoutSet] = {
        ".geojson": geojson.read, ".csv": table.read, ".json": coco.read
    }.get(kind, read_foreign)  # fmt: skip
    return found(path, given, say)


def _has_columns(path: Path) -> bool:
    """Whether a text file is a table of another program."""
    return format_of(path) == "table" and not table.is_own(read_text(path))


def _read_as(path: Path) -> str:
    """The format of a file to read; CellscaperError for an unknown one."""
    kind = {".hdf5": ".h5", ".tsv": ".csv", ".txt": ".csv"}.get(suffix(Path(path)), suffix(Path(path)))
    if kind not in (*ENDINGS, ".mat", ".xml", ".annotations", *MASKS):
        if (other := other_kinds.kind(Path(path))) is not None:
            raise CellscaperError(f"{path} is {other}")
        raise CellscaperError(
            f"{path}: unknown ending {Path(path).suffix!r}, expected .h5 or a file of another program: {READ}"
        )
    return kind
