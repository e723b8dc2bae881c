"""Bad input is answered with one line and a failure; nothing is written under a final name."""

import json
import shutil
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

LISTS = {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
SIDE = 40


@pytest.fixture
def dataset(tmp_path):
    """A folder as of BRCA-M2C: four images of 40×40 px, three dots each."""
    folder = tmp_path / "tissue"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for split, stems in LISTS.items():
        (folder / f"brca_ds_{split}.txt").write_text("".join(f"{stem}.png\n" for stem in stems))
        for stem in stems:
            pixels = np.random.default_rng(len(stem)).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"{stem}.png")
            (folder / "labels" / f"{stem}_gt_class_coords.txt").write_text("3 4 1\n20 30 2\n39 0 3\n")
    return folder


class Stages:
    """The first stages, each called as its rule calls it, in processes of their own or in forks of one."""

    def __init__(self, house, folder, out, forks=None):
        self.house, self.out, self.forks = house, out, forks
        self.config = json.dumps({"method": "brca_m2c", "settings": {"path": str(folder)}})
        self.manifest, self.cells, self.images, self.windows = (
            out / name for name in ("manifest.json", "cells.h5", "images.h5", "windows.h5")
        )

    def call(self, stage, *arguments):
        command = [sys.executable, "-m", f"cellscaper.stages.{stage}", *map(str, arguments)]
        return self.forks.run(self.house, command, log=self.out.parent) if self.forks else self.house.run(command)

    def fetch(self):
        return self.call("fetch_dataset", "--config", self.config, "--manifest", self.manifest)

    def read(self):
        outputs = ("--cells", self.cells, "--images", self.images)
        return self.call("read_cells", "--manifest", self.manifest, "--config", self.config, *outputs)

    def cut(self, region=32):
        config = json.dumps({"cut": "windows", "split": "test", "region": region, "stride": 8, "small": "error"})
        return self.call("cut_patches", "--cells", self.cells, "--config", config, "--windows", self.windows)


@pytest.fixture
def stages(house, dataset, tmp_path, forks):
    return Stages(house, dataset, tmp_path / "out", forks)


def assert_refused(ended, stage, words, absent):
    """One line of the stage's own, a failure, and no file that looks like a result."""
    lines = ended.text.strip().splitlines()
    assert ended.status == 1, ended.text
    assert lines[-1].startswith(f"{stage}: error: "), ended.text
    assert all(word in lines[-1] for word in words), lines[-1]
    assert sum("error" in line.lower() for line in lines) == 1, ended.text
    assert "Traceback" not in ended.text
    assert not any(path.exists() for path in absent)
    assert not any("partial" in path.name for path in absent[0].parent.glob("*")), "scratch files are left"


def test_the_dataset_as_it_is_goes_through(house, dataset, tmp_path):
    stages = Stages(house, dataset, tmp_path / "out")
    for ended in (stages.fetch(), stages.read(), stages.cut()):
        assert ended.status == 0, ended.text
    assert stages.windows.exists()


# -- datasets ------------------------------------------------------------------------------------------------


def replace_line(number, line):
    def change(folder):
        file = folder / "labels" / "b_gt_class_coords.txt"
        lines = file.read_text().splitlines()
        lines[number - 1] = line
        file.write_text("\n".join(lines) + "\n")

    return change


def truncate(folder):
    file = folder / "images" / "b.png"
    file.write_bytes(file.read_bytes()[:-2000])


def empty_images(folder):
    for file in [*folder.glob("images/*"), *folder.glob("labels/*")]:
        file.unlink()


BAD_FILES = {
    "missing image": (lambda folder: (folder / "images" / "b.png").unlink(), ["brca_ds_train.txt:2", "b.png"]),
    "missing dots": (
        lambda folder: (folder / "labels" / "b_gt_class_coords.txt").unlink(),
        ["b_gt_class_coords.txt", "does not exist"],
    ),
    "class outside the map": (replace_line(2, "20 30 7"), ["b_gt_class_coords.txt:2", "'7'", "1, 2, 3"]),
    "dot outside the image": (replace_line(3, "40 0 3"), ["b_gt_class_coords.txt:3", "y=40", "40×40"]),
    "text in a coordinate": (replace_line(1, "3 four 1"), ["b_gt_class_coords.txt:1", "x is 'four'"]),
    "truncated image": (truncate, ["b.png", "truncated"]),
    "no images": (empty_images, ["no image matches", "images/*.png"]),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_read_cells_refuses(case, stages, dataset):
    spoil, words = BAD_FILES[case]
    spoil(dataset)
    assert stages.fetch().status == 0  # it lists what there is
    assert_refused(stages.read(), "read_cells", words, [stages.cells, stages.images])


@pytest.mark.parametrize("case", ["empty folder", "no folder"])
def test_fetch_dataset_refuses(case, stages, dataset):
    shutil.rmtree(dataset)
    if case == "empty folder":
        dataset.mkdir()
    assert_refused(stages.fetch(), "fetch_dataset", [str(dataset)], [stages.manifest])


# -- files between stages --------------------------------------------------------------------------------------


def truncate_cells(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def another_version(path):
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 999


BAD_CELLS = {
    "truncated": (truncate_cells, ["cells.h5", "truncated"]),
    "empty": (lambda path: path.write_bytes(b""), ["cells.h5", "truncated"]),
    "of another version": (another_version, ["cells.h5", "999"]),
    "missing": (lambda path: path.unlink(), ["cells.h5", "does not exist"]),
    "of another kind": (lambda path: shutil.copy(path.with_name("images.h5"), path), ["cellscaper/images"]),
}


@pytest.mark.parametrize("case", BAD_CELLS)
def test_cut_patches_refuses_cells(case, stages):
    spoil, words = BAD_CELLS[case]
    assert stages.fetch().status == 0
    assert stages.read().status == 0
    spoil(stages.cells)
    assert_refused(stages.cut(), "cut_patches", words, [stages.windows])


def test_cut_patches_refuses_patches_larger_than_an_image(stages):
    assert stages.fetch().status == 0
    assert stages.read().status == 0
    assert_refused(stages.cut(region=48), "cut_patches", ["40×40", "48×48"], [stages.windows])


def test_a_folder_in_place_of_a_file_is_refused(stages):
    stages.manifest.mkdir(parents=True)
    assert_refused(stages.read(), "read_cells", ["manifest.json"], [stages.cells, stages.images])


# -- through Snakemake -----------------------------------------------------------------------------------------


def call_snakemake(house, tmp_path, config, *arguments):
    """Snakemake in a folder of its own, with a config over the `ci` preset."""
    copy = house.copy(tmp_path / "house")
    return copy, copy.snakemake(*arguments, overlays=copy.overlay("own.yaml", json.dumps(config)))


@pytest.mark.parametrize(
    ("config", "where", "near"),
    [
        ({"metrics": {"topofd": {"sample": 3}}}, "metrics.topofd.sample", "samples"),
        ({"experiments": {"adm": {"trainig": {"lr": 1}}}}, "experiments.adm.trainig", "training"),
        ({"painterz": {}}, "painterz", "painters"),
    ],
)
def test_unknown_config_key_is_named_with_file_and_nearest_key(config, where, near, house, tmp_path):
    copy, ended = call_snakemake(house, tmp_path, config, "--dry-run")
    assert ended.status == 1
    said = [line for line in ended.text.splitlines() if "unknown key" in line]
    assert len(said) == 1, ended.text
    assert f"'{where}' in {copy.folder / 'own.yaml'}" in said[0]
    assert f"did you mean '{near}'?" in said[0]
    assert "Traceback" not in ended.text
    assert not (copy.folder / "results").exists()


def assert_refused_by(copy, ended, rule, words, absent):
    said = [line.strip() for line in ended.text.splitlines() if line.strip().startswith(f"{rule}: error: ")]
    assert ended.status == 1, ended.text
    assert said, ended.text
    assert len(set(said)) == 1, said  # the log shows it again
    assert all(word in said[0] for word in words), said[0]
    assert "Traceback" not in ended.text
    assert not (copy.folder / absent).exists()


def test_snakemake_shows_a_dataset_folder_that_is_missing(house, tmp_path):
    config = {"datasets": {"brca_m2c": {"path": str(tmp_path / "nowhere")}}, "run": {"datasets": ["brca_m2c"]}}
    target = "results/brca_m2c/fetch_dataset/manifest.json"
    copy, ended = call_snakemake(house, tmp_path, config, target)
    assert ended.status == 1
    assert f"datasets.brca_m2c.path = '{tmp_path / 'nowhere'}': there is no such folder; " in ended.text
    assert "Traceback" not in ended.text and not (copy.folder / "results").exists()


def test_snakemake_shows_a_bad_dot(house, dataset, tmp_path):
    replace_line(2, "20 30 7")(dataset)
    config = {"datasets": {"brca_m2c": {"path": str(dataset)}}, "run": {"datasets": ["brca_m2c"]}}
    target = "results/brca_m2c/cut_patches/w256.h5"
    copy, ended = call_snakemake(house, tmp_path, config, target)
    assert_refused_by(copy, ended, "read_cells", ["b_gt_class_coords.txt:2", "'7'"], target)
    assert not list((copy.folder / "results").rglob("*.h5"))


def test_snakemake_shows_images_that_are_too_small(house, dataset, tmp_path):
    config = {"datasets": {"brca_m2c": {"path": str(dataset)}}, "run": {"datasets": ["brca_m2c"]}}
    target = "results/brca_m2c/cut_patches/w256.h5"
    copy, ended = call_snakemake(house, tmp_path, config, target)
    assert_refused_by(copy, ended, "cut_patches", ["none of the 1 layouts", "128×128"], target)
