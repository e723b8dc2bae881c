"""Committed results against a rerun at toy size: simulated tissue, what needs no training."""

import os
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from cellscaper.report.committed import collect
from cellscaper.report.committed.cells import read_cells, to_csv
from scripts import script

REPOSITORY = Path(__file__).resolve().parents[2]
TOY = {
    "seeds": [0],
    "run": {"datasets": ["phantom"], "tables": ["tc_table1_released"]},
    "datasets": {"phantom": {"images": {"train": 3, "val": 1, "test": 4}, "size": [192, 176], "seed": 29}},
    "fields": {"w256": {"region": 128, "windows": {"stride": 16}, "evaluation": {"layouts": 60}, "features": []}},
    "painters": {"tc": {"grid": {"region": 128}}},
    "metrics": {"topofd": {"samples": 16, "protocols": ["released"]}},
    "tables": {
        "tc_table1_released": {
            "rows": {
                **{
                    name: {"why": "left out"}
                    for name in ("adm", "tmccg", "spatial_diffusion", "topocellgen", "topocellgen_losses_released")
                },
                "hard_core": {"label": "hard core", "experiment": "hard_core", "decoder": "points"},
            },
            "columns": [{"metric": "cce", "class": "*"}, {"metric": "tce"}, {"metric": "nn_mixing", "class": "mean"}],
        }
    },
}


@pytest.fixture(scope="module")
def toy(house, tmp_path_factory):
    """A copy with a preset of its own, run once into `first`, and its results committed."""
    flow = house.copy(tmp_path_factory.mktemp("verify") / "it's here")
    (flow.folder / "workflow/presets/toy.yaml").write_text(yaml.safe_dump(TOY, sort_keys=False), encoding="utf-8")
    ended = flow.snakemake(
        "first/phantom/tables/tc_table1_released.csv",
        "--config",
        "results=first",
        overlays=("workflow/presets/toy.yaml",),
    )
    assert ended.status == 0, ended.text
    maker = script("docs/make_results.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maker, "FOLDER", flow.folder / "committed")
        patch.setattr(collect, "PRESETS", flow.folder / "workflow/presets")
        maker.write_run(flow.folder / "first", "toy", "a machine", resamples=10, threads=1)
    return flow


def verify(flow, *more):
    command = [*flow.command()[:1], "-m", "cellscaper", "verify", "--committed", "committed", "--preset", "toy", *more]
    return flow.run(command)


def changed(flow, name, change):
    """A copy of the committed results, in which ``change`` has made other cells."""
    folder = flow.folder / name / "toy"
    folder.mkdir(parents=True)
    cells = read_cells(flow.folder / "committed/toy/tc_table1_released.csv")
    (folder / "tc_table1_released.csv").write_text(to_csv(change(cells)), encoding="utf-8")
    return flow.folder / name


def test_committed_results_say_what_made_them(toy):
    cells = read_cells(toy.folder / "committed/toy/tc_table1_released.csv")
    assert [cell.row for cell in cells if cell.metric == "tce"] == ["real_vs_real", "random", "hard_core"]
    for cell in cells:
        assert (cell.preset, cell.machine, cell.seeds, cell.n, cell.images) == ("toy", "a machine", "0", "1", "4")
        assert cell.commit and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", cell.made)
        assert float(cell.low) <= float(cell.value) <= float(cell.high)


def test_a_rerun_in_another_folder_reproduces_every_number(toy):
    ended = verify(toy, "--full", "--rerun", "again", "--cores", "2")
    assert ended.status == 0, ended.text
    cells = read_cells(toy.folder / "committed/toy/tc_table1_released.csv")
    n = len(cells)
    assert f"{n} of {n} cells reproduced within the 95 % interval by the bootstrap over 4 images" in ended.text
    assert f"{n} are the same number" in ended.text
    assert (toy.folder / "again/toy/phantom/tables/tc_table1_released.csv").exists()


def test_the_run_that_the_numbers_were_made_from_is_refused(toy):
    ended = verify(toy, "--results", "first")
    assert ended.status == 1 and "were made from this very run" in ended.text


@pytest.fixture(scope="module")
def other(toy):
    """A finished run that is not the first: its scores are of another time."""
    folder = toy.folder / "other"
    shutil.copytree(toy.folder / "first", folder)
    for file in folder.rglob("scores.csv"):
        os.utime(file, (time.time() - 5000,) * 2)
    return folder


def test_a_changed_number_is_named_with_exit_status_1(toy, other):
    def change(cells):
        seven = {"value": "7", "low": "6.5", "high": "7.5"}
        return [replace(one, **seven) if (one.row, one.metric) == ("random", "tce") else one for one in cells]

    ended = verify(toy, "--results", str(other), "--committed", str(changed(toy, "changed", change)))
    assert ended.status == 1
    assert "phantom tc_table1_released random: tce by points: 0, committed 7, expected 5.99999 to 8.00001" in ended.text
    assert ended.text.strip().splitlines()[-1].startswith("cellscaper: error: 1 of ")


def test_a_row_that_the_rerun_has_not_is_listed(toy, other):
    def change(cells):
        return [*cells, *(replace(cell, row="adm") for cell in cells if cell.row == "random" and cell.metric == "tce")]

    ended = verify(toy, "--results", str(other), "--committed", str(changed(toy, "more", change)))
    assert ended.status == 1
    assert "phantom tc_table1_released adm: tce by points: missing in the rerun, committed 0" in ended.text


def test_no_number_is_left_of_a_rerun_that_fails(toy):
    ended = verify(toy, "--full", "--rerun", "broken", "--config", "run={tables: [nothing]}")
    assert ended.status == 1 and "the rerun of toy ended with status 1" in ended.text
