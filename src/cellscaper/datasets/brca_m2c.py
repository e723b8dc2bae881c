"""BRCA-M2C: breast tissue of TCGA, 120 images at 20×, dots of three classes, fixed split of 80 / 10 / 30.

Abousamra et al., ICCV 2021; github.com/TopoXLab/Dataset-BRCA-M2C, BSD-3-Clause.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cellscaper.datasets import dots
from cellscaper.datasets.download import RemoteFile, fetch_files, local_folder
from cellscaper.datasets.record import Record

CLASSES = ("lymphocyte", "epithelial", "stromal")
MPP = 0.5
URL = "https://raw.githubusercontent.com/TopoXLab/Dataset-BRCA-M2C/90e595410a9c5f0baa6b45aecf671bc87f576d1e/"
MANUAL = (
    "download github.com/TopoXLab/Dataset-BRCA-M2C yourself and set datasets.brca_m2c.path to the folder "
    "that holds images, labels and brca_ds_train.txt"
)
SUMS = Path(__file__).with_name("brca_m2c.sha256")

_LAYOUT = {
    "images": "images/*.png",
    "dots": "labels/{stem}_gt_class_coords.txt",
    "columns": ["y", "x", "class"],
    "separator": "blank",
    "header": False,
    "classes": CLASSES,
    "class_map": {"1": "lymphocyte", "2": "epithelial", "3": "stromal"},
    "split": {split: f"brca_ds_{split}.txt" for split in ("train", "val", "test")},
}


def classes(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The three classes; channel k of a layout is class k."""
    return CLASSES


def mpp(settings: Mapping[str, Any]) -> float:
    """µm a pixel."""
    return MPP


def remote(url: str = URL) -> list[RemoteFile]:
    """The dataset's 244 files (images, labels, split lists, licence) below ``url``, with their checksums."""
    pairs = (line.split(maxsplit=1) for line in SUMS.read_text(encoding="ascii").splitlines())
    return [RemoteFile(url.rstrip("/") + "/" + quote(path), sha256, path) for sha256, path in pairs]


def fetch(settings: Mapping[str, Any], destination: Path) -> Path:
    """The dataset's folder: ``path`` of the settings, else ``destination`` after downloading from ``url``."""
    folder = local_folder(settings, MANUAL)
    if folder is None:
        fetch_files(remote(settings.get("url") or URL), destination, MANUAL)
    return folder or destination


def files(settings: Mapping[str, Any], root: Path) -> list[Path]:
    """All files that :func:`read` reads, sorted, as far as they exist."""
    return dots.files(_LAYOUT, root)


def read(settings: Mapping[str, Any], root: Path) -> Iterator[Record]:
    """One Record an image, sorted by file name; CellscaperError names the file and line of bad input."""
    return dots.read(_LAYOUT, root)
