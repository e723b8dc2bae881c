"""Any folder of images with one file of dots each: text tables, GeoJSON (QuPath), HoVer-Net's JSON, ``.mat``.

Settings (``datasets.<name>`` in the config), paths relative to the dataset's folder:

    path        the folder
    images      glob of the images                                   images/*.png
    dots        the dot file of an image; {stem} is the image's
                file name without its last suffix                    labels/{stem}.csv
    format      auto (default: by the file's ending), table, geojson, hovernet or mat; the next three are for tables
    columns     the columns in order, others than y, x and class     [id, y, x, class]
                are ignored; or their names in the header            {y: row, x: col, class: type}
    separator   auto (default), comma, tab or blank
    header      true, false or auto (default): a first line whose y and x are not numbers
    classes     ordered class names                                  [lymphocyte, tumour]
    class_map   class as written in the file → class name, null to leave such cells out; default: the names themselves
                (cells without a class are called unclassified)
    mpp         µm a pixel
    rescale     true: images and dots of another scale are brought to 0.5 µm a pixel (default false)
    split       lists of image names or stems, one a line            {train: train.txt, val: …, test: …}
                or fractions                                         {train: 0.7, val: 0.1, test: 0.2, seed: 0}
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cellscaper.datasets.dot_file import FIELDS, DotFormat, read_dots, short
from cellscaper.datasets.download import local_folder
from cellscaper.datasets.images import read_rgb
from cellscaper.datasets.record import SPLITS, Record, check, class_names, random_split, read_text
from cellscaper.disk.formats.annotations import FORMATS
from cellscaper.errors import CellscaperError

MPP = 0.5  # what `rescale` brings images and dots to
_LEFT_OUT = -1


def classes(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The ordered class names of the settings."""
    return class_names(_setting(settings, "classes"))


def mpp(settings: Mapping[str, Any]) -> float:
    """µm a pixel of what :func:`read` gives."""
    value = written_mpp(settings)
    return MPP if settings.get("rescale") else value


def written_mpp(settings: Mapping[str, Any]) -> float:
    """µm a pixel of the files."""
    value = float(_setting(settings, "mpp"))
    if not 0 < value < 100:
        raise CellscaperError(f"mpp {value:g}: expected µm a pixel, for example 0.5 at 20×")
    return value


def fetch(settings: Mapping[str, Any], destination: Path) -> Path:
    """The folder ``path`` of the settings; there is nothing to download."""
    how = "set the dataset's path in the config to the folder that holds its images and dots"
    folder = local_folder(settings, how)
    if folder is None:
        raise CellscaperError(f"a dots dataset cannot be downloaded; {how}")
    return folder


def files(settings: Mapping[str, Any], root: Path) -> list[Path]:
    """All files that :func:`read` reads, sorted, as far as they exist."""
    lists = [root / name for name in settings.get("split", {}).values() if isinstance(name, str)]
    try:
        images = list(splits(settings, root))
    except CellscaperError:  # read() is the one to complain
        images = _images(settings, root)
    dots = [_dot_file(settings, root, image) for image in images]
    return sorted({path for path in [*lists, *images, *dots] if path.is_file()})


def read(settings: Mapping[str, Any], root: Path) -> Iterator[Record]:
    """One Record an image, sorted by file name; CellscaperError names the file and line of bad input."""
    form = dot_format(settings, classes(settings))
    for path, split in sorted(splits(settings, root).items()):
        file = _dot_file(settings, root, path)
        dots, entry = read_dots(file, form, path.name)
        record = Record(path.stem, split, dots.points, dots.labels, read_rgb(path))
        where = f"{file}{entry}"
        checked = check(record, lambda i, where=where, lines=dots.lines: f"{where}{lines[i]}")  # type: ignore[misc]
        yield _rescaled(checked, written_mpp(settings) / MPP) if settings.get("rescale") else checked


def _rescaled(record: Record, factor: float) -> Record:
    """Image and dots ``factor`` times as large: 0.5 for an image of 0.25 µm a pixel."""
    height, width = (max(1, round(side * factor)) for side in record.image.shape[:2])
    shrink = Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC
    image = np.asarray(Image.fromarray(record.image).resize((width, height), shrink))
    exact = np.array([height, width]) / record.image.shape[:2]
    last = np.nextafter(np.array([height, width], np.float32), np.float32(0))
    points = np.minimum((record.points * exact).astype(np.float32), last)
    return Record(record.image_id, record.split, points, record.labels, image)


def _setting(settings: Mapping[str, Any], key: str) -> Any:
    if key not in settings:
        raise CellscaperError(f"the dataset's settings lack {key!r}; a dots dataset needs it")
    return settings[key]


def dot_format(settings: Mapping[str, Any], names: tuple[str, ...]) -> DotFormat:
    """How the dot files of the settings are written; ``names`` are the ordered classes."""
    written = settings.get("class_map") or {name: name for name in names}
    for value, name in written.items():
        if name is not None and name not in names:
            raise CellscaperError(f"class_map: {value!r} → {name!r}, which is none of the classes {', '.join(names)}")
    labels = {str(value): _LEFT_OUT if name is None else names.index(name) for value, name in written.items()}
    form = settings.get("format", "auto")
    if form not in ("auto", *FORMATS):
        raise CellscaperError(f"format {form!r}: expected auto, {', '.join(FORMATS)}")
    ending = Path(str(_setting(settings, "dots"))).suffix.lower()
    needs = form == "table" or (form == "auto" and ending not in (".geojson", ".json", ".mat"))
    columns = _setting(settings, "columns") if needs else settings.get("columns", list(FIELDS))
    return DotFormat(columns, labels, settings.get("separator", "auto"), settings.get("header", "auto"), form)


def _dot_file(settings: Mapping[str, Any], root: Path, image: Path) -> Path:
    pattern = str(_setting(settings, "dots"))
    if "{stem}" not in pattern:
        raise CellscaperError(f"dots {pattern!r}: expected a path with {{stem}} for the image's name")
    return root / pattern.replace("{stem}", image.stem)


def _images(settings: Mapping[str, Any], root: Path) -> list[Path]:
    """All images, sorted; hidden files (macOS leaves ``._name.png``) are not images."""
    pattern = str(_setting(settings, "images"))
    try:
        return sorted(p for p in root.glob(pattern) if not p.name.startswith(".") and p.is_file())
    except (ValueError, NotImplementedError) as error:
        raise CellscaperError(f"images {pattern!r}: expected a glob below the dataset's folder ({error})") from error


def splits(settings: Mapping[str, Any], root: Path) -> dict[Path, str]:
    """The split of each image that belongs to one."""
    images: dict[str, Path] = {}
    for path in _images(settings, root):
        if path.stem in images:
            raise CellscaperError(f"images {images[path.stem]} and {path} have the same name; rename one")
        images[path.stem] = path
    if not images:
        raise CellscaperError(f"no image matches {root / str(settings['images'])}; check the dataset's path and images")
    split = _setting(settings, "split")
    if set(SPLITS) <= set(split) and all(isinstance(split[name], str) for name in SPLITS):
        return _listed(split, root, images)
    if not set(split) <= {*SPLITS, "seed"} or any(isinstance(value, str) for value in split.values()):
        raise CellscaperError(f"split {dict(split)}: expected a list file each, or fractions, of {', '.join(SPLITS)}")
    chosen = random_split(list(images), split, int(split.get("seed", 0)))
    return {images[stem]: name for stem, name in chosen.items()}


def _listed(split: Mapping[str, str], root: Path, images: Mapping[str, Path]) -> dict[Path, str]:
    """The splits that list files give, one image name or stem a line."""
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
