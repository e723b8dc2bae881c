"""The stages from the real BRCA-M2C to the papers' 1550 test patches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cellscaper.disk.storage import ImageSet, read_layouts
from cellscaper.plan.configuration import configuration
from cellscaper.plan.sections import dataset_section, windows_section

REPOSITORY = Path(__file__).resolve().parents[2]


def call(stage: str, *arguments: object) -> None:
    """Run a stage of this working tree."""
    command = [sys.executable, "-m", f"cellscaper.stages.{stage}", *map(str, arguments)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")})


@pytest.fixture(scope="module")
def made(brca_m2c_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cells.h5, images.h5 and windows.h5, made with the papers' configuration."""
    folder = tmp_path_factory.mktemp("brca_m2c")
    config = configuration({"datasets": {"brca_m2c": {"path": str(brca_m2c_path)}}})
    dataset = json.dumps(dataset_section(config, "brca_m2c"))
    manifest, cells, images = (folder / name for name in ("manifest.json", "cells.h5", "images.h5"))
    call("fetch_dataset", "--config", dataset, "--manifest", manifest)
    call("read_cells", "--manifest", manifest, "--config", dataset, "--cells", cells, "--images", images)
    section = json.dumps(windows_section(config, "w256"))
    call("cut_patches", "--cells", cells, "--config", section, "--windows", folder / "windows.h5")
    return folder


def test_read_cells_keeps_all_images_and_cells(made: Path) -> None:
    cells = read_layouts(made / "cells.h5")
    assert [len(cells.where(split=split)) for split in ("train", "val", "test")] == [80, 10, 30]
    assert cells.counts().sum(axis=0).tolist() == [3541 + 1358 + 960, 9956 + 733 + 6109, 5150 + 1042 + 1789]
    with ImageSet(made / "images.h5") as images:
        assert np.array_equal(images.shape[:, :2], cells.size)


def test_cut_patches_gives_the_papers_1550_test_patches(made: Path) -> None:
    patches = read_layouts(made / "windows.h5")
    assert len(patches) == 1550
    assert patches.common_size() == (256, 256)
    assert len(np.unique(patches.source)) == 30
