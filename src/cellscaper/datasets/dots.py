"""Any folder of images with one file of dots each: text tables, GeoJSON (QuPath), HoVer-Net's JSON, ``.mat``.

All settings that are paths are relative to the dataset's folder. Examples:

    images      images/*.png
    dots        labels/{stem}.csv
    columns     [id, y, x, class]  or  {y: row, x: col, class: type}
    classes     [lymphocyte, tumour]
    class_map   {"1": lymphocyte, "2": tumour, "0": null}
    split       {train: train.txt, val: val.txt, test: test.txt}  or  {train: 0.7, val: 0.1, test: 0.2, seed: 0}
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from cellscaper.datasets.dot_file import FIELDS, DotFormat, read_dots, short
from cellscaper.datasets.download import local_folder
from cellscaper.datasets.images import read_rgb
from cellscaper.datasets.record import SPLITS, Record, check, class_names, random_split, read_text
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import Fraction, Positive
from cellscaper.run.settings import Settings as Base

MPP = 0.5  # µm a pixel of images and dots after `rescale`
_LEFT_OUT = -1


class Lists(Base):
    """Files that list the images of each split, one image name or stem a line."""

    train: str = Field(description="list of the training images")
    val: str = Field(description="list of the validation images")
    test: str = Field(description="list of the test images")


class Fractions(Base):
    """A split of the images at random."""

    train: Fraction = Field(0.0, description="fraction of the images for training")
    val: Fraction = Field(0.0, description="fraction of the images for validation")
    test: Fraction = Field(0.0, description="fraction of the images for test")
    seed: int = Field(0, description="seed of the split")


class Settings(Base):
    """Places of images and dots, and the form of the dot files."""

    path: str = Field(min_length=1, description="the dataset's folder")
    images: str = Field(description="glob of the images below the folder")
    dots: str = Field(
        pattern=r"\{stem\}",
        description="dot file of an image; {stem} is the image's file name without its last suffix",
    )
    format: Literal["auto", "table", "geojson", "hovernet", "mat"] = Field(
        "auto", description="format of the dot files; auto decides by their ending"
    )
    columns: tuple[str, ...] | dict[str, str] = Field(
        (),
        description="text tables: the columns in order (y, x, class and others, which are ignored), or their names "
        "in the header as {y: name, x: name, class: name}",
    )
    separator: Literal["auto", "comma", "blank", "tab"] = Field("auto", description="separator of text tables")
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
    if settings.mpp >= 100:
        raise CellscaperError(f"mpp {settings.mpp:g}: expected µm a pixel, for example 0.5 at 20×; correct it")
    return settings.mpp


def fetch(settings: Settings, destination: Path) -> Path:
    """The folder ``path`` of the settings; there is nothing to download."""
    return local_folder(
        settings.path, "set the dataset's path in the config to the folder that holds its images and dots"
    )


def files(settings: Settings, root: Path) -> list[Path]:
    """All existing files that :func:`read` reads, sorted."""
    split = settings.split
    lists = [root / name for name in (split.train, split.val, split.test)] if isinstance(split, Lists) else []
    try:
        images = list(splits(settings, root))
    except CellscaperError:  # read() reports it
        images = _images(settings, root)
    dots = [_dot_file(settings, root, image) for image in images]
    return sorted({path for path in [*lists, *images, *dots] if path.is_file()})


def read(settings: Settings, root: Path) -> Iterator[Record]:
    """One Record an image, sorted by file name; CellscaperError names the file and line of bad input."""
    form = dot_format(settings, classes(settings))
    for path, split in sorted(splits(settings, root).items()):
        file = _dot_file(settings, root, path)
        dots, entry = read_dots(file, form, path.name)
        record = Record(path.stem, split, dots.points, dots.labels, read_rgb(path))
        where = f"{file}{entry}"
        checked = check(record, lambda i, where=where, lines=dots.lines: f"{where}{lines[i]}")  # type: ignore[misc]
        yield _rescaled(checked, written_mpp(settings) / MPP) if settings.rescale else checked


def _rescaled(record: Record, factor: float) -> Record:
    """Image and dots ``factor`` times as large: 0.5 for an image of 0.25 µm a pixel."""
    height, width = (max(1, round(side * factor)) for side in record.image.shape[:2])
    shrink = Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC
    image = np.asarray(Image.fromarray(record.image).resize((width, height), shrink))
    exact = np.array([height, width]) / record.image.shape[:2]
    last = np.nextafter(np.array([height, width], np.float32), np.float32(0))
    points = ((record.points + 0.5) * exact - 0.5).astype(np.float32).clip(0, last)  # pixels' centres are whole numbers
    return Record(record.image_id, record.split, points, record.labels, image)


def dot_format(settings: Settings, names: tuple[str, ...]) -> DotFormat:
    """The form of the dot files of the settings; ``names`` are the ordered classes."""
    written: Mapping[str, str | None] = settings.class_map or {name: name for name in names}
    for value, name in written.items():
        if name is not None and name not in names:
            raise CellscaperError(f"class_map: {value!r} → {name!r}, which is none of the classes {', '.join(names)}")
    labels = {value: _LEFT_OUT if name is None else names.index(name) for value, name in written.items()}
    ending = Path(settings.dots).suffix.lower()
    others = (".geojson", ".json", ".mat", ".h5ad")
    is_table = settings.format == "table" or (settings.format == "auto" and ending not in others)
    if is_table and not settings.columns:
        raise CellscaperError("the dataset's settings lack 'columns'; a dataset of text tables needs them")
    return DotFormat(settings.columns or FIELDS, labels, settings.separator, settings.header, settings.format)


def _dot_file(settings: Settings, root: Path, image: Path) -> Path:
    return root / settings.dots.replace("{stem}", image.stem)


def _images(settings: Settings, root: Path) -> list[Path]:
    """All images, sorted; hidden files (macOS leaves ``._name.png``) are not images."""
    pattern = settings.images
    try:
        return sorted(p for p in root.glob(pattern) if not p.name.startswith(".") and p.is_file())
    except (ValueError, NotImplementedError) as error:
        raise CellscaperError(f"images {pattern!r}: expected a glob below the dataset's folder ({error})") from error


def splits(settings: Settings, root: Path) -> dict[Path, str]:
    """The split of each image that belongs to a split."""
    images: dict[str, Path] = {}
    for path in _images(settings, root):
        if path.stem in images:
            raise CellscaperError(f"images {images[path.stem]} and {path} have the same name; rename one")
        images[path.stem] = path
    if not images:
        raise CellscaperError(f"no image matches {root / settings.images}; check the dataset's path and images")
    split = settings.split
    if isinstance(split, Lists):
        return _listed({"train": split.train, "val": split.val, "test": split.test}, root, images)
    fractions = {"train": split.train, "val": split.val, "test": split.test}
    chosen = random_split(list(images), fractions, split.seed)
    return {images[stem]: name for stem, name in chosen.items()}


def _listed(split: Mapping[str, str], root: Path, images: Mapping[str, Path]) -> dict[Path, str]:
    """The splits by list files, with one image name or stem a line."""
    known = {**images, **{path.name: path for path in images.values()}}
    where: dict[Path, str] = {}
    chosen: dict[Path, str] = {}
    for name in SPLITS:
        file = root / split[name]
        for n, line in enumerate(read_text(file, f"{name} split").split("\n"), 1):
            if not (entry := line.strip()):
                continue
            path = known.get(entry)
            if path is None:
                raise CellscaperError(f"{file}:{n}: there is no image {short(entry)}; add it or delete the line")
            if path in chosen:
                raise CellscaperError(f"{file}:{n}: image {short(entry)} is also in {where[path]}; keep one")
            chosen[path], where[path] = name, f"{file}:{n}"
        if name not in chosen.values():
            raise CellscaperError(f"{file} lists no image; expected one image name a line")
    return chosen
