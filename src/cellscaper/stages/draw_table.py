"""draw_table: the picture beside a table: layouts of the same counts, or detections on the same images, row by row."""

import json
from functools import reduce
from pathlib import Path

import numpy as np

from cellscaper import stage
from cellscaper.layouts import LayoutSet
from cellscaper.report.figures import detection_gallery, layout_gallery
from cellscaper.storage import read_layouts, read_split

ROWS = 4


def draw_layouts(columns: list[tuple[str, LayoutSet]], patches: LayoutSet, path: Path) -> None:
    """Real patches and the layouts matched to them, for up to ROWS patches that all columns have."""
    common = reduce(np.intersect1d, [one.columns["target"] for _, one in columns], np.arange(len(patches)))
    chosen = common[np.linspace(0, len(common) - 1, min(ROWS, len(common))).round().astype(int)]
    shown = [("real", patches[chosen])]
    for label, one in columns:
        row_of = {int(target): row for row, target in enumerate(one.columns["target"])}
        shown.append((label, one[[row_of[int(target)] for target in chosen]]))
    layout_gallery(shown, len(chosen), path)


def main() -> None:
    args = stage.arguments(
        __doc__, inputs=["patches?", "cells?", "images?"], outputs=["picture"], options=["columns", "kind"]
    )
    named = json.loads(args.columns)  # [label, file, decoder or null] of each column
    columns = [(label, read_layouts(Path(file), decoder)) for label, file, decoder in named]
    if args.kind == "layouts":
        draw_layouts(columns, read_layouts(args.patches), args.picture)
    else:
        cells, images = read_split(args.cells, args.images, "test")
        detection_gallery(images, cells, columns, args.picture, args.config["radius"])


if __name__ == "__main__":
    stage.run(main)
