"""Patients of images by their names and folders, and the sentence about those that lie on both sides of a split."""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from cellscaper.datasets.identity import first_few
from cellscaper.datasets.pictures import words
from cellscaper.datasets.split_lists import split_in

_TCGA = re.compile(r"(?<![A-Za-z0-9])(TCGA-[A-Za-z0-9]{2}-[A-Za-z0-9]{4})(?![A-Za-z0-9])", re.I)
_NAMED = re.compile(
    r"(?<![A-Za-z0-9])((?:patient|pat|pt|subject|subj|donor|participant|case|biopsy|slide|wsi)"
    r"[-_ .]?[A-Za-z]{0,3}\d+|(?<!.)p[-_]?\d+)(?![A-Za-z0-9])",  # p3 at the beginning alone: patches are called so, too
    re.I,
)
_NO_PATIENT = frozenset(
    ("image", "images", "img", "imgs", "tile", "tiles", "patch", "patches", "picture", "pictures", "png", "tif", "tiff",
     "jpg", "jpeg", "he", "data", "dataset", "raw", "original", "originals", "fold", "folds", "batch", "part", "parts",
     "center", "centre", "site", "scanner", "hospital", "lab", "stain", "level", "x", "mpp", "um", "class", "tumor",
     "tumour", "normal", "benign", "malignant", "set", "roi", "rois", "crop", "crops")
)  # fmt: skip
FEWEST = 3  # folders that can be patients


def patients(images: Iterable[str]) -> dict[str, str]:
    """Image → its patient, as far as names tell one: TCGA's, `patient_03`, `case 7`, `slide-2`, else its folder."""
    listed = list(images)
    found: dict[str, str] = {}
    for image in listed:
        parts = [PurePosixPath(image).stem, *reversed(PurePosixPath(image).parts[:-1])]
        for pattern in (_TCGA, _NAMED):
            hit = next((hit[1] for part in parts if (hit := pattern.search(part)) is not None), None)
            if hit is not None:
                found[image] = hit
                break
    if not found:
        folders = {image: folder for image in listed if (folder := _folder(image)) is not None}
        if len(set(folders.values())) >= FEWEST:
            found = folders
    return found if len({one.casefold() for one in found.values()}) > 1 else {}


def on_both_sides(where: Mapping[str, str]) -> str | None:
    """The sentence about patients with images in test and in another split; None without. ``where``: image → split."""
    sides: dict[str, set[bool]] = {}
    shown: dict[str, str] = {}
    for image, patient in patients(where).items():
        key = patient.casefold()
        shown.setdefault(key, patient)
        sides.setdefault(key, set()).add(where[image] == "test")
    both = sorted(key for key, held in sides.items() if len(held) == 2)
    if not both:
        return None
    number = "1 patient or folder has" if len(both) == 1 else f"{len(both)} patients or folders have"
    return (
        f"{number} images in test and in other splits: {first_few([shown[key] for key in both])}; if each is of one "
        "patient, scores will be too good: put all images of a patient into one list (train.txt, val.txt, test.txt)"
    )


def _folder(image: str) -> str | None:
    """The innermost folder that is not named after a split or a kind of pictures."""
    for part in reversed(PurePosixPath(image).parts[:-1]):
        told = {word for word in words(part) if not word.isdecimal()}
        if split_in(part) is None and not (told and told <= _NO_PATIENT):
            return part
    return None
