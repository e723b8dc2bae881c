"""Annotated cells in other programs' files: GeoJSON (QuPath), HoVer-Net's JSON, ``.mat`` of Lizard and HoVer-Net, h5ad.

Each reader gives the cells of one image with their classes as written in the file.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.formats import h5ad
from cellscaper.disk.formats.facts import Cells, number, parse, read_text, reading
from cellscaper.disk.formats.geojson_cells import add_features, features
from cellscaper.disk.formats.matlab import read_arrays
from cellscaper.errors import CellscaperError

FORMATS = ("table", "geojson", "hovernet", "mat", "h5ad")
UNCLASSIFIED = "unclassified"  # the class of cells without a class
_MAT_KEYS = {  # (classes, centroids x y) of the kinds of label files
    "Lizard": ("class", "centroid"),
    "HoVer-Net": ("inst_type", "inst_centroid"),
}


@dataclass(frozen=True, eq=False)
class Annotated:
    """points (N, 2) float64 y, x px; names (N) of their classes as written in the file."""

    points: NDArray[np.float64]
    names: list[str]


def format_of(path: Path) -> str:
    """The format of a dot file by its ending; of a ``.json`` file by its contents."""
    ending = path.suffix.lower()
    if ending == ".geojson":
        return "geojson"
    if ending in (".mat", ".h5ad"):
        return ending[1:]
    if ending != ".json":
        return "table"
    with reading(path, "JSON"):
        data = parse(read_text(path))
    return "geojson" if isinstance(data, list) or (isinstance(data, dict) and "type" in data) else "hovernet"


def read_annotated(path: Path, form: str) -> Annotated:
    """The cells of a file in one of FORMATS except ``table``; CellscaperError for any other file."""
    if form == "geojson":
        return read_geojson(path)
    if form == "hovernet":
        return read_hovernet(path)
    if form == "mat":
        return read_mat(path)
    if form == "h5ad":
        return Annotated(*h5ad.read_cells(path))
    raise CellscaperError(f"format {form!r} of {path}: expected {', '.join(FORMATS)}")


def read_geojson(path: Path) -> Annotated:
    """Points, and centroids of outlines; features without a classification are UNCLASSIFIED."""
    text = read_text(path)
    cells = Cells([], [], [])
    with reading(path, "GeoJSON of points or outlines"):
        add_features(cells, features(parse(text)), UNCLASSIFIED)
    return _annotated(cells)


def read_hovernet(path: Path) -> Annotated:
    """HoVer-Net's JSON: ``{"nuc": {id: {"centroid": [x, y], "type": 1, …}}}``, or the inner map alone."""
    text = read_text(path)
    cells = Cells([], [], [])
    with reading(path, "JSON of HoVer-Net"):
        data: Any = parse(text)
        nuclei = data.get("nuc", data)
        for name, nucleus in nuclei.items():
            try:
                x, y = nucleus["centroid"]
                kind = nucleus.get("type")
                cells.add(number(y, "y"), number(x, "x"), UNCLASSIFIED if kind is None else str(kind))
            except (TypeError, LookupError, AttributeError, ValueError) as error:
                raise ValueError(f"nucleus {str(name)[:40]}: {error}") from error
    return _annotated(cells)


def read_mat(path: Path) -> Annotated:
    """A MATLAB label file: ``class`` and ``centroid`` (Lizard) or ``inst_type`` and ``inst_centroid`` (HoVer-Net)."""
    wanted = [key for keys in _MAT_KEYS.values() for key in keys]
    try:
        content = read_arrays(path, wanted)
    except FileNotFoundError as error:
        raise CellscaperError(f"{path} does not exist") from error
    for kinds, centroids in _MAT_KEYS.values():
        if centroids in content:
            return _from_arrays(path, content.get(kinds), content[centroids], kinds, centroids)
    raise CellscaperError(f"{path} has no centroids; expected {' or '.join(k[1] for k in _MAT_KEYS.values())} (x, y)")


def _from_arrays(path: Path, kinds: Any, centroids: Any, kind_name: str, centroid_name: str) -> Annotated:
    with reading(path, "a label file"):
        places = np.asarray(centroids)
        if places.dtype.kind not in "iuf" or (places.size and places.shape[1:] != (2,)):
            raise ValueError(f"{centroid_name} has shape {places.shape}, expected N × 2 numbers")
        places = places.reshape(-1, 2).astype(np.float64)
        if not (np.abs(places) < 1e9).all():
            raise ValueError(f"{centroid_name} holds no finite numbers")
        if kinds is None:
            return Annotated(places[:, ::-1], [UNCLASSIFIED] * len(places))
        labels = np.asarray(kinds).reshape(-1)
        if labels.dtype.kind not in "iuf" or len(labels) != len(places) or (labels % 1 != 0).any():
            raise ValueError(f"{len(labels)} values in {kind_name}, expected a whole number for each of {len(places)}")
        return Annotated(places[:, ::-1], [str(int(label)) for label in labels])


def _annotated(cells: Cells) -> Annotated:
    return Annotated(np.array(cells.points, np.float64).reshape(-1, 2), cells.names)
