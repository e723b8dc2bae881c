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


def test_sd_is_asked_for_200_layouts_of_each_category_and_compared_with_1000_training_crops(made: Path) -> None:
    """SD section 4: categories of equal weight; the reference are training layouts, every image as often as another."""
    config, found = configuration(), {}
    for name in ("w464", "w464-targets", "w464-reference"):
        section = json.dumps(windows_section(config, name))
        call("cut_patches", "--cells", made / "cells.h5", "--config", section, "--windows", made / f"{name}.h5")
        found[name] = read_layouts(made / f"{name}.h5")
        assert found[name].common_size() == (464, 464)
    windows, targets, reference = found.values()
    assert len(windows) == len(np.unique(windows.columns["image"])) == 26  # one of each image of at least 464 px
    assert np.bincount(targets.columns["category"]).tolist() == [200] * 5
    assert set(targets.columns["split"]) == set(reference.columns["split"]) == {"train"}
    assert np.ptp(np.unique(reference.columns["image"], return_counts=True)[1]) <= 1 and len(reference) == 1000
    totals = np.diff(targets.offsets).reshape(5, 200)
    assert (totals[:-1].max(axis=1) < totals[1:].min(axis=1)).all()
    assert np.allclose(totals[1:].min(axis=1), [128, 181, 224, 280], atol=12)  # quintiles of 464 px training crops
