"""Numbers that planning knows before data are read, against the data sets' own modules and the cutting of windows."""

import numpy as np
import pytest

from cellscaper.datasets import brca_m2c, lizard, phantom
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.plan.amounts import CLASSES, classes, layouts, windows
from cellscaper.plan.configuration import configuration
from cellscaper.views.patches import sliding_windows

OWN = {
    **{"reader": "dots", "path": "x", "images": "*.png", "dots": "{stem}.csv", "mpp": 0.5, "classes": ["a", "b"]},
    "split": {"train": 0.6, "val": 0.2, "test": 0.2, "seed": 0},
}


@pytest.fixture(scope="module")
def config():
    return configuration()


def test_classes_are_those_of_the_data_sets():
    assert {"brca_m2c": len(brca_m2c.CLASSES), "lizard": len(lizard.CLASSES)} == CLASSES
    config = configuration({"datasets": {"phantom": {"classes": 6}, "mine": OWN}})
    assert [classes(config, name) for name in ("brca_m2c", "lizard", "phantom", "mine")] == [3, 6, 6, 2]


@pytest.mark.parametrize("size", [(300, 256), (255, 400), (511, 640)])
@pytest.mark.parametrize("stride", [32, 100])
def test_windows_are_as_many_as_are_cut(size, stride):
    own = {"size": list(size), "images": {"train": 1, "val": 1, "test": 3}}
    config = configuration({"datasets": {"phantom": own}, "fields": {"w256": {"windows": {"stride": stride}}}})
    empty = Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), size)
    cut = 0
    if min(size) >= 256:
        cut = len(sliding_windows(LayoutSet.build([empty] * 3, phantom.classes(phantom.Settings()), 0.5), 256, stride))
    assert windows(config, "phantom", "w256") == cut


def test_the_papers_numbers(config):
    assert windows(config, "brca_m2c", "w256") == 1550  # TopoCellGen
    assert layouts(config, "brca_m2c", "w464", "test") == 1000  # Spatial Diffusion: 200 of each of 5 categories
    assert layouts(config, "brca_m2c", "w256", "train") == config["fields"]["w256"]["train_layouts"]
    assert layouts(config, "lizard", "w256", "test") == 1000 < windows(config, "lizard", "w256") == 24192


def test_windows_of_own_data_are_unknown():
    config = configuration({"datasets": {"mine": OWN}})
    assert windows(config, "mine", "w256") is None
    assert layouts(config, "mine", "w256", "train") == config["fields"]["w256"]["train_layouts"]
