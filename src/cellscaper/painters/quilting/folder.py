"""The training images of an own folder as sources, brought to the scale and the classes of layouts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cellscaper.datasets import dots
from cellscaper.datasets.images import read_rgb
from cellscaper.datasets.reading import Folder
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.painters.quilting.sources import Image
from cellscaper.run.progress import log

SAME = 0.02  # share by which two scales may differ without rescaling


def folder_sources(folder: Path, found: Folder, layouts: LayoutSet) -> tuple[LayoutSet, Callable[[int], Image]]:
    """The cells of the training images, and a function that reads the pixels of image number i.

    Classes come in the order of the layouts', then those that only the folder has. Log lines say what is left out.
    CellscaperError for dots outside their image and for classes of the layouts' cells that the folder lacks.
    """
    train = [one for one in found.images if one.split == "train"]
    outside = [one for one in train if one.outside.any()]
    if outside:
        raise CellscaperError(
            f"{folder}: {sum(int(one.outside.sum()) for one in outside)} dots lie outside their images, first in "
            f"{outside[0].name}; correct them or the order of y and x (`cellscaper check` reports more)"
        )
    names = found.settings.classes
    used = [layouts.classes[label] for label in np.unique(layouts.labels).tolist()]
    lacking = [name for name in used if name not in names]
    if lacking:
        raise CellscaperError(
            f"the layouts have cells of class {', '.join(lacking)}, the folder {folder} has {', '.join(names)}; name "
            "its classes alike with --classes CLASS-IN-THE-FILES=NAME,…"
        )
    classes = (*layouts.classes, *(name for name in names if name not in layouts.classes))
    label = np.array([classes.index(name) for name in names], np.uint8)
    factor = found.mpp / layouts.mpp
    factor = 1.0 if abs(factor - 1) < SAME else factor
    left_out = len(found.images) - len(train)
    paths = {image.stem: image for image, _ in found.found.files}
    log(
        f"{folder}: {len(train)} training images ({found.split_how})"
        + (f", {left_out} others left out" if left_out else "")
        + (f", {len(found.found.without)} without dots left out" if found.found.without else "")
        + f"; {found.mpp:g} µm a pixel ({found.mpp_how})"
        + (f", brought to the layouts' {layouts.mpp:g}" if factor != 1 else "")
    )
    cells = []
    for one in train:
        size = dots.rescaled_size(one.size, factor)
        points = dots.rescaled_points(one.points, one.size, size)
        cells.append(Layout(points, label[one.labels], size, one.name))

    def pixels(i: int) -> Image:
        image = read_rgb(paths[train[i].name])
        return image if factor == 1 else dots.rescaled_image(image, factor)

    return LayoutSet.build(cells, classes, layouts.mpp), pixels
