"""The density estimators on every class of every training image of BRCA-M2C, and SD's released count edges."""

import time

import numpy as np
import pytest

from cellscaper.density import gmcm, gmm, kde
from cellscaper.density.maps import density_map, quantile_scale

METHODS = (kde, gmm, gmcm)  # with the papers' settings, which are the defaults
RELEASED = (73, 148, 194, 276)


@pytest.mark.parametrize("every", [10, pytest.param(1, marks=pytest.mark.long)])
def test_training_maps_by_all_estimators_within_three_minutes_of_two_cores(cells, every):
    """Those of every tenth image; `make test-long` makes all 240."""
    train, start = cells.where(split="train"), time.process_time()
    train = train[::every]
    for method in METHODS:
        maps = [
            density_map(method.fit, method.evaluate, layout.of_class(k), layout.size, 2, method.Settings(), 0)
            for layout in train
            for k in range(3)
        ]
        assert len(maps) == 240 // every
        assert all(np.isfinite(one).all() and one.min() >= 0 for one in maps), method.__name__
        fewest = np.array([len(layout.of_class(k)) < 3 for layout in train for k in range(3)])
        assert [not one.any() for one in maps] == fewest.tolist()
        assert max(float(one.sum()) * 4 for one in maps) < 1.001  # 4 px² a pixel; the rest lies outside the image
        assert 1e-6 < quantile_scale(maps) < 1e-3
    assert time.process_time() - start < 360 / every


@pytest.mark.parametrize("edge, images", list(zip(RELEASED, (18, 36, 54, 73), strict=True)))
def test_the_released_edges_are_quintiles_of_lymphocytes_and_tumour_cells_of_the_images_not_tested_on(
    cells, edge, images
):
    counts = cells.counts()[cells.columns["split"] != "test"]
    assert len(counts) == 90
    assert (counts[:, :2].sum(axis=1) < edge).sum() == images
