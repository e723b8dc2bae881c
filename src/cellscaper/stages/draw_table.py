"""draw_table: the picture beside a table: layouts of the same counts, detections on the same images, or painted images.

``--columns`` and ``--labels`` are lists of equal length; so is ``--decoders`` for layouts, otherwise it is empty.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cellscaper.disk.storage import ImageSet, read_layouts, read_split
from cellscaper.layouts import LayoutSet, evenly_spaced
from cellscaper.report.figures.galleries import detection_gallery, layout_gallery, painted_gallery
from cellscaper.report.figures.matched import common_targets, matched_to
from cellscaper.report.figures.sheet import write_picture
from cellscaper.run import stage

ROWS = 4


def draw_layouts(columns: list[tuple[str, LayoutSet]], windows: LayoutSet) -> Figure:
    """Real layouts and those matched to them, for up to ROWS windows that all columns have."""
    common = common_targets(columns, windows)
    chosen = common[evenly_spaced(len(common), ROWS)]
    return layout_gallery(matched_to(columns, windows, chosen), len(chosen))


def first_images(file: Path) -> list[NDArray[np.uint8]]:
    """The first ROWS images of a file."""
    with ImageSet(file) as images:
        return [images[i] for i in range(min(ROWS, len(images)))]


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["windows?", "cells?", "images?", "columns*"],
        outputs=["picture"],
        options=["decoders*", "labels*", "kind"],
    )
    if args.kind == "layouts":
        named = stage.matched(args, "labels", "columns", "decoders")
        columns = [(label, read_layouts(file, decoder)) for label, file, decoder in named]
        figure = draw_layouts(columns, read_layouts(args.windows))
    else:
        cells, images = read_split(args.cells, args.images, "test")
        files = stage.matched(args, "labels", "columns")
        if args.kind == "images":
            painted = [(label, first_images(file)) for label, file in files]
            figure = painted_gallery([("real test images", images), *painted], ROWS)
        else:
            detections = [(label, read_layouts(file)) for label, file in files]
            figure = detection_gallery(images, cells, detections, args.config["radius"])
    write_picture(figure, args.picture)


if __name__ == "__main__":
    stage.run(main)
