"""Any folder of images with files of dots: all formats of :mod:`cellscaper.disk.formats.annotations`.

All settings that are paths are relative to the dataset's folder. Examples:

    images      images/*.png  or  ["*/*.png", "*/*.tif"]
    dots        labels/{stem}.csv  or  "{1}/cells.csv"  or  annotations.json (one file for all images)
    columns     [id, y, x, class]  or  {y: row, x: col, class: type}
    classes     [lymphocyte, tumour]
    class_map   {"1": lymphocyte, "2": tumour, "0": null}
    split       {train: train.txt, val: val.txt, test: test.txt}  or  {train: train/, val: 0.1, test: test/}
                or  {train: "{stem}.csv", val: "{stem}.csv", test: "{stem}.csv"} (each file says its image's split)
                or  {train: 0.7, val: 0.1, test: 0.2, seed: 0}
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from cellscaper.datasets.dot_file import FIELDS, DotFormat, in_px, tidy_labels
from cellscaper.datasets.dot_sources import Sources
from cellscaper.datasets.download import local_folder
from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.datasets.images import read_rgb
from cellscaper.datasets.record import Record, check, class_names
from cellscaper.datasets.scale import of_microscope
from cellscaper.disk.formats.reading import suffix
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import Fraction, Positive
from cellscaper.run.settings import Settings as Base

MPP = 0.5  # µm a pixel of images and dots after `rescale`
Pattern = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
TABLES = (".csv", ".tsv", ".txt")  # endings of text tables
_LEFT_OUT = -1


class Lists(Base):
    """Files that list the images of each split, or folders that hold them (a glob with / at its end).

    Where the file of cells of each image says its split, in a column or a property: the pattern of these files.
    """

    train: str = Field(
        min_length=1,
        description="list of the training images, or their folder with / at its end, or the pattern of the files of "
        "cells if each says its image's split",
    )
    val: Annotated[str, Field(min_length=1)] | Share = Field(
        description="list or folder of the validation images, or the fraction of the training images taken for them"
    )
    test: str = Field(min_length=1, description="list or folder of the test images")


class Fractions(Base):
    """A split of the images at random."""

    train: Fraction = Field(0.0, description="fraction of the images for training")
    val: Fraction = Field(0.0, description="fraction of the images for validation")
    test: Fraction = Field(0.0, description="fraction of the images for test")
    seed: int = Field(0, description="seed of the split")


class Settings(Base):
    """Places of images and dots, and the form of the dot files."""

    path: str = Field(min_length=1, description="the dataset's folder")
    images: Pattern | tuple[Pattern, ...] = Field(description="glob of the images below the folder, or several")
    leave_out: tuple[Pattern, ...] = Field((), description="globs of pictures among them that are not read")
    dots: Pattern | tuple[Pattern, ...] = Field(
        description="dot file of an image, or several of which the first that exists is read; {stem} and {name} "
        "are the image's file name without and with its last suffix, {1} {2} … its folders; without any of these one "
        "file for all images",
    )
    format: Literal[
        "auto", "table", "geojson", "hovernet", "cellvit", "labelme", "coco", "mat", "mask", "outlines", "xml"
    ] = Field("auto", description="format of the dot files; auto decides by their ending, of .json by their contents")
    unit: Literal["px", "um", "fraction"] = Field(
        "px", description="unit of the places of cells: px, µm, or fractions of height and width"
    )
    columns: tuple[str, ...] | dict[str, str] = Field(
        (),
        description="text tables: the columns in order (y, x, class and others, which are ignored), or their names "
        "in the header as {y: name, x: name, class: name}; class may be missing. Also image (in one table for all), "
        "kind (of objects: tiles, TMA cores and annotations are no cells), and for boxes y_end, x_end or box_height, "
        "box_width",
    )
    separator: Literal["auto", "comma", "blank", "tab", "semicolon", "bar"] = Field(
        "auto", description="separator of text tables"
    )
    header: Literal["auto", True, False] = Field(
        "auto",
        description="text tables: whether the first line names the columns; auto: if its y and x are no numbers",
    )
    classes: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1,
        json_schema_extra={"uniqueItems": True},
        description="class names; the order is the channel order everywhere",
    )
    class_map: dict[str, str | None] = Field(
        {},
        description="class in the files → class name, or null to leave its cells out; empty: the files hold the names. "
        "Cells without a class are called unclassified",
    )
    mpp: Positive = Field(description="µm a pixel of the files")
    rescale: bool = Field(False, description="bring images and dots to 0.5 µm a pixel")
    split: Lists | Fractions = Field(
        description="{train: list.txt, val: …, test: …}, or fractions of the images with a seed",
        json_schema_extra={"expected": "a list file each, or fractions, of train, val, test"},
    )


def classes(settings: Settings) -> tuple[str, ...]:
    """The ordered class names of the settings."""
    return class_names(settings.classes)


def mpp(settings: Settings) -> float:
    """µm a pixel of the images that :func:`read` gives."""
    value = written_mpp(settings)
    return MPP if settings.rescale else value


def written_mpp(settings: Settings) -> float:
    """µm a pixel of the files."""
    return of_microscope(settings.mpp, "mpp")


def fetch(settings: Settings, destination: Path) -> Path:
    """The folder ``path`` of the settings; there is nothing to download."""
    return local_folder(
        settings.path, "set the dataset's path in the config to the folder that holds its images and dots"
    )


def files(settings: Settings, root: Path) -> list[Path]:
    """All existing files that :func:`read` reads, sorted."""
    return Sources(settings, dot_format(settings, classes(settings)), FolderFiles(root)).files()


def read(settings: Settings, root: Path) -> Iterator[Record]:
    """One Record an image, sorted by file name; CellscaperError names the file and line of bad input."""
    form = dot_format(settings, classes(settings))
    sources = Sources(settings, form, FolderFiles(root))
    scale = written_mpp(settings)
    for one in sources.chosen():
        dots, place = sources.dots(one)
        pixels = read_rgb(sources.path(one.image))
        dots = replace(dots, points=in_px(dots.points, settings.unit, scale, pixels.shape[:2]))
        record = Record(one.name, one.split, dots.points, dots.labels, pixels)
        checked = check(record, lambda i, place=place, lines=dots.lines: f"{place}{lines[i]}")  # type: ignore[misc]
        yield _rescaled(checked, scale / MPP) if settings.rescale else checked


def _rescaled(record: Record, factor: float) -> Record:
    """Image and dots ``factor`` times as large: 0.5 for an image of 0.25 µm a pixel."""
    image = rescaled_image(record.image, factor)
    points = rescaled_points(record.points, record.image.shape[:2], image.shape[:2])
    return Record(record.image_id, record.split, points, record.labels, image)


def rescaled_size(size: tuple[int, ...], factor: float) -> tuple[int, int]:
    """Height and width of an image that is made ``factor`` times as large."""
    height, width = (max(1, round(side * factor)) for side in size[:2])
    return height, width


def rescaled_image(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """An image (H, W, 3) ``factor`` times as large; a smaller one has the means of the pixels."""
    height, width = rescaled_size(image.shape, factor)
    shrink = Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(image).resize((width, height), shrink))


def rescaled_points(points: NDArray[np.floating], size: tuple[int, ...], new: tuple[int, ...]) -> NDArray[np.float32]:
    """Dots (N, 2) of an image of ``size`` (H, W) in the rescaled image of size ``new``."""
    exact = np.array(new) / size
    last = np.nextafter(np.array(new, np.float32), np.float32(0))
    return ((points + 0.5) * exact - 0.5).astype(np.float32).clip(0, last)  # pixels' centres are whole numbers


def dot_format(settings: Settings, names: tuple[str, ...]) -> DotFormat:
    """The form of the dot files of the settings; ``names`` are the ordered classes."""
    written: Mapping[str, str | None] = settings.class_map or {name: name for name in names}
    for value, name in written.items():
        if name is not None and name not in names:
            raise CellscaperError(f"class_map: {value!r} → {name!r}, which is none of the classes {', '.join(names)}")
    labels = {value: _LEFT_OUT if name is None else names.index(name) for value, name in written.items()}
    patterns = (settings.dots,) if isinstance(settings.dots, str) else settings.dots
    endings = {suffix(Path(pattern)) for pattern in patterns}
    is_table = settings.format == "table" or (settings.format == "auto" and endings & set(TABLES))
    if is_table and not settings.columns:
        raise CellscaperError("the dataset's settings lack 'columns'; a dataset of text tables needs them")
    return DotFormat(
        settings.columns or FIELDS, tidy_labels(labels), settings.separator, settings.header, settings.format
    )
