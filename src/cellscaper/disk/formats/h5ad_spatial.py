"""What ``uns/spatial`` of an AnnData file says of its images, as Space Ranger writes it: µm a pixel and the size."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cellscaper.errors import CellscaperError

SCALE = "microns_per_pixel"


def _scale(library: Any) -> float | None:
    """µm a pixel, as Space Ranger writes it."""
    node = library.get(f"scalefactors/{SCALE}") if isinstance(library, h5py.Group) else None
    value = float(np.asarray(node[()]).reshape(())) if node is not None else 0.0
    return value if 0 < value < 1e6 else None


def scale_of(path: Path, file: h5py.File, images: Sequence[str]) -> float | None:
    """µm a pixel of the images in uns/spatial; of all entries if it has none of these images.

    CellscaperError if they differ: layouts of one set have one scale.
    """
    spatial = file.get("uns/spatial")
    entries = list(spatial) if isinstance(spatial, h5py.Group) else []
    said = {name: _scale(spatial[name]) for name in ([one for one in images if one in entries] or entries)}
    known = {name: value for name, value in said.items() if value is not None}
    if known and max(known.values()) > min(known.values()) * (1 + 1e-6):
        low, high = (choose(known, key=lambda name: known[name]) for choose in (min, max))
        raise CellscaperError(
            f"{path} says {known[low]:.9g} µm a pixel of image {low[:40]!r} and {known[high]:.9g} of {high[:40]!r}; "
            "write a file for each scale"
        )
    return next(iter(known.values()), None)


def near(size: tuple[float, float, float] | None, given: tuple[int, int] | None) -> tuple[int, int] | None:
    """The given size if it is the one that the file says, which may be some px off; else the one of the file."""
    if size is None:
        return given
    height, width, off = size
    if given is not None and max(abs(given[0] - height), abs(given[1] - width)) <= off:
        return given
    return int(np.ceil(height)), int(np.ceil(width))


def size_of(library: Any) -> tuple[float, float, float] | None:
    """(height, width) px of the image that a library holds, at the scale of the coordinates, and how exactly, px."""
    if not isinstance(library, h5py.Group):
        return None
    for kind in ("hires", "lowres"):
        image, factor = library.get(f"images/{kind}"), library.get(f"scalefactors/tissue_{kind}_scalef")
        if image is not None and factor is not None and float(factor[()]) > 0:
            height, width = (side / float(factor[()]) for side in image.shape[:2])
            return height, width, 1 + 1 / float(factor[()])
    return None
