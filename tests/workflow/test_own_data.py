"""The walk-through of docs/own-data.md: a folder of images and dots, `cellscaper check`, then the workflow on it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image

from cellscaper.datasets import phantom
from cellscaper.disk.storage import ImageSet, read_layouts

PAGE = Path(__file__).resolve().parents[2] / "docs/own-data.md"
TISSUE = phantom.Settings(images=phantom.Images(train=7, val=1, test=2), size=(256, 240), seed=11)
READ = "results/edited/read_cells/cells.h5"
CONFIG = """
run: {{datasets: [edited]}}
datasets:
  edited:
    reader: dots
    path: {folder}
    images: images/*.png
    dots: dots/{{stem}}.csv
    columns: {{y: y, x: x, class: class}}
    classes: [epithelial, lymphocyte, stromal]
    class_map: {{epithelial: epithelial, lymphocyte: lymphocyte, stromal: stromal}}
    mpp: 0.5
    split: {{train: 0.7, val: 0.1, test: 0.2, seed: 0}}
"""


@pytest.fixture
def tissue():
    return list(phantom.read(TISSUE, None))


@pytest.fixture
def folder(tissue, tmp_path):
    """Images and CSV files as the page has them."""
    for name in ("images", "dots"):
        (tmp_path / "my_folder" / name).mkdir(parents=True)
    for record in tissue:
        names = phantom.classes(TISSUE)
        Image.fromarray(record.image).save(tmp_path / "my_folder/images" / f"{record.image_id}.png")
        dots = zip(record.points.tolist(), record.labels.tolist(), strict=True)
        lines = [f"{y},{x},{names[label]}" for (y, x), label in dots]
        (tmp_path / "my_folder/dots" / f"{record.image_id}.csv").write_text("\n".join(["y,x,class", *lines]))
    return tmp_path / "my_folder"


def test_a_folder_is_checked_and_then_read_cut_and_planned(house, folder, tissue, tmp_path):
    house = house.copy(tmp_path / "house")
    ended = house.run([sys.executable, "-m", "cellscaper", "check", str(folder), "-o", "mine.yaml", "--mpp", "0.5"])
    assert ended.status == 0, ended.text
    preset, own = re.search(r"--configfile (\S+) (\S+)", ended.text).groups()
    overlays = (preset, own)

    jobs = house.plan(overlays=overlays)
    assert {"train_layout", "score_layouts", "train_detector", "make_tables", "make_report"} <= {
        job.rule for job in jobs
    }
    assert all("mine" in job.entries["output"] or job.rule == "make_report" for job in jobs)

    made = house.snakemake("results/mine/cut_patches/w256.h5", overlays=overlays)
    assert made.status == 0, made.text
    cells = read_layouts(house.folder / "results/mine/read_cells/cells.h5")
    assert {str(name): n for name, n in zip(cells.source, cells.counts().sum(axis=1), strict=True)} == {
        record.image_id: len(record.labels) for record in tissue
    }
    with ImageSet(house.folder / "results/mine/read_cells/images.h5") as images:
        by_name = {record.image_id: record.image for record in tissue}
        assert all((images[i] == by_name[str(name)]).all() for i, name in enumerate(cells.source))
    patches = read_layouts(house.folder / "results/mine/cut_patches/w256.h5")
    config = yaml.safe_load((house.folder / own).read_text(encoding="utf-8"))
    assert patches.common_size() == (128, 128) and len(patches) >= 200
    assert config["fields"]["w256"]["windows"]["stride"] in (4, 8, 16, 32)


def test_the_printed_command_plans_when_it_is_pasted_in_a_fresh_folder(folder, tmp_path):
    fresh = tmp_path / "somewhere else"
    fresh.mkdir()
    check = [sys.executable, "-m", "cellscaper", "check", str(folder), "-o", "my own.yaml", "--mpp", "0.5"]
    said = subprocess.run(check, cwd=fresh, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    command = said.rstrip().splitlines()[-1].strip()
    assert command.endswith(f"'{fresh}/my own.yaml'")
    planned = subprocess.run(f"{command} -n", shell=True, cwd=fresh, capture_output=True, text=True, encoding="utf-8")
    assert planned.returncode == 0, planned.stderr[-2000:]
    assert "train_layout" in planned.stdout and "mine" in planned.stdout


def rules_to_run(workflow, overlays):
    jobs = workflow.plan(READ, overlays=overlays)
    assert not any(".png" in entry for job in jobs for entry in job.entries.values())  # no list of every file
    return [job.rule for job in jobs]


def test_an_edited_file_is_read_again_and_a_copied_one_is_not(house, folder, tmp_path):
    own = house.copy(tmp_path / "house")
    overlays = own.overlay("mine.yaml", CONFIG.format(folder=folder))
    image, dots = folder / "images/test-0000.png", folder / "dots/test-0000.csv"
    assert rules_to_run(own, overlays) == ["fetch_dataset", "read_cells"]
    assert own.snakemake(READ, overlays=overlays).status == 0
    assert rules_to_run(own, overlays) == []

    later = time.time() + 60
    os.utime(image, (later, later))
    assert rules_to_run(own, overlays) == []

    before = dots.read_text()
    dots.write_text(before.rsplit("\n", 1)[0])
    assert rules_to_run(own, overlays) == ["fetch_dataset", "read_cells"]
    dots.write_text(before)
    (folder / "images/more.txt").write_text("")
    assert rules_to_run(own, overlays) == ["fetch_dataset", "read_cells"]


def test_a_folder_too_large_to_read_is_known_by_the_times_of_its_files(house, folder, tmp_path):
    own = house.copy(tmp_path / "house")
    overlays = own.overlay("mine.yaml", CONFIG.format(folder=folder))
    rules = own.folder / "src/cellscaper/plan/folders.py"
    text, found = re.subn(r"HASHED = [\d_]+", "HASHED = 1000", rules.read_text(encoding="utf-8"))
    assert found == 1
    rules.write_text(text, encoding="utf-8")
    assert own.snakemake(READ, overlays=overlays).status == 0
    assert rules_to_run(own, overlays) == []
    later = time.time() + 60
    os.utime(folder / "images/test-0000.png", (later, later))
    assert rules_to_run(own, overlays) == ["fetch_dataset", "read_cells"]


def first_words(text):
    """The first word of each line that is said of every folder."""
    words = [line.split()[0] for line in text.splitlines() if line.strip() and " done in " not in line]
    own = ("images", "dots", "scale", "density", "splits", "split", "train", "val", "test", "all")
    return [word for word in words if word in own]


def test_the_page_shows_what_the_command_says(house, folder):
    ended = house.run([sys.executable, "-m", "cellscaper", "check", str(folder), "-o", "shown.yaml"])
    assert ended.status == 0, ended.text
    shown = re.search(r"```\n(images .*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert first_words(shown) == first_words(ended.text)
    for line in shown.splitlines():
        assert line in ended.text


# -- docs/add-a-generator.md -----------------------------------------------------------------------------------


def test_the_generator_of_the_page_joins_the_workflow(house, tmp_path):
    text = (PAGE.parent / "add-a-generator.md").read_text(encoding="utf-8")
    (file,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (config,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    own = house.copy(tmp_path / "house")
    before = {job.name for job in own.plan(overlays=own.overlay("none.yaml", "seeds: [0]"))}

    (own.folder / "src/cellscaper/generators/clustered.py").write_text(file)
    ended = own.run([sys.executable, "workflow/schemas/generate.py"])
    assert ended.status == 0, ended.text

    jobs = own.plan(overlays=own.overlay("own.yaml", config))
    more = {job.name for job in jobs} - before
    assert more == {"sample_layouts phantom/clustered/test/0", "score_layouts phantom/clustered/points/0"}
