"""A folder of images and dots as the reader `dots` takes it: places, columns, classes, scale and split are found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellscaper.datasets import discovery, dots, inspection
from cellscaper.datasets.dot_file import read_dots
from cellscaper.datasets.images import read_rgb
from cellscaper.datasets.inspection import Cells
from cellscaper.disk.formats.annotations import UNCLASSIFIED, format_of
from cellscaper.errors import CellscaperError
from cellscaper.run.progress import Progress

AT_20X = (0.4, 0.6)  # µm a pixel that need no rescaling


@dataclass(frozen=True)
class Folder:
    """What was found: the settings of the reader, the cells of each image of a split, and in words how.

    found      places of images and dots; ``columns``: how those of text tables were found
    mpp        µm a pixel of the files; ``mpp_how``, ``split_how``: how it and the split were found
    """

    found: discovery.Found
    columns: str
    settings: dots.Settings
    images: list[Cells]
    mpp: float
    mpp_how: str
    split_how: str


def read_folder(
    folder: Path,
    mpp: float | None,
    columns: dict[str, str] | list[str] | None,
    classes: dict[str, str | None] | None,
    all_train: bool = False,
) -> Folder:
    """Read all images and dots of a folder. ``mpp``, ``columns`` and ``classes`` are guessed where None.

    ``all_train``: without lists of a split, all images are training images.
    CellscaperError for files that cannot be read at all.
    """
    found = discovery.find_pairs(folder)
    sizes = []
    with Progress(len(found.files), "images") as progress:
        for image, _ in found.files:
            height, width = read_rgb(image).shape[:2]
            sizes.append((height, width))
            progress.update()
    files = [file for _, file in found.files]
    form = format_of(files[0])
    if form != "table":
        how = discovery.Columns((), f"{form} files")
    elif columns is not None:
        how = discovery.Columns(columns, "as given")
    else:
        how = discovery.find_columns(files, sizes)
    written = discovery.written_classes(files, how)
    mapping = classes or _name_classes(sorted(written, key=_by_number))
    unknown = sorted(set(written) - set(mapping))
    if unknown:
        raise CellscaperError(
            f"class {unknown[0]!r} of the files is not among --classes {', '.join(mapping)}; add {unknown[0]}=NAME, "
            f"or {unknown[0]}= to leave its cells out"
        )
    names = list(dict.fromkeys(one for one in mapping.values() if one is not None))
    split, split_how = discovery.find_split(folder, {image.stem for image, _ in found.files})
    if all_train and isinstance(split, dots.Fractions):
        split, split_how = dots.Fractions(train=1.0), "no lists: all images"
    settings = dots.Settings.model_validate({
        "path": str(folder), "images": found.images, "dots": found.dots, "columns": how.columns,
        "separator": how.separator, "header": how.header, "classes": names, "class_map": mapping, "mpp": dots.MPP,
        "split": split,
    })  # fmt: skip
    images = _read(settings, folder, found.files, sizes)
    scale, scale_how = _scale(mpp, images)
    settings = settings.model_copy(update={"mpp": scale, "rescale": not AT_20X[0] <= scale <= AT_20X[1]})
    return Folder(found, how.how, settings, images, scale, scale_how, split_how)


def _by_number(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() else (1 << 30, text)


def _name_classes(written: Sequence[str]) -> dict[str, str | None]:
    """A name for each class: numbers become class_1; cells without a class are left out if other cells have classes."""
    named: dict[str, str | None] = {one: f"class_{one}" if one.isdecimal() else one for one in written}
    if UNCLASSIFIED in named and len(named) > 1:
        named[UNCLASSIFIED] = None
    return named


def _read(
    settings: dots.Settings, folder: Path, files: Sequence[tuple[Path, Path]], sizes: Sequence[tuple[int, int]]
) -> list[Cells]:
    """The cells of each image as the reader `dots` has them, including cells outside the image."""
    form = dots.dot_format(settings, dots.classes(settings))
    chosen = dots.splits(settings, folder)
    images = []
    for (image, file), size in zip(files, sizes, strict=True):
        if image in chosen:
            one, _ = read_dots(file, form, image.name)
            images.append(
                Cells(one.points.astype(np.float64), one.labels.astype(np.int64), size, image.stem, chosen[image])
            )
    return images


def _scale(mpp: float | None, images: Sequence[Cells]) -> tuple[float, str]:
    if mpp is not None:
        return mpp, "given"
    guess, distance = inspection.guess_mpp(images)
    return guess, (
        f"guessed: the median distance to the nearest cell is {distance:.1f} px, in tissue about "
        f"{inspection.NEIGHBOUR:g} µm; give --mpp if you know it"
    )
