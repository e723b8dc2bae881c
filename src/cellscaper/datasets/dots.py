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

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cellscaper.datasets.download import local_folder
from cellscaper.datasets.images import read_rgb
from cellscaper.datasets.record import SPLITS, Record, check, class_names, random_split, read_text
from cellscaper.errors import CellscaperError
from cellscaper.formats.annotations import FORMATS, format_of, read_annotated

FIELDS = ("y", "x", "class")
MPP = 0.5  # what `rescale` brings images and dots to
_LEFT_OUT = -1
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SEPARATORS = {"comma": ",", "tab": "\t", "blank": None}
_LARGEST = 1e9


# -- the text of one dot file --------------------------------------------------------------------------------


@dataclass(frozen=True)
class DotFormat:
    """How a dot file is written: see the module's settings.

    labels: class as written → index into the classes, negative for cells that are left out.
    """

    columns: Sequence[str] | Mapping[str, str]
    labels: Mapping[str, int]
    separator: str = "auto"
    header: bool | str = "auto"
    form: str = "auto"


@dataclass(frozen=True, eq=False)
class Dots:
    """points (N, 2) float32 y, x px; labels (N,) uint8; lines (N,) the line of each dot, from 1."""

    points: NDArray[np.float32]
    labels: NDArray[np.uint8]
    lines: NDArray[np.int64]


def parse_dots(text: str, form: DotFormat, file: Path | str) -> Dots:
    """The dots in a file's text; blank lines are skipped, no line at all means no cell.

    CellscaperError, with ``file:line``, for a wrong number of columns, a coordinate that is no number and a
    class that is not in ``form.labels``.
    """
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        return Dots(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), np.zeros(0, np.int64))
    fields = _splitter(form.separator, lines[0][1])
    first = fields(lines[0][1], f"{file}:{lines[0][0]}")
    at, width, has_header = _find_columns(first, form, f"{file}:{lines[0][0]}")
    points, labels, numbers = [], [], []
    for n, line in lines[has_header:]:
        place = f"{file}:{n}"
        row = fields(line, place)
        if len(row) != width:
            raise CellscaperError(f"{place}: {len(row)} columns in {_short(line)}, expected {width}; correct the line")
        y, x, name = (row[i] for i in at)
        if name not in form.labels:
            raise CellscaperError(
                f"{place}: class {_short(name)} is none of {', '.join(form.labels)}; correct the line or the class_map"
            )
        point = _number(y, "y", place), _number(x, "x", place)
        if form.labels[name] >= 0:
            points.append(point)
            labels.append(form.labels[name])
            numbers.append(n)
    return Dots(
        np.array(points, np.float64).reshape(-1, 2).astype(np.float32),
        np.array(labels, np.uint8),
        np.array(numbers, np.int64),
    )


def read_dots(file: Path, form: DotFormat, image: str) -> tuple[Dots, str]:
    """The dots of one file in any format, and what stands between its name and the number of an entry."""
    kind = form.form if form.form != "auto" else format_of(file) if file.is_file() else "table"
    if kind == "table":
        return parse_dots(read_text(file, f"dot file of {image},"), form, file), ":"
    found = read_annotated(file, kind)
    wrong = next((i for i, name in enumerate(found.names) if name not in form.labels), None)
    if wrong is not None:
        raise CellscaperError(
            f"{file}: cell {wrong} has class {_short(found.names[wrong])}, none of {', '.join(form.labels)}; "
            "correct the file or the class_map"
        )
    labels = np.array([form.labels[name] for name in found.names], np.int64)
    keep = labels >= 0
    points = found.points[keep].astype(np.float32)
    return Dots(points, labels[keep].astype(np.uint8), np.flatnonzero(keep)), ": cell "


def _separator(separator: str, first: str) -> str:
    """The name of a separator; ``auto`` goes by the first line."""
    if separator != "auto":
        return separator
    return "comma" if "," in first else "tab" if "\t" in first.strip() else "blank"


def _splitter(separator: str, first: str) -> Callable[[str, str], list[str]]:
    """A function (line, place) → fields; ``auto`` goes by the first line."""
    separator = _separator(separator, first)
    if separator not in _SEPARATORS:
        raise CellscaperError(f"separator {separator!r}: expected auto, {', '.join(_SEPARATORS)}")
    delimiter = _SEPARATORS[separator]

    def fields(line: str, place: str) -> list[str]:
        if delimiter is None:
            return line.split()
        try:
            return [field.strip() for field in next(csv.reader([line], delimiter=delimiter))]
        except (csv.Error, StopIteration) as error:
            raise CellscaperError(f"{place}: {_short(line)} is not a line of a {separator}-separated table") from error

    return fields


def _find_columns(first: list[str], form: DotFormat, place: str) -> tuple[tuple[int, ...], int, bool]:
    """Positions of y, x and class, the number of columns, and whether the first line is a header."""
    if form.header not in (True, False, "auto"):
        raise CellscaperError(f"header {form.header!r}: expected true, false or auto")
    names = form.columns if isinstance(form.columns, Mapping) else {field: field for field in FIELDS}
    missing = [field for field in FIELDS if field not in (names if names is form.columns else form.columns)]
    if missing:
        raise CellscaperError(f"columns {form.columns!r} lack {', '.join(missing)}; expected y, x and class")
    if isinstance(form.columns, Mapping):
        if form.header is False:
            raise CellscaperError(f"columns {form.columns!r} are header names, but header is false; list their order")
        absent = [name for name in names.values() if first.count(name) != 1]
        if absent:
            raise CellscaperError(f"{place}: the header has no single column {absent[0]!r}; it has {', '.join(first)}")
        return tuple(first.index(names[field]) for field in FIELDS), len(first), True
    columns = list(form.columns)
    at = tuple(columns.index(field) for field in FIELDS)
    has_header = form.header is True
    if form.header == "auto" and len(first) == len(columns):
        has_header = not any(_NUMBER.fullmatch(first[i]) for i in at[:2])
    if has_header:
        _check_order([name.lower() for name in first], columns, place)
    return at, len(columns), has_header


def _check_order(header: list[str], columns: list[str], place: str) -> None:
    """A header that names y and x must name them where the settings do."""
    for field in ("y", "x"):
        if field in header and header.index(field) != columns.index(field):
            raise CellscaperError(f"{place}: the header has {', '.join(header)}, columns say {', '.join(columns)}")


def _number(text: str, name: str, place: str) -> float:
    if not _NUMBER.fullmatch(text) or not abs(value := float(text)) < _LARGEST:
        raise CellscaperError(f"{place}: {name} is {_short(text)}, expected a number of px; correct the line")
    return value


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")


def number_in(text: str) -> bool:
    """Whether a field is a plain number."""
    return bool(_NUMBER.fullmatch(text))


def split_line(line: str, separator: str = "auto") -> tuple[str, list[str]]:
    """The separator of a line (found where ``auto``) and its fields."""
    separator = _separator(separator, line)
    return separator, _splitter(separator, line)(line, "line")


# -- a folder of them ----------------------------------------------------------------------------------------


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
                raise CellscaperError(f"{file}:{n}: there is no image {_short(entry)}; add it or delete the line")
            if path in chosen:
                raise CellscaperError(f"{file}:{n}: image {_short(entry)} is also in {where[path]}; keep one")
            chosen[path], where[path] = name, f"{file}:{n}"
        if name not in chosen.values():
            raise CellscaperError(f"{file} lists no image; expected one image name a line")
    return chosen
