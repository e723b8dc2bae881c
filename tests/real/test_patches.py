"""The papers' test set: 1550 windows of the 30 BRCA-M2C test images."""

import numpy as np

from cellscaper.layouts import LayoutSet


def test_brca_m2c_gives_the_papers_1550_test_patches(patches: LayoutSet) -> None:
    assert len(patches) == 1550
    assert len(np.unique(patches.source)) == 30
