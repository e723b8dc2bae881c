"""The training images of an own folder as sources, brought to the scale and the classes of layouts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cellscaper.datasets import dots
from cellscaper.datasets.images import read_rgb
from cellscaper.datasets.survey import Survey
from cellscaper.disk.formats.class_names import spelled_as
from cellscaper.disk.formats.counted import counted
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.painters.quilting.sources import Image
from cellscaper.run.progress import log

SAME = 0.02  # share by which two scales may differ without rescaling


def folder_sources(folder: Path, found: Survey, layouts: LayoutSet) -> tuple[LayoutSet, Callable[[int], Image]]:
    """The cells of the training images, and a function that reads the pixels of image number i.

    Classes come in the order of the layouts', then those that only the folder has; capitals do not count. Log lines
    say what is left out. Without lists of a split, all images are training images. CellscaperError for dots
    outside their image or off its nuclei, for classes of the layouts' cells that the folder lacks, and for a folder
    with lists where an image has no dots.
    """
    listed = not isinstance(found.settings.split, dots.Fractions)
    if listed and found.without:
        raise CellscaperError(
            f"{folder}: {counted(len(found.without), 'images')} of its lists without a dot file, first "
            f"{found.without[0]}; add it or remove the image"
        )
    train = [one for one in found.cells if not listed or one.split == "train"]
    outside = [one for one in train if one.outside.any()]
    if outside:
        number = sum(int(one.outside.sum()) for one in outside)
        y, x = outside[0].points[outside[0].outside][0]
        raise CellscaperError(
            f"{folder}: {counted(number, 'dots')} {'lies' if number == 1 else 'lie'} outside the images, first "
            f"y={y:g} x={x:g} of {outside[0].name}; correct them or the order of y and x (`cellscaper check` reports "
            "more)"
        )
    if found.misplaced:
        raise CellscaperError(f"{folder}: {found.misplaced[0]}")
    names = spelled_as(found.settings.classes, layouts.classes)
    used = [layouts.classes[label] for label in np.unique(layouts.labels).tolist()]
    lacking = [name for name in used if name not in names]
    if lacking:
        raise CellscaperError(
            f"the layouts have cells of class {', '.join(lacking)}, the folder {folder} has {', '.join(names)}; name "
            "its classes alike with --classes CLASS-IN-THE-FILES=NAME,…"
        )
    classes = (*layouts.classes, *(name for name in names if name not in layouts.classes))
    label = np.array([classes.index(name) for name in names], np.uint8)
    factor = found.settings.mpp / layouts.mpp
    factor = 1.0 if abs(factor - 1) < SAME else factor
    left_out = len(found.cells) - len(train)
    log(
        f"{folder}: {counted(len(train), 'training images')} ({found.split})"
        + (f", {left_out} others left out" if left_out else "")
        + (f", {len(found.without)} without dots left out" if found.without else "")
        + f"; {found.settings.mpp:g} µm a pixel ({found.scale})"
        + (f", brought to the layouts' {layouts.mpp:g}" if factor != 1 else "")
    )
    for one in found.said:
        log(f"! {one}")
    cells = []
    for image in train:
        size = dots.rescaled_size(image.size, factor)
        points = dots.rescaled_points(image.points, image.size, size)
        cells.append(Layout(points, label[image.labels], size, image.name))

    def pixels(i: int) -> Image:
        whole = read_rgb(found.paths[train[i].name])
        return whole if factor == 1 else dots.rescaled_image(whole, factor)

    return LayoutSet.build(cells, classes, layouts.mpp), pixels
