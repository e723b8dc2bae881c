"""BRCA-M2C: breast tissue of TCGA, 120 images at 20×, dots of three classes, fixed split of 80 / 10 / 30.

Abousamra et al., ICCV 2021; github.com/TopoXLab/Dataset-BRCA-M2C, BSD-3-Clause.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

import numpy as np
from pydantic import Field

from cellscaper.datasets import dots
from cellscaper.datasets.download import RemoteFile, fetch_files, local_folder
from cellscaper.datasets.record import Record
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import Settings as Base

CLASSES = ("lymphocyte", "epithelial", "stromal")
MPP = 0.5
URL = "https://raw.githubusercontent.com/TopoXLab/Dataset-BRCA-M2C/90e595410a9c5f0baa6b45aecf671bc87f576d1e"
MANUAL = (
    "download github.com/TopoXLab/Dataset-BRCA-M2C yourself and set datasets.brca_m2c.path (each data set of this "
    "reader has a path of its own) to the folder that holds images, labels and brca_ds_train.txt"
)
SUMS = Path(__file__).with_name("brca_m2c.sha256")

_LAYOUT = dots.Settings(
    path=".",  # not used: the root is an argument
    images="images/*.png",
    dots="labels/{stem}_gt_class_coords.txt",
    columns=("y", "x", "class"),
    separator="blank",
    header=False,
    classes=CLASSES,
    class_map={"1": "lymphocyte", "2": "epithelial", "3": "stromal"},
    mpp=MPP,
    split=dots.Lists(train="brca_ds_train.txt", val="brca_ds_val.txt", test="brca_ds_test.txt"),
)


class Fold(Base):
    """One of several folds of the training and validation images; the official test images are left out."""

    of: int = Field(4, ge=2, le=45, description="folds")
    fold: int = Field(ge=0, description="the fold whose images are test, from 0; all others are for training")
    seed: int = Field(0, description="seed of the shuffle before the images are dealt out")


class Folds(Base):
    """A split for choices that the official test images must not see."""

    folds: Fold = Field(description="number of folds and the one that is test")


class Few(Base):
    """Fewer training images than there are; validation and test images are the official ones."""

    train_images: int = Field(ge=1, le=80, description="training images that are kept")
    seed: int = Field(0, ge=0, description="seed of the order in which they are kept: 20 images hold the 10 of a seed")
    others: bool = Field(False, description="keep the other training images instead, for weights to start from")


class FewImages(Base):
    """A split for the question what helps those who have few annotated images."""

    few: Few = Field(description="number of training images that are kept, and the seed of their choice")


class Settings(Base):
    """Where BRCA-M2C is, and the split of its images."""

    path: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="folder with images/, labels/ and brca_ds_*.txt; null: download to the results"
    )
    url: str = Field(URL, description="address of the downloads")
    split: Literal["official"] | Folds | FewImages = Field(
        "official",
        description="official: 80 training, 10 validation, 30 test images; or folds of the first two; or fewer "
        "training images",
        json_schema_extra={"expected": "official, {folds: {of, fold, seed}} or {few: {train_images, seed, others}}"},
    )


def classes(settings: Settings) -> tuple[str, ...]:
    """The three classes; channel k of a layout is class k."""
    return CLASSES


def mpp(settings: Settings) -> float:
    """µm a pixel."""
    return MPP


def remote(url: str = URL) -> list[RemoteFile]:
    """The dataset's 244 files (images, labels, split lists, licence) below ``url``, with their checksums."""
    pairs = (line.split(maxsplit=1) for line in SUMS.read_text(encoding="ascii").splitlines())
    return [RemoteFile(url.rstrip("/") + "/" + quote(path), sha256, path) for sha256, path in pairs]


def fetch(settings: Settings, destination: Path) -> Path:
    """The dataset's folder: ``path`` of the settings, else ``destination`` after downloading from ``url``."""
    if settings.path is not None:
        return local_folder(settings.path, MANUAL)
    fetch_files(remote(settings.url), destination, MANUAL)
    return destination


def files(settings: Settings, root: Path) -> list[Path]:
    """All existing files that :func:`read` reads, sorted."""
    return dots.files(_LAYOUT, root)


def read(settings: Settings, root: Path) -> Iterator[Record]:
    """One Record an image, sorted by file name; CellscaperError names the file and line of bad input."""
    records = dots.read(_LAYOUT, root)
    if settings.split == "official":
        return records
    if isinstance(settings.split, FewImages):
        return _few(records, settings.split.few)
    return _folded(records, settings.split.folds)


def _few(records: Iterator[Record], chosen: Few) -> Iterator[Record]:
    """All but the training images that do not come first in an order by the seed, or all but those that do."""
    known = list(records)
    train = [record.image_id for record in known if record.split == "train"]
    if chosen.train_images > len(train) - chosen.others:
        raise CellscaperError(
            f"datasets: split.few.train_images = {chosen.train_images}: the folder has {len(train)} training images"
            f"{', and one must be left over' if chosen.others else ''}"
        )
    order = np.random.default_rng(chosen.seed).permutation(len(train))
    kept = {train[i] for i in order[: chosen.train_images].tolist()}
    return (record for record in known if record.split != "train" or (record.image_id in kept) != chosen.others)


def _folded(records: Iterator[Record], chosen: Fold) -> Iterator[Record]:
    if chosen.fold >= chosen.of:
        raise CellscaperError(
            f"datasets: split.folds.fold = {chosen.fold}: expected 0 to {chosen.of - 1}, one of {chosen.of} folds"
        )
    known = [record for record in records if record.split != "test"]
    place = np.random.default_rng(chosen.seed).permutation(len(known))
    for record, number in zip(known, place.tolist(), strict=True):
        yield replace(record, split="test" if number % chosen.of == chosen.fold else "train")
