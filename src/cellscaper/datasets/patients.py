"""Patients of images by their names and folders, and the sentence about those that lie on both sides of a split."""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from cellscaper.datasets.identity import first_few
from cellscaper.datasets.pictures import words
from cellscaper.datasets.split_lists import split_in


def _called(names: str) -> re.Pattern[str]:
    """A number behind one of these words: ``patient_03``, ``case 7``, ``slide-2``."""
    return re.compile(rf"(?<![A-Za-z0-9])((?:{names})[-_ .]?[A-Za-z]{{0,3}}\d+)(?![A-Za-z0-9])", re.I)


_P = re.compile(r"(?<!.)(p[-_]?\d+)(?![A-Za-z0-9])", re.I)  # at the beginning alone: patches are called so, too
_OF_PATIENTS = (  # from the surest name of a patient to the least sure
    re.compile(r"(?<![A-Za-z0-9])(TCGA-[A-Za-z0-9]{2}-[A-Za-z0-9]{4})(?![A-Za-z0-9])", re.I),
    _called("patient|pat|pt|subject|subj|donor|participant"),
    _called("case"),
)
_OF_PIECES = (_called("slide|wsi"), _called("biopsy|block|specimen"))  # a patient may have several
_NO_PATIENT = frozenset(
    ("image", "images", "img", "imgs", "tile", "tiles", "patch", "patches", "picture", "pictures", "png", "tif", "tiff",
     "jpg", "jpeg", "he", "data", "dataset", "raw", "original", "originals", "fold", "folds", "batch", "part", "parts",
     "center", "centre", "site", "scanner", "hospital", "lab", "stain", "level", "x", "mpp", "um", "class", "tumor",
     "tumour", "normal", "benign", "malignant", "set", "roi", "rois", "crop", "crops")
)  # fmt: skip
FEWEST = 3  # folders that can be patients


def patients(images: Iterable[str]) -> dict[str, str]:
    """Image → its patient, as far as names tell one: TCGA's, `patient_03`, `case 7`, `P01`, `slide-2`, its folder.

    A patient counts before a slide, a slide before a biopsy, wherever they stand; a folder counts before slides that
    are one image each.
    """
    return next(iter(_guesses(list(images))), {})


def on_both_sides(where: Mapping[str, str]) -> str | None:
    """The sentence about patients with images in test and in another split; None without. ``where``: image → split."""
    for found in _guesses(list(where)):
        if both := _crossing(found, where):
            number = "1 patient or folder has" if len(both) == 1 else f"{len(both)} patients or folders have"
            return (
                f"{number} images in test and in other splits: {first_few(both)}; if each is of one patient, scores "
                "will be too good: put all images of a patient into one list (train.txt, val.txt, test.txt)"
            )
    return None


def _crossing(found: Mapping[str, str], where: Mapping[str, str]) -> list[str]:
    """The patients with images in test and in another split, sorted."""
    sides: dict[str, set[bool]] = {}
    shown: dict[str, str] = {}
    for image, patient in found.items():
        key = patient.casefold()
        shown.setdefault(key, patient)
        sides.setdefault(key, set()).add(where[image] == "test")
    return [shown[key] for key in sorted(sides) if len(sides[key]) == 2]


def _guesses(images: list[str]) -> list[dict[str, str]]:
    """What may be the patients of images, the surest first: by names, then by folders where names tell slides alone."""
    named = {image: told for image in images if (told := _named(image)) is not None}
    folders = {image: folder for image in images if (folder := _folder(image)) is not None}
    if len(set(folders.values())) < FEWEST:
        folders = {}
    certain = any(sure for _, sure in named.values())
    by_name = {image: patient for image, (patient, _) in named.items()}
    alone = len({one.casefold() for one in by_name.values()}) * 2 > len(by_name)  # slides of one image each
    order = [by_name] if certain else [folders, by_name] if alone else [by_name, folders]
    return [one for one in order if len({name.casefold() for name in one.values()}) > 1]


def _named(image: str) -> tuple[str, bool] | None:
    """The patient, slide or biopsy in an image's path, and whether it is a patient; the file's name before folders."""
    path = PurePosixPath(image)
    parts = [path.stem, *reversed(path.parts[:-1])]

    def first(pattern: re.Pattern[str], among: list[str]) -> str | None:
        return next((hit[1] for part in among if (hit := pattern.search(part)) is not None), None)

    for pattern in _OF_PATIENTS:
        if (told := first(pattern, parts)) is not None:
            return told, True
    if (told := first(_P, parts[1:])) is not None:
        return told, True
    piece = next((told for pattern in _OF_PIECES if (told := first(pattern, parts[1:])) is not None), None)
    if piece is None and (told := first(_P, parts[:1])) is not None:
        return told, True
    piece = next((told for pattern in _OF_PIECES if (told := first(pattern, parts)) is not None), None)
    return None if piece is None else (piece, False)


def _folder(image: str) -> str | None:
    """The innermost folder that is not named after a split or a kind of pictures."""
    for part in reversed(PurePosixPath(image).parts[:-1]):
        told = {word for word in words(part) if not word.isdecimal()}
        if split_in(part) is None and not (told and told <= _NO_PATIENT):
            return part
    return None
