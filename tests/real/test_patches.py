"""The papers' test set: 1550 windows of the 30 BRCA-M2C test images."""

from pathlib import Path

import numpy as np

from cellscaper.datasets import brca_m2c
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.patches import sliding_windows


def test_brca_m2c_gives_the_papers_1550_test_patches(brca_m2c_path: Path) -> None:
    images = [one for one in brca_m2c.read({}, brca_m2c_path) if one.split == "test"]
    layouts = [Layout(one.points, one.labels, one.image.shape[:2], one.image_id) for one in images]
    windows = sliding_windows(LayoutSet.build(layouts, brca_m2c.CLASSES, brca_m2c.MPP), 256, 32)
    assert len(windows) == 1550
    assert len(np.unique(windows.source)) == 30
