from pathlib import Path

import numpy as np
import pytest

from cellscaper.disk.storage import write_density, write_layouts
from cellscaper.layouts import Layout, LayoutSet

CLASSES = ("lymphocyte", "epithelial", "stromal")


def some_layouts(n: int, side: int, seed: int, **columns: np.ndarray) -> LayoutSet:
    """n layouts with 12 cells of each class."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), 12).astype(np.uint8)
    points = rng.uniform(0, side, (n, 36, 2)).astype(np.float32)
    return LayoutSet.build([Layout(one, labels, (side, side)) for one in points], CLASSES, 0.5, columns)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the drawing stages read: cells, windows, two samplings, fitted maps."""
    folder = tmp_path_factory.mktemp("files")
    split = np.array(["train", "train", "test"])
    write_layouts(folder / "cells.h5", some_layouts(3, 96, 0, split=split), {})
    windows = some_layouts(4, 64, 1)
    write_layouts(folder / "windows.h5", windows, {})
    for seed, name in enumerate(("a", "b"), 2):
        made = some_layouts(4, 64, seed, target=np.arange(4), requested=windows.counts())
        density = np.random.default_rng(seed).random((3, 3, 16, 16)).astype(np.float32)
        write_layouts(folder / f"{name}.h5", {"points": made}, {}, arrays={"density": density})
    write_layouts(folder / "plain.h5", {"points": some_layouts(4, 64, 9)}, {})
    maps = list(np.random.default_rng(5).random((2, 3, 24, 24)).astype(np.float32))
    write_density(folder / "maps.h5", maps, 4, 1.0, {})
    return folder
