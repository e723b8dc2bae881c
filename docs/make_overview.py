"""Draw docs/overview.png: a real test window with its image, and a generated layout with the image painted for it.

python docs/make_overview.py results/brca_m2c     # after the commands of docs/overview.md
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.shipped import shipped_file
from cellscaper.disk.storage import ImageSet, read_layouts
from cellscaper.disk.weights import read_weights
from cellscaper.generators import point_diffusion
from cellscaper.generators.protocol import Request
from cellscaper.layouts import LayoutSet
from cellscaper.painters import diffusion
from cellscaper.painters.protocol import Request as PaintRequest
from cellscaper.report.figures.palette import class_handles
from cellscaper.report.figures.panels import draw_cells, draw_image
from cellscaper.report.figures.sheet import Sheet, write_picture

PICTURE = Path(__file__).with_name("overview.png")
WINDOW, SEED = 161, 3  # chosen for its three classes


def real_image(results: Path, window: LayoutSet, region: int) -> NDArray[np.uint8]:
    """The pixels of a test window."""
    cells = read_layouts(results / "read_cells/cells.h5")
    row = [str(source) for source in cells.source].index(str(window.source[0]))
    y, x = window.origin[0].tolist()
    with ImageSet(results / "read_cells/images.h5") as images:
        return images[row][y : y + region, x : x + region]


def generated(results: Path, window: LayoutSet, region: int) -> tuple[LayoutSet, NDArray[np.uint8]]:
    """A layout with the window's counts by the bundled weights, and an image by the run's painter."""
    weights, facts = read_weights(shipped_file("point_diffusion"))
    request = Request(window, [SEED], point_diffusion.Sampling(), window, region, weights=weights, facts=facts)
    made = point_diffusion.generate(request).sets["points"]
    weights, facts = read_weights(results / "train_image/tc/seed0/model.safetensors")
    painted = PaintRequest(made, [SEED], diffusion.Sampling(steps=10), weights, facts)
    return made, next(diffusion.paint(painted))


def main(results: Path) -> None:
    window = read_layouts(results / "cut_patches/w256.h5")[WINDOW : WINDOW + 1]
    region = int(window.common_size()[0])
    made, painted = generated(results, window, region)
    rows = [(real_image(results, window, region), window), (painted, made)]
    sheet = Sheet(2, ["image", "cells"], 1.9, below=0.05, names=["real", "generated"])
    for r, c, ax in sheet.panels():
        image, layouts = rows[r]
        if c == 0:
            draw_image(ax, image)
        else:
            draw_cells(ax, layouts.layout(0), layouts.classes, sheet.side)
    write_picture(sheet.finish(class_handles(window.classes)), PICTURE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
