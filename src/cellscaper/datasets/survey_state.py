"""What a user says of a folder, and what was read of it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cellscaper.datasets.units import Placed
from cellscaper.disk.formats.annotated import Annotated


@dataclass(frozen=True)
class Asked:
    """What the user says of a folder; None where it is to be found.

    all_train   without lists of a split, all images are training images
    """

    mpp: float | None = None
    columns: dict[str, str] | list[str] | None = None
    classes: dict[str, str | None] | None = None
    images: str | None = None
    dots: str | None = None
    unit: str | None = None
    all_train: bool = False


@dataclass
class WhatWasRead:
    """All that was read: the cells of each image as written, its size and mean colours, sentences to say."""

    cells: dict[str, Annotated] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    thumbnails: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def placed(read: WhatWasRead) -> list[Placed]:
    return [Placed(image, cells.points, read.sizes[image]) for image, cells in read.cells.items()]
