"""The classes of a folder's cells as a check finds or is told them, and its cells in px."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from cellscaper.datasets import dots
from cellscaper.datasets.dot_file import in_px
from cellscaper.datasets.inspection import Cells
from cellscaper.datasets.naming import named_classes
from cellscaper.datasets.odd_classes import emptied, odd
from cellscaper.datasets.survey_state import Asked, WhatWasRead
from cellscaper.errors import CellscaperError


def classes_of(asked: Asked, read: WhatWasRead, files: Mapping[str, str]) -> tuple[dict[str, str | None], list[str]]:
    """Class in the files → name, and the names in order; what is merged or left out is said."""
    written = Counter(name for cells in read.cells.values() for name in cells.names)
    mapping, said = named_classes(written, asked.classes)
    by_image = {image: Counter(cells.names) for image, cells in read.cells.items()}
    said += [told for told in (odd(by_image, files), emptied(by_image, mapping)) if told is not None]
    read.said += said
    names = list(dict.fromkeys(one for one in mapping.values() if one is not None))
    if not names:
        left = "; ".join(read.said)
        raise CellscaperError(
            "the folder holds no cell of a class; expected dots, at least of one class" + (f" ({left})" if left else "")
        )
    return mapping, names


def cells_of_classes(
    settings: dots.Settings,
    mapping: Mapping[str, str | None],
    names: Sequence[str],
    read: WhatWasRead,
    where: Mapping[str, str],
) -> list[Cells]:
    """The cells of all images of a split, in px."""
    index = {written: -1 if name is None else names.index(name) for written, name in mapping.items()}
    made = []
    for image, cells in read.cells.items():
        if where and image not in where:
            continue
        labels = np.array([index[name] for name in cells.names], np.int64)
        points = in_px(cells.points, settings.unit, settings.mpp, read.sizes[image]).astype(np.float32)
        made.append(Cells(points[labels >= 0].astype(np.float64), labels[labels >= 0], read.sizes[image], image,
                          where.get(image, "")))  # fmt: skip
    return made
