"""Blanks, quotes and letters beyond ASCII in every folder: the project's, the results', the data set's.

`make test` runs every rule once, `make test-long` the whole `ci` preset.
"""

import json

import pytest
import yaml
from PIL import Image

from cellscaper.datasets import phantom

RESULTS = "my results (ä) 'x'"
LEFT_OUT = {"why": "left out of this run"}
KEPT = {  # rows that are run; they need every rule
    "tc_table1": {"random", "spatial_diffusion"},
    "tc_table2": {"real", "spatial_diffusion"},
    "image_quality": {"real", "spatial_diffusion"},
}


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


def every_rule_once(config):
    """Leaves out the rows that no rule needs, and the second detector."""
    config["tables"] = {
        table: {"rows": dict.fromkeys(set(config_rows(table)) - kept, LEFT_OUT)} for table, kept in KEPT.items()
    }
    config["tables"]["tc_table2"]["detectors"] = ["unet"]
    config["detectors"] = {"unet": {"synthetic_fractions": [0.25, 0.5]}}  # so that one is selected


def config_rows(table):
    from cellscaper.plan.configuration import defaults

    return defaults()["tables"][table]["rows"]


@pytest.mark.parametrize("rows", ["every rule", pytest.param("ci", marks=pytest.mark.long)])
def test_a_whole_run_in_folders_with_blanks_quotes_and_umlauts(rows, house, jobs, tissue, tmp_path):
    own = house.copy(tmp_path / "it's my project (ü)")
    config = {"results": RESULTS, "run": {"datasets": ["tissue"]}, "datasets": {"tissue": tissue}}
    if rows == "every rule":
        every_rule_once(config)
    overlays = own.overlay("my own 'values'.yaml", yaml.safe_dump(config, allow_unicode=True))
    assert {job.rule for job in own.plan(overlays=overlays)} == {job.rule for job in jobs}

    ended = own.snakemake(overlays=overlays)
    assert ended.status == 0, ended.text
    results = own.folder / RESULTS
    assert {path.name for path in results.iterdir()} >= {"report.html", "tissue"}
    manifest = json.loads((results / "tissue/fetch_dataset/manifest.json").read_text(encoding="utf-8"))
    assert tissue["path"] in json.dumps(manifest, ensure_ascii=False).replace('\\"', '"')
    assert not (own.folder / "results").exists()
    again = own.snakemake(overlays=overlays)
    assert "Nothing to be done" in again.text, again.text
