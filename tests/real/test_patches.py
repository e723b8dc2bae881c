"""The papers' test set: 1550 windows of the 30 BRCA-M2C test images."""

import numpy as np
import pytest

from cellscaper.layouts import LayoutSet


def test_brca_m2c_gives_the_papers_1550_test_patches(patches: LayoutSet) -> None:
    assert len(patches) == 1550
    assert len(np.unique(patches.source)) == 30


def test_a_generator_that_ignores_the_total_errs_by_more_than_the_papers_adm(patches: LayoutSet) -> None:
    """Its least TCE is the mean distance of the totals to their median; the paper's ADM has 22.465."""
    totals = patches.counts().sum(axis=1)
    assert np.abs(totals - np.median(totals)).mean() == pytest.approx(26.83, abs=0.01)
