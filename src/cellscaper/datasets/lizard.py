"""Lizard: colon tissue, 238 images at 20×, nuclei of six classes in one MATLAB file an image.

Graham et al., ICCV Workshops 2021; CC BY-NC-SA 4.0, so users download it themselves. The archives' outer folders
are optional::

    [lizard_images1/]Lizard_Images1/*.png   [lizard_images2/]Lizard_Images2/*.png
    [lizard_labels/]Lizard_Labels/Labels/*.mat   [lizard_labels/]Lizard_Labels/info.csv
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cellscaper.datasets.download import local_folder, unpack
from cellscaper.datasets.images import read_rgb
from cellscaper.datasets.record import Record, check, random_split, read_text
from cellscaper.disk.formats.counted import counted
from cellscaper.disk.formats.matlab import read_arrays
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import Fraction
from cellscaper.run.settings import Settings as Base
from cellscaper.views.pixels import pixels_of

CLASSES = ("neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective")
MPP = 0.5
MANUAL = (
    "download lizard_images1.zip, lizard_images2.zip and lizard_labels.zip from warwick.ac.uk/lizard-dataset yourself "
    "(CC BY-NC-SA 4.0, not for commercial use), unzip them into one folder and set datasets.lizard.path to it"
)
BY_HAND = MANUAL  # nothing downloads it, so a run without its path leaves it out
_SPLIT = {"1": "train", "2": "val", "3": "test"}
_KEYS = ("inst_map", "id", "class", "centroid")
_IMAGES = "[Ll]izard_[Ii]mages[12]/*.png"
_LABELS = "[Ll]izard_[Ll]abels/Labels/*.mat"
_TABLE = "[Ll]izard_[Ll]abels/info.csv"
_FOLDER_DEPTHS = ("", "*/", "*/*/")


class RandomSplit(Base):
    """Random images for test and validation; the others are for training."""

    test_fraction: Fraction = Field(0.2, description="fraction of the images for test (TC: 20 %)")
    val_fraction: Fraction = Field(0.1, description="fraction of the images for validation")
    seed: int = Field(0, description="seed of the split (TC does not give its own)")


class Random(Base):
    """A split at random."""

    random: RandomSplit = Field(description="the fractions and the seed")


class Settings(Base):
    """The folder of Lizard, and the split of its images."""

    path: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="folder that holds lizard_images1, lizard_images2 and lizard_labels, or their zip files"
    )
    split: Literal["info"] | Random = Field(
        Random(random=RandomSplit()),
        description="info: the dataset's own split; or random fractions of the images",
        json_schema_extra={"expected": "info or {random: {test_fraction, val_fraction, seed}}"},
    )


def classes(settings: Settings) -> tuple[str, ...]:
    """The six classes, in the order of the dataset's numbers 1 to 6."""
    return CLASSES


def mpp(settings: Settings) -> float:
    """µm a pixel."""
    return MPP


def remote() -> NoReturn:
    """There is no list to download: raises CellscaperError with the manual way."""
    raise CellscaperError(f"Lizard cannot be downloaded by the workflow; {MANUAL}")


def fetch(settings: Settings, destination: Path) -> Path:
    """The folder ``path`` of the settings; if it has the downloaded zip files, ``destination`` with them unpacked.

    CellscaperError with the manual way if ``path`` is not set.
    """
    root = remote() if settings.path is None else local_folder(settings.path, MANUAL)
    archives = sorted(root.glob("lizard_*.zip"))
    for archive in archives:
        unpacked = destination / archive.stem
        if not unpacked.exists():
            unpack(archive, unpacked)
    return destination if archives else root


def files(settings: Settings, root: Path) -> list[Path]:
    """All existing files that :func:`read` reads, sorted."""
    tables = _find(root, _TABLE) if settings.split == "info" else []
    return sorted([*_find(root, _IMAGES), *_find(root, _LABELS), *tables])


def read(settings: Settings, root: Path) -> Iterator[Record]:
    """One Record an image, sorted by name; CellscaperError names the file and nucleus of bad input."""
    images, labels = _by_stem(_find(root, _IMAGES)), _by_stem(_find(root, _LABELS))
    if not images or not labels:
        raise CellscaperError(f"{root} has {len(images)} Lizard images and {len(labels)} labels; {MANUAL}")
    if odd := sorted(images.keys() ^ labels.keys()):
        path, lacks = (images[odd[0]], "label") if odd[0] in images else (labels[odd[0]], "image")
        raise CellscaperError(f"{path} has no {lacks}, as {counted(len(odd), 'files')}; complete the download")
    split_of = _splits(settings, root, sorted(images))
    for stem in sorted(images):
        image = read_rgb(images[stem])
        ids, points, kinds = read_label(labels[stem], image.shape[:2])
        record = Record(stem, split_of[stem], points, kinds, image)
        yield check(record, lambda i, file=labels[stem], ids=ids: f"{file}: nucleus {ids[i]}")  # type: ignore[misc]


# -- labels --------------------------------------------------------------------------------------------------


def read_label(path: Path, size: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.uint8]]:
    """Ids (N,), points (N, 2) y, x px and labels (N,) of one ``.mat`` file for an image of ``size`` (H, W).

    Points less than 1 px outside (a centroid rounded over the border) are moved inside. CellscaperError for
    a damaged file, arrays that do not fit together or to the image, and centroids with swapped axes.
    """
    content = read_arrays(path, _KEYS)
    if lacks := set(_KEYS) - content.keys():
        raise CellscaperError(f"{path} has no {', '.join(sorted(lacks))}; expected a label file of Lizard")
    arrays = [np.asarray(content[key]) for key in _KEYS]
    if any(array.dtype.kind not in "iuf" or not np.isfinite(array).all() for array in arrays):
        raise CellscaperError(f"{path}: {', '.join(_KEYS)} must all be finite numbers; get the file again")
    inst_map, ids, kinds, centroid = arrays
    if inst_map.shape != tuple(size):
        raise CellscaperError(
            f"{path}: inst_map is {_by(inst_map.shape)}, its image {_by(size)} px (height × width); they must agree"
        )
    ids, kinds = ids.reshape(-1), kinds.reshape(-1)  # squeeze() would make N = 1 a scalar
    if not len(ids) == len(kinds) == centroid.size // 2 or (centroid.size and centroid.shape[1:] != (2,)):
        raise CellscaperError(
            f"{path}: {len(ids)} ids, {len(kinds)} classes and centroids of shape {_by(centroid.shape)} must agree"
        )
    if (wrong := ~np.isin(kinds, np.arange(1, len(CLASSES) + 1))).any():
        i = int(np.flatnonzero(wrong)[0])
        raise CellscaperError(f"{path}: nucleus {ids[i]} has class {kinds[i]}, expected 1 to {len(CLASSES)}")
    ids = ids.astype(np.int64)
    points = centroid.reshape(-1, 2)[:, ::-1].astype(np.float64)  # (x, y) → (y, x)
    _check_axes(path, inst_map, ids, points)
    return ids, _pull_inside(points, size), (kinds.astype(np.int64) - 1).astype(np.uint8)


def _check_axes(path: Path, inst_map: NDArray, ids: NDArray[np.int64], points: NDArray[np.float64]) -> None:
    """Most centroids lie on their own nucleus; if more do when x and y change places, the file is swapped."""
    straight, swapped = _hits(inst_map, ids, points), _hits(inst_map, ids, points[:, ::-1])
    if swapped > straight and 2 * swapped > len(ids):
        raise CellscaperError(
            f"{path}: {straight} of {len(ids)} centroids lie on their nucleus, {swapped} with x and y swapped; "
            "expected centroids as (x, y)"
        )


def _hits(inst_map: NDArray, ids: NDArray[np.int64], points: NDArray[np.float64]) -> int:
    """Number of points (N, 2) y, x that fall on a pixel of their own id; points outside the map do not count."""
    inside = ((points >= -0.5) & (points < np.array(inst_map.shape) - 0.5)).all(axis=1)
    y, x = pixels_of(points[inside], inst_map.shape).T
    return int((inst_map[y, x] == ids[inside]).sum())


def _pull_inside(points: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Points (N, 2) as float32; points less than 1 px outside ``size`` are moved to its border."""
    limit = np.array(size, np.float64)
    near = (points > -1) & (points < limit + 1)
    last = np.nextafter(limit.astype(np.float32), np.float32(0))
    with np.errstate(over="ignore"):  # a centroid far outside becomes infinite, and is refused like any other
        return np.where(near, points.clip(0, last), points).astype(np.float32)


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(str(n) for n in shape)


# -- folders and splits --------------------------------------------------------------------------------------


def _find(root: Path, pattern: str) -> list[Path]:
    """Files that match, at most two folders below ``root``; none if it is not a folder."""
    found = (path for depth in _FOLDER_DEPTHS for path in root.glob(depth + pattern))
    return [path for path in found if not path.name.startswith(".")]


def _by_stem(paths: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise CellscaperError(f"{found[path.stem]} and {path} are the same file twice; delete one")
        found[path.stem] = path
    return found


def _splits(settings: Settings, root: Path, stems: list[str]) -> dict[str, str]:
    if settings.split == "info":
        return _from_table(root, stems)
    chosen = settings.split.random
    test, val = chosen.test_fraction, chosen.val_fraction
    return random_split(stems, {"train": 1 - test - val, "val": val, "test": test}, chosen.seed)


def _from_table(root: Path, stems: list[str]) -> dict[str, str]:
    """The split of each image by info.csv. All fields stay text: the source of pannuke's images is ``None``."""
    tables = _find(root, _TABLE)
    if len(tables) != 1:
        raise CellscaperError(f"{root} has {len(tables)} Lizard_Labels/info.csv, expected one; {MANUAL}")
    rows = csv.DictReader(read_text(tables[0], "Lizard's split table").splitlines())
    if not {"Filename", "Split"} <= set(rows.fieldnames or ()):
        raise CellscaperError(f"{tables[0]}:1: expected the columns Filename, Source, Split")
    split_of: dict[str, str] = {}
    for row in rows:
        if row["Split"] not in _SPLIT:
            raise CellscaperError(f"{tables[0]}:{rows.line_num}: split {row['Split']!r}, expected 1, 2 or 3")
        split_of[row["Filename"]] = _SPLIT[row["Split"]]
    if odd := sorted(split_of.keys() ^ set(stems)):
        where = "has no image" if odd[0] in split_of else "is not in the table"
        raise CellscaperError(f"{tables[0]}: {odd[0]!r} {where}, as {len(odd)} names; complete the download")
    return split_of
