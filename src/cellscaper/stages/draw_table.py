"""draw_table: the picture beside a table, row by row: layouts of the same counts, detections on the same images, or
painted images.
"""

import json
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


def draw_layouts(columns: list[tuple[str, LayoutSet]], patches: LayoutSet) -> Figure:
    """Real patches and the layouts matched to them, for up to ROWS patches that all columns have."""
    common = common_targets(columns, patches)
    chosen = common[evenly_spaced(len(common), ROWS)]
    return layout_gallery(matched_to(columns, patches, chosen), len(chosen))


def first_images(file: Path) -> list[NDArray[np.uint8]]:
    """The first ROWS images of a file."""
    with ImageSet(file) as images:
        return [images[i] for i in range(min(ROWS, len(images)))]


def main() -> None:
    args = stage.arguments(
        __doc__, inputs=["patches?", "cells?", "images?"], outputs=["picture"], options=["columns", "kind"]
    )
    named = json.loads(args.columns)  # [label, file, decoder or null] of each column
    if args.kind == "images":
        _, images = read_split(args.cells, args.images, "test")
        painted = [(label, first_images(Path(file))) for label, file, _ in named]
        write_picture(painted_gallery([("real test images", images), *painted], ROWS), args.picture)
        return
    columns = [(label, read_layouts(Path(file), decoder)) for label, file, decoder in named]
    if args.kind == "layouts":
        figure = draw_layouts(columns, read_layouts(args.patches))
    else:
        cells, images = read_split(args.cells, args.images, "test")
        figure = detection_gallery(images, cells, columns, args.config["radius"])
    write_picture(figure, args.picture)


if __name__ == "__main__":
    stage.run(main)
