"""Files of cells or images that are not read: what they are, and what their program can save instead."""

from pathlib import Path
from typing import Any

from cellscaper.disk.formats.reading import suffix

_GEOJSON = "open them in QuPath and export GeoJSON (File → Export objects as GeoJSON)"
_TABLE = "save a table with the columns image, y, x and class"
_BY_ENDING = {  # ending → (what it is, what to do)
    ".ndpa": ("annotations of NDP.view", _TABLE),
    ".roi": ("a ROI of ImageJ", "measure the centroids (Analyze → Set Measurements) and save Results as CSV"),
    ".zip": ("a zip archive", "unpack it; of ROIs of ImageJ measure the centroids and save Results as CSV"),
    ".npy": ("an array of NumPy", "save images as PNG, label masks as TIFF, cells as CSV"),
    ".npz": ("arrays of NumPy", "save images as PNG, label masks as TIFF, cells as CSV"),
    ".dat": ("a file of TIAToolbox or another program", "save its cells as GeoJSON (AnnotationStore.to_geojson)"),
    ".db": ("a data base of TIAToolbox or another program", "save its cells as GeoJSON (AnnotationStore.to_geojson)"),
    ".sqlite": ("a data base", _TABLE),
    ".ndjson": ("JSON by lines", "save GeoJSON as one FeatureCollection"),
    ".jsonl": ("JSON by lines", "save GeoJSON as one FeatureCollection"),
    ".geojsonl": ("JSON by lines", "save GeoJSON as one FeatureCollection"),
    ".xlsx": ("a workbook of Excel", "save it as CSV UTF-8"),
    ".xls": ("a workbook of Excel", "save it as CSV UTF-8"),
    ".ods": ("a workbook", "save it as CSV in UTF-8"),
    ".parquet": ("a table of Parquet", "write it as CSV: pandas.read_parquet(…).to_csv(…)"),
    ".feather": ("a table of Feather", "write it as CSV: pandas.read_feather(…).to_csv(…)"),
    ".rds": ("an object of R", "write it as CSV: write.csv(as.data.frame(…))"),
    ".rdata": ("objects of R", "write it as CSV: write.csv(as.data.frame(…))"),
    ".pkl": ("a pickle of Python", "it could run any code and is not opened; write its cells as CSV"),
    ".pickle": ("a pickle of Python", "it could run any code and is not opened; write its cells as CSV"),
    ".h5": ("HDF5 of another program", "save images as PNG and cells as CSV"),
    ".hdf5": ("HDF5 of another program", "save images as PNG and cells as CSV"),
    ".qpdata": ("data of QuPath", "open the project and export GeoJSON (File → Export objects as GeoJSON)"),
    ".qpproj": ("a project of QuPath", "open it and export GeoJSON (File → Export objects as GeoJSON)"),
}  # fmt: skip
SLIDES = (
    ".svs", ".ndpi", ".mrxs", ".scn", ".czi", ".lif", ".nd2", ".vms", ".bif", ".qptiff", ".dcm", ".zarr", ".btf",
    ".vsi",
)  # fmt: skip
OF_SLIDES = "whole slides are not read; in QuPath export regions as PNG or TIFF, and the cells of each as GeoJSON"


def kind(path: Path) -> str | None:
    """What a file is that is not read and what to save instead, as words; None for an ending without a word."""
    ending = suffix(path)
    if ending in SLIDES:
        return f"a whole slide: {OF_SLIDES}"
    if ending == ".npy" and path.name.lower().endswith("_seg.npy"):
        return "a segmentation of Cellpose: save its masks as PNG or TIFF (File → Save masks)"
    if ending not in _BY_ENDING:
        return None
    what, todo = _BY_ENDING[ending]
    return f"{what}: {todo}"


def kind_of_json(data: Any) -> str | None:
    """What the value of a JSON file is that is not read; None for an unknown kind."""
    if isinstance(data, dict):
        if "_via_img_metadata" in data or _are(list(data.values()), {"filename", "regions"}):
            return f"annotations of the VGG Image Annotator (VIA): export COCO, or {_TABLE}"
        if {"assets", "tags"} <= set(data) or "videoSettings" in data:
            return "a project of VoTT: export a CSV or COCO"
        return None
    listed = data if isinstance(data, list) else []
    if _are(listed, {"image_id", "category_id"}):
        return "results of COCO without their images and categories: put them into one file with the images"
    if _are(listed, {"data"}) and any({"annotations", "predictions"} & set(one) for one in listed[:5]):
        return "tasks of Label Studio: export COCO, YOLO or CSV"
    if _are(listed, {"image"}) or _are(listed, {"External ID"}):
        return f"annotations by image of a labelling program: export COCO, or {_TABLE}"
    return None


def _are(values: list[Any], members: set[str]) -> bool:
    return bool(values) and all(isinstance(one, dict) and members <= set(one) for one in values[:5])
