"""The cells of the real BRCA-M2C, read once."""

from pathlib import Path

import numpy as np
import pytest

from cellscaper.datasets import brca_m2c
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.views.patches import sliding_windows


@pytest.fixture(scope="session")
def cells(brca_m2c_path: Path) -> LayoutSet:
    """All 120 images, with their ``split``."""
    images = list(brca_m2c.read(brca_m2c.Settings(), brca_m2c_path))
    layouts = [Layout(one.points, one.labels, one.image.shape[:2], one.image_id) for one in images]
    columns = {"split": np.array([one.split for one in images])}
    return LayoutSet.build(layouts, brca_m2c.CLASSES, brca_m2c.MPP, columns)


@pytest.fixture(scope="session")
def patches(cells: LayoutSet) -> LayoutSet:
    """The papers' 1550 test windows."""
    return sliding_windows(cells.where(split="test"), 256, 32)
