"""The papers' test set: 1550 windows of the 30 BRCA-M2C test images."""

from pathlib import Path

import numpy as np

from cellscaper.layouts import Layout, LayoutSet
from cellscaper.patches import sliding_windows


def test_brca_m2c_gives_the_papers_1550_test_patches(brca_m2c_path: Path) -> None:
    from PIL import Image

    layouts = []
    for name in (brca_m2c_path / "brca_ds_test.txt").read_text().split():
        stem = name.removesuffix(".png")
        cells = np.loadtxt(brca_m2c_path / "labels" / f"{stem}_gt_class_coords.txt", dtype=int, ndmin=2)
        with Image.open(brca_m2c_path / "images" / name) as image:
            size = (image.height, image.width)
        layouts.append(Layout(cells[:, :2].astype(np.float32), (cells[:, 2] - 1).astype(np.uint8), size, stem))
    windows = sliding_windows(LayoutSet.build(layouts, ("lymphocyte", "epithelial", "stromal"), 0.5), 256, 32)
    assert len(windows) == 1550
    assert len(np.unique(windows.source)) == 30
