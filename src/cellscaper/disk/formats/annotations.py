"""Annotated cells in other programs' files, by their contents: one reader a format, all with the same result.

table      text tables: CSV, TSV, semicolons, R, QuPath's measurements, Xenium (`table_cells`, `table_columns`)
geojson    QuPath and other GeoJSON (`geojson_cells`)
hovernet   JSON of HoVer-Net and HoVer-NeXt; cellvit: JSON of CellViT (`hovernet`)
labelme    JSON of LabelMe (`labelme`)
coco       COCO (`coco_cells`)
mat        ``.mat`` of Lizard and HoVer-Net
h5ad       AnnData (`h5ad`)
mask       label masks (`label_mask`)
outlines   lines of corners of Cellpose (``_cp_outlines.txt``, `outline_lines`) and of YOLO (`yolo_lines`)
xml        XML of ImageScope (MoNuSeg), HALO, ASAP, CVAT, Pascal VOC, ImageJ's Cell Counter (`xml_cells`)

All but masks may be packed with gzip.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cellscaper.disk.formats import h5ad
from cellscaper.disk.formats.annotated import WITHOUT_PLACE, Annotated, Gathered
from cellscaper.disk.formats.class_members import object_in
from cellscaper.disk.formats.class_names import UNCLASSIFIED
from cellscaper.disk.formats.coco_cells import is_coco, read_coco
from cellscaper.disk.formats.geojson_cells import features, read_features
from cellscaper.disk.formats.hovernet import is_cellvit, is_hovernet, read_cellvit, read_hovernet
from cellscaper.disk.formats.label_mask import ENDINGS as MASKS
from cellscaper.disk.formats.label_mask import read_mask
from cellscaper.disk.formats.labelme import is_labelme, read_labelme
from cellscaper.disk.formats.matlab import read_arrays
from cellscaper.disk.formats.other_kinds import kind_of_json
from cellscaper.disk.formats.outline_lines import are_outlines, read_outlines
from cellscaper.disk.formats.reading import found, parse, read_text, reading, suffix
from cellscaper.disk.formats.xml_cells import read_xml
from cellscaper.errors import CellscaperError

FORMATS = ("table", "geojson", "hovernet", "cellvit", "labelme", "coco", "mat", "h5ad", "mask", "outlines", "xml")
READ = (
    "text tables with the columns y, x and class; GeoJSON (QuPath); JSON of HoVer-Net, CellViT, LabelMe and COCO; "
    ".mat of Lizard and HoVer-Net; .h5ad (AnnData); label masks; outlines of Cellpose and YOLO; "
    "XML of ImageScope, HALO, ASAP, CVAT, Pascal VOC and ImageJ's Cell Counter"
)
_JSON: dict[str, tuple[str, Callable[[Any], Gathered]]] = {
    "geojson": ("GeoJSON of points or outlines", lambda data: read_features(features(data))),
    "hovernet": ("JSON of HoVer-Net", read_hovernet),
    "cellvit": ("JSON of CellViT", read_cellvit),
    "labelme": ("JSON of LabelMe", read_labelme),
    "coco": ("COCO with images, annotations and categories", read_coco),
}
_TEXT: dict[str, tuple[str, Callable[[str], Gathered]]] = {
    "outlines": ("a file of outlines", read_outlines),
    "xml": ("XML of ImageScope, HALO, ASAP, CVAT, Pascal VOC or ImageJ's Cell Counter", read_xml),
}
_MAT_KEYS = {  # (classes, centroids x y) of the kinds of label files
    "Lizard": ("class", "centroid"),
    "HoVer-Net": ("inst_type", "inst_centroid"),
}


def format_of(path: Path) -> str:
    """The format of a file of cells by its ending; of a ``.json`` file by its contents.

    CellscaperError for JSON of another kind, with the formats that are read.
    """
    ending = suffix(path)
    if ending == ".geojson":
        return "geojson"
    if ending in (".mat", ".h5ad", ".xml"):
        return ending[1:]
    if ending == ".annotations":  # of HALO
        return "xml"
    if ending in MASKS:
        return "mask"
    if ending == ".txt" and are_outlines(path):
        return "outlines"
    if ending != ".json":
        return "table"
    with reading(path, "JSON"):
        data = parse(read_text(path))
    return json_format(data, path)


def json_format(data: Any, path: Path) -> str:
    """The format of the value of a JSON file."""
    if is_coco(data):
        return "coco"
    if (other := kind_of_json(data)) is not None:
        raise CellscaperError(f"{path} holds {other}")
    if is_cellvit(data):
        return "cellvit"
    if is_labelme(data):
        return "labelme"
    if isinstance(data, list) and all(isinstance(one, dict | str) for one in data) and not _bare(data):
        return "geojson"
    if isinstance(data, dict) and data.get("type") in ("FeatureCollection", "Feature"):
        return "geojson"
    if is_hovernet(data) or data == {}:
        return "hovernet"
    raise CellscaperError(unknown_json(data, path))


def unknown_json(data: Any, path: Path) -> str:
    """The sentence about JSON of no known format."""
    shown = f"an object with {', '.join(map(str, list(data)[:6])) or 'no member'}" if isinstance(data, dict) else (
        f"a list of objects with {', '.join(map(str, list(data[0])[:6]))}" if _bare(data) else found(data)
    )  # fmt: skip
    return f"{path} is not JSON of a known format (it holds {shown[:120]}); these are read: {READ}"


def _bare(data: Any) -> bool:
    """Whether a JSON value is a list of objects that have no geometry: ``[{"x": 1, "y": 2}]``."""
    listed = [object_in(one) for one in data] if isinstance(data, list) else []
    return bool(listed) and all(isinstance(one, dict) and one and "geometry" not in one for one in listed)


def read_annotated(path: Path, form: str) -> Annotated:
    """The cells of a file in one of FORMATS except ``table``; CellscaperError for any other file."""
    if form in _JSON:
        what, read = _JSON[form]
        text = read_text(path)
        with reading(path, what):
            data = parse(text)
        if form == "geojson" and _bare(data):
            raise CellscaperError(unknown_json(data, path))
        with reading(path, what):
            return read(data).done()
    if form == "mat":
        return read_mat(path)
    if form == "h5ad":
        return h5ad.read_cells(path)
    if form in _TEXT:
        what, read = _TEXT[form]
        text = read_text(path)
        with reading(path, what):
            return read(text).done()
    if form == "mask":
        return read_mask(path).done()
    raise CellscaperError(f"format {form!r} of {path}: expected {', '.join(FORMATS)}")


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
        lost = np.isnan(places).any(axis=1)
        if not (np.abs(places[~lost]) < 1e9).all():
            raise ValueError(f"{centroid_name} holds no finite numbers")
        entries, kept = np.arange(len(places)), np.flatnonzero(~lost)
        left = {WITHOUT_PLACE: int(lost.sum())} if lost.any() else {}
        if kinds is None:
            return Annotated(places[:, ::-1], [UNCLASSIFIED] * len(places), entries, left=left).of(kept)
        labels = np.asarray(kinds).reshape(-1)
        if labels.dtype.kind not in "iuf" or len(labels) != len(places) or (labels % 1 != 0).any():
            raise ValueError(f"{len(labels)} values in {kind_name}, expected a whole number for each of {len(places)}")
        return Annotated(places[:, ::-1], [str(int(label)) for label in labels], entries, left=left).of(kept)
