"""What the headers of image files say, and which pictures of a folder are photographs of tissue."""

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

ENDINGS = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
TURNED = 0x0112  # EXIF: orientation
MASKS = frozenset(
    ("mask", "masks", "label", "labels", "labelled", "labeled", "seg", "segs", "segm", "segmentation", "segmentations",
     "instance", "instances", "inst", "annotation", "annotations", "gt", "groundtruth", "truth", "cp")
)  # fmt: skip
OVERLAYS = frozenset(
    ("overlay", "overlays", "outline", "outlines", "contour", "contours", "drawn", "vis", "visualization",
     "visualisation", "viz", "preview", "previews", "thumbnail", "thumbnails", "thumb", "thumbs", "pred", "preds",
     "prediction", "predictions", "result", "results", "output", "outputs", "heatmap", "heatmaps", "density", "prob",
     "probability", "flow", "flows", "qc", "debug", "plot", "plots", "figure", "figures", "marked", "painted")
)  # fmt: skip
_DRAWN = frozenset(
    ("overlay", "overlays", "outline", "outlines", "contour", "contours", "drawn", "vis", "visualization",
     "visualisation", "viz", "heatmap", "heatmaps", "marked")
)  # fmt: skip
PHOTOS = frozenset(
    ("image", "images", "img", "imgs", "tile", "tiles", "patch", "patches", "he", "raw", "rgb", "original", "originals",
     "orig", "input", "inputs", "photo", "photos", "slide", "slides", "tissue", "crops", "rois", "source")
)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """The header of an image file: size (height, width) px, Pillow's mode, EXIF orientation, µm a pixel or None."""

    size: tuple[int, int]
    mode: str
    deep: bool
    pages: int
    turned: int
    mpp: float | None

    @property
    def photo(self) -> bool:
        """Whether its pixels can be those of a photograph in colours."""
        return self.mode in ("RGB", "RGBA") and not self.deep


def look(path: Path) -> Picture | None:
    """The header of an image; None for a file that is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                deep = any("16" in str(tile.args) for tile in getattr(image, "tile", []))
                turned = int(image.getexif().get(TURNED, 1) or 1)
                pages = int(getattr(image, "n_frames", 1))
                return Picture((image.height, image.width), image.mode, deep, pages, turned, _mpp(image))
    except Exception:  # a decoder may raise any exception on damaged bytes; the reader reports it
        return None


def words(name: str) -> set[str]:
    """The words of a name in small letters: ``S1_cp_masks`` → s1, cp, masks."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return {word for word in re.split(r"[\W_\d]+", spaced.lower()) if word} | set(re.split(r"[\W_]+", name.lower()))


def standing(folder: str) -> int:
    """How much the names of folders speak for photographs (above 0) or against (below 0)."""
    found = [words(part) for part in PurePosixPath(folder).parts]
    against = sum(bool(one & (MASKS | OVERLAYS)) for one in found)
    return -against if against else int(any(one & PHOTOS for one in found))


def drawn_over(image: str) -> bool:
    """Whether a folder of an image is named as pictures are that are made from others."""
    return any(words(part) & _DRAWN for part in PurePosixPath(image).parent.parts)


def derived(images: Sequence[str]) -> dict[str, str]:
    """Pictures made from others, by their names beside them: ``a_mask.png`` beside ``a.png`` → "masks"."""
    stems: dict[str, set[str]] = {}
    for image in images:
        path = PurePosixPath(image)
        stems.setdefault(str(path.parent), set()).add(path.stem)
    found = {}
    for image in images:
        path = PurePosixPath(image)
        for rest in _rests(path.stem, stems[str(path.parent)]):
            named = words(rest)
            if named & MASKS:
                found[image] = "masks"
            elif named & OVERLAYS:
                found.setdefault(image, "overlays")
    return found


def _rests(name: str, stems: Iterable[str]) -> list[str]:
    """What stands before or behind another stem in a name."""
    known = set(stems)
    ends = [name[k:] for k in range(1, len(name)) if name[:k] in known]
    starts = [name[:k] for k in range(1, len(name)) if name[k:] in known]
    return [one for one in ends + starts if not one[0].isalnum() or not one[-1].isalnum()]


def _mpp(image: Image.Image) -> float | None:
    """µm a pixel by the resolution in the header; None where it says none of a microscope."""
    described = str(image.info.get("description") or "")
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        described += str(tags.get(270, ""))
    for pattern in (r"MPP\s*=\s*([\d.]+)", r'PhysicalSizeX="([\d.]+)"'):
        if (told := re.search(pattern, described)) and (value := _plausible(told[1])):
            return value
    if tags is not None and tags.get(282):
        per, unit = float(tags[282]), tags.get(296, 2)
        if per > 0:
            if re.search(r"unit=(micron|um|µm|\\u00B5m)", described):
                return _plausible(1 / per)
            return _plausible({2: 25_400, 3: 10_000}.get(unit, 0) / per)
    dpi = image.info.get("dpi")
    if dpi and float(dpi[0]) > 0:
        return _plausible(25_400 / float(dpi[0]))
    return None


def _plausible(value: float | str) -> float | None:
    """A scale of a microscope; None for the resolutions of screens and printers."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0.05 <= number <= 5 else None
