"""The output of every dataset reader: one annotated, checked image; and random splits of images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.formats.counted import counted
from cellscaper.errors import CellscaperError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Record:
    """One image and its cells.

    image_id  unique in its dataset: the image's file name without the last suffix
    split     train, val or test
    points    (N, 2) float32, y then x, px; 0 ≤ y < H, 0 ≤ x < W
    labels    (N,) uint8, index into the dataset's classes
    image     (H, W, 3) uint8 RGB
    """

    image_id: str
    split: str
    points: NDArray[np.float32]
    labels: NDArray[np.uint8]
    image: NDArray[np.uint8]


def check(record: Record, place: Callable[[int], str]) -> Record:
    """The record itself, if all its dots lie inside its image.

    ``place(i)`` is the place where dot i was read (``file:line``); it begins the message of the CellscaperError.
    """
    height, width = record.image.shape[:2]
    outside = np.flatnonzero(~((record.points >= 0) & (record.points < (height, width))).all(axis=1))
    if outside.size:
        i = int(outside[0])
        y, x = record.points[i]
        raise CellscaperError(
            f"{place(i)}: dot y={y:g} x={x:g} lies outside its image of {height}×{width} px (height × width), "
            f"{outside.size} of {counted(len(record.points), 'dots')} {'does' if outside.size == 1 else 'do'}; "
            "correct the file or the order of y and x"
        )
    return record


def class_names(names: Sequence[str]) -> tuple[str, ...]:
    """Ordered class names as a tuple; CellscaperError for no name, a repeated name or over 256 names."""
    classes = tuple(str(name) for name in names)
    if not 1 <= len(classes) <= 256 or len(set(classes)) != len(classes):
        raise CellscaperError(f"classes {list(classes)}: expected 1 to 256 different names in the config")
    return classes


def random_split(ids: Sequence[str], fractions: Mapping[str, float], seed: int) -> dict[str, str]:
    """A split of each id, at random: ``fractions`` of train, val and test, which add up to 1.

    The same ids (in any order) and seed give the same split. A split is empty only if its fraction is 0;
    CellscaperError if there are too few images for that.
    """
    shares = {split: float(fractions.get(split, 0)) for split in SPLITS}
    if not all(0 <= share <= 1 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        raise CellscaperError(f"split fractions {shares}: expected numbers from 0 to 1 that add up to 1")
    number = {split: round(shares[split] * len(ids)) for split in ("val", "test")}
    number["train"] = len(ids) - number["val"] - number["test"]
    for split in SPLITS:
        if shares[split] > 0 and number[split] < 1:
            raise CellscaperError(
                f"split fraction {split} = {shares[split]:g} of {counted(len(ids), 'images')} is no image; "
                "add images or change the dataset's `split` (`cellscaper check` takes lists of image names: train.txt, "
                "val.txt, test.txt in the folder)"
            )
    names = [split for split in SPLITS for _ in range(number[split])]
    order = np.random.default_rng(seed).permutation(len(ids))
    return {name: names[place] for name, place in zip(sorted(ids), order, strict=True)}


def read_text(path: Path, what: str) -> str:
    """Text of a UTF-8 file (with or without byte order mark, any line ends); CellscaperError if unreadable."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise CellscaperError(f"{what} {path} does not exist; add it or correct the dataset's settings") from error
    except UnicodeDecodeError as error:
        raise CellscaperError(f"{what} {path} is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise CellscaperError(f"{what} {path} cannot be read: {error.strerror}") from error
