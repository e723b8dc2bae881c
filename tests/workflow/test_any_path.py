"""Blanks, quotes and letters beyond ASCII in every folder: the project's, the results', the data set's.

The run that the other tests share has such a project folder. Here a small table is made of data in such a folder, and
every command of the `ci` preset is compared with the usual one. `make test-long` runs the whole preset so.
"""

import json
import shlex

import pytest
import yaml
from PIL import Image

from cellscaper.datasets import phantom
from cellscaper.plan.configuration import defaults

RESULTS = "my results (ä) 'x'"


@pytest.fixture
def tissue(tmp_path):
    """The tissue of the `ci` preset as a folder of images, CSV files and lists, and the block that reads it."""
    settings = phantom.Settings(images=phantom.Images(train=4, val=1, test=4), size=(192, 176), seed=29)
    folder, lists = tmp_path / 'O\'Neil "cells" (ö)', {}
    for name in ("images", "dots"):
        (folder / name).mkdir(parents=True)
    for record in phantom.read(settings, None):
        Image.fromarray(record.image).save(folder / "images" / f"{record.image_id}.png")
        dots = zip(record.points.tolist(), record.labels.tolist(), strict=True)
        lines = ["y,x,class", *(f"{y},{x},{label}" for (y, x), label in dots)]
        (folder / "dots" / f"{record.image_id}.csv").write_text("\n".join(lines), encoding="utf-8")
        lists.setdefault(record.split, []).append(f"{record.image_id}.png")
    for split, names in lists.items():
        (folder / f"my {split}.txt").write_text("\n".join(names), encoding="utf-8")
    classes = list(phantom.classes(settings))
    return {
        "reader": "dots",
        "path": str(folder),
        "images": "images/*.png",
        "dots": "dots/{stem}.csv",
        "columns": {"y": "y", "x": "x", "class": "class"},
        "classes": classes,
        "class_map": {str(i): name for i, name in enumerate(classes)},
        "mpp": 0.5,
        "split": {split: f"my {split}.txt" for split in lists},
    }


def only_random_points(config):
    """Leaves one table, and of its rows those that nothing is trained for."""
    table = defaults()["tables"]["tc_table1"]["rows"]
    left_out = {row: {"why": "left out of this run"} for row in set(table) - {"real_vs_real", "random"}}
    config["run"]["tables"] = ["tc_table1"]
    config["tables"] = {"tc_table1": {"rows": left_out}}


def words(jobs):
    """By job, the words of its command as the shell reads them, with the usual folder of results."""
    return {job.name: [word.replace(RESULTS, "results") for word in shlex.split(job.shell[0])] for job in jobs}


def test_every_command_takes_any_folder_of_results(house, jobs, tmp_path):
    own = house.copy(tmp_path / "house")
    named = own.overlay("own.yaml", yaml.safe_dump({"results": RESULTS}, allow_unicode=True))
    found = own.plan("--forceall", overlays=named)
    assert all(RESULTS in job.shell[0].replace("'\"'\"'", "'") for job in found)
    assert words(found) == words(jobs)


@pytest.mark.parametrize("rows", ["random points", pytest.param("ci", marks=pytest.mark.long)])
def test_a_run_in_folders_with_blanks_quotes_and_umlauts(rows, house, tissue, tmp_path):
    own = house.copy(tmp_path / "it's my project (ü)")
    config = {"results": RESULTS, "run": {"datasets": ["tissue"]}, "datasets": {"tissue": tissue}}
    if rows == "random points":
        only_random_points(config)
    overlays = own.overlay("my own 'values'.yaml", yaml.safe_dump(config, allow_unicode=True))

    table, results = f"{RESULTS}/tissue/tables/tc_table1.csv", own.folder / RESULTS
    wanted = [table] if rows == "random points" else []
    ended = own.snakemake(*wanted, overlays=overlays)
    assert ended.status == 0, ended.text
    assert (own.folder / table).exists() and (wanted or (results / "report.html").exists())
    manifest = json.loads((results / "tissue/fetch_dataset/manifest.json").read_text(encoding="utf-8"))
    assert tissue["path"] in json.dumps(manifest, ensure_ascii=False).replace('\\"', '"')
    assert not (own.folder / "results").exists()
    again = own.snakemake(*wanted, overlays=overlays)
    assert "Nothing to be done" in again.text, again.text
