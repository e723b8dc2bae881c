"""Images by name: with and without folder and ending, in letters composed or not."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from cellscaper.datasets.folder_files import composed, stem

MOST = 8  # folders of a path that may stand before a name
_ENDINGS = frozenset(
    (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".svs", ".ndpi", ".mrxs", ".scn", ".czi", ".webp", ".jp2",
     ".csv", ".tsv", ".txt", ".json", ".geojson", ".mat", ".xml", ".npy", ".gz", ".qpdata")
)  # fmt: skip


def first_few(names: Sequence[str], most: int = 3) -> str:
    """The names, or the first of them and the number of the others: ``a, b, c and 4 more``."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def image_ids(images: Sequence[str]) -> dict[str, str]:
    """A short name for each image: its stem where this is its alone, else its path without, or with, the suffix."""
    forms = [[stem(one), one.removesuffix(PurePosixPath(one).suffix), one] for one in images]
    counts: dict[str, int] = {}
    for row in forms:
        for form in dict.fromkeys(row):
            counts[form] = counts.get(form, 0) + 1
    return {one: next((form for form in row if counts[form] == 1), one) for one, row in zip(images, forms, strict=True)}


class Names:
    """Finds images by what lists and tables call them."""

    def __init__(self, images: Sequence[str]):
        self.images = list(images)
        self._known: dict[str, list[str]] = {}
        self._small: dict[str, list[str]] = {}
        self._folders: dict[str, dict[str, list[str]]] = {}
        for image in images:
            for folder in PurePosixPath(image).parents:
                self._folders.setdefault(folder.name, {}).setdefault(str(folder), []).append(image)
            for tail in _tails(image):
                whole = tail.removesuffix(PurePosixPath(tail).name)
                for form in dict.fromkeys((tail, tail.removesuffix(PurePosixPath(tail).suffix), whole + stem(tail))):
                    self._known.setdefault(form, []).append(image)
                    self._small.setdefault(form.casefold(), []).append(image)

    def find(self, entry: str) -> list[str]:
        """The images that an entry names: one, none, or several that it does not tell apart."""
        text = composed(entry).strip().strip("'\"").strip().replace("\\", "/").removeprefix("./")
        if not text:
            return []
        for known, form in ((self._known, text), (self._small, text.casefold())):
            number = form.partition(".")[0] if re.fullmatch(r"\d+\.0+", form) else form  # 1.0, as pandas writes 1
            for one in dict.fromkeys((form, form.partition(" - ")[0], _before_label(form), number)):
                for tail in _tails(one):
                    found = known.get(tail)
                    if found is None and (ending := PurePosixPath(tail).suffix).lower() in _ENDINGS:
                        found = known.get(tail.removesuffix(ending))
                    if found:
                        return [text] if text in found else list(dict.fromkeys(found))
        return []

    def in_folder(self, entry: str) -> list[str]:
        """The images in the only folder of a name, at any depth: of a patient, a slide; none for no or two folders."""
        text = composed(entry).strip().strip("'\"").strip().replace("\\", "/").strip("/")
        named = self._folders.get(text.rsplit("/", 1)[-1], {}) if text else {}
        fit = [images for folder, images in named.items() if f"/{folder}".endswith(f"/{text}")]
        return fit[0] if len(fit) == 1 else []


def _before_label(text: str) -> str:
    """The file in a name with more behind it, as ImageJ's Results write it: ``a.tif:0001-0123``; else the text.

    QuPath's ``a.tif - Series 1`` is cut by its blanks.
    """
    name, sign, _ = text.partition(":")
    return name if sign and PurePosixPath(name).suffix.lower() in _ENDINGS else text


def _tails(path: str) -> list[str]:
    """The path and its ends, the longest first: a/b/c, b/c, c."""
    parts = [part for part in path.split("/") if part]
    return ["/".join(parts[i:]) for i in range(max(0, len(parts) - MOST), len(parts))]
