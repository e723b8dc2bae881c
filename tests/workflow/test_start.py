"""However Snakemake is started: from another folder, through `workflow/Snakefile`, with resources of a profile."""

import json

import pytest
import yaml

METHODS = ("datasets", "density", "generators", "features", "painters", "detectors", "metrics")
REPORTING = """
include: "Snakefile"

import atexit
import json
import sys

workflow.default_target = "all"
parsed = sorted(sys.modules)
atexit.register(lambda: print("MODULES", json.dumps([parsed, sorted(sys.modules)])))
"""


def names(jobs):
    return sorted(job.name for job in jobs)


@pytest.fixture(scope="module")
def imported(house, jobs, tmp_path_factory):
    """The modules of a Snakemake that has parsed the workflow, and of one that has listed all jobs."""
    own = house.copy(tmp_path_factory.mktemp("imported") / "house")
    (own.folder / "reporting.smk").write_text(REPORTING, encoding="utf-8")
    ended = own.snakemake("--snakefile", "reporting.smk", "--dry-run", "--forceall", anew=True)
    assert ended.status == 0, ended.text
    assert f"total {len(jobs) + 1}" in " ".join(ended.text.split())  # with `all`
    (line,) = [line for line in ended.text.splitlines() if line.startswith("MODULES ")]
    return json.loads(line.removeprefix("MODULES "))


@pytest.mark.parametrize("library", ["torch", "scipy", "h5py", "gudhi", "sklearn", "skimage", "matplotlib"])
def test_planning_imports_no_library_of_the_stages(library, imported):
    parsed, all_listed = imported
    assert library not in parsed
    assert library not in all_listed


def test_planning_imports_no_method(imported, house):
    found = {file.parent.name for file in (house.folder / "src/cellscaper").glob("*/protocol.py")}
    assert found == set(METHODS)  # every kind has a protocol
    for modules in imported:
        assert "cellscaper.plan.configuration" in modules
        assert not {"cellscaper.plan.structure", "cellscaper.run.settings", "cellscaper.run.methods"} & set(modules)
        assert not [name for name in modules if name.startswith(tuple(f"cellscaper.{kind}." for kind in METHODS))]


def test_a_start_from_another_folder_finds_configuration_tables_and_schema(house, jobs, tmp_path):
    """Nothing is looked for in the working directory: the same jobs, and results there."""
    elsewhere = type(house)(tmp_path / "else where")
    elsewhere.environment = house.environment
    elsewhere.folder.mkdir()
    (elsewhere.folder / "config.yaml").write_text("nonsense: true\n", encoding="utf-8")
    start = ("--snakefile", str(house.folder / "Snakefile"), "--directory", "there")
    overlays = (str(house.folder / "workflow/presets/ci.yaml"),)
    profile = str(house.folder / "workflow/profiles/local")
    assert names(elsewhere.plan(*start, overlays=overlays, profile=profile)) == names(jobs)

    ended = elsewhere.snakemake(*start, "results/phantom/cut_patches/w256.h5", overlays=overlays, profile=profile)
    assert ended.status == 0, ended.text
    assert (elsewhere.folder / "there/results/phantom/cut_patches/w256.h5").exists()
    assert not (house.folder / "results").exists()


MODULE = """
module cells:
    snakefile: "{house}/Snakefile"
    config: {{"results": "mine", "run": {{"datasets": ["phantom"], "tables": ["tc_table3"]}}}}

use rule * from cells as cells_*

rule outer:
    default_target: True
    input: "mine/phantom/tables/tc_table3.csv"
"""


def test_a_module_of_another_workflow_has_its_own_configuration_alone(house, tmp_path):
    """The outer workflow's overlays and command line are not of this configuration."""
    outer = type(house)(tmp_path)
    outer.environment = house.environment
    (tmp_path / "Snakefile").write_text(MODULE.format(house=house.folder), encoding="utf-8")
    (tmp_path / "outer.yaml").write_text("samples: [a, b]\nresults: theirs\nseeds: [7]\n", encoding="utf-8")
    profile = str(house.folder / "workflow/profiles/local")
    planned = [
        outer.plan("--config", *more, overlays=overlays, profile=profile)
        for more, overlays in ((("depth=3",), ("outer.yaml",)), ((), ()))
    ]
    assert names(planned[0]) == names(planned[1])
    assert "cells_make_tables phantom/tc_table3" in names(planned[0])
    assert any("mine/phantom/sample_layouts" in file for job in planned[0] for file in job.files("output"))
    assert all("theirs" not in file for job in planned[0] for file in job.files("output"))


def test_the_snakefile_of_the_folder_workflow_is_the_same(house, jobs):
    assert names(house.plan("--snakefile", "workflow/Snakefile")) == names(jobs)


def test_a_run_is_up_to_date_through_both_snakefiles(finished):
    assert finished.plan("--snakefile", "workflow/Snakefile") == []


def test_a_profile_sets_resources_and_threads(house, jobs, tmp_path):
    """Those of the configuration stay for all other rules."""
    mine = {
        "set-threads": {"train_layout": 2},
        "set-resources": {"train_layout": {"mem_mb": 1234, "runtime": 17}, "train_image": {"gpu": 1}},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(mine), encoding="utf-8")
    planned = {job.name: job for job in house.plan("--profile", str(tmp_path))}
    assert sorted(planned) == names(jobs)
    for before in jobs:
        job = planned[before.name]
        wanted = {key: before.pairs("resources")[key] for key in ("mem_mb", "runtime", "gpu")}
        wanted |= {key: str(value) for key, value in mine["set-resources"].get(job.rule, {}).items()}
        assert {key: job.pairs("resources")[key] for key in wanted} == wanted, job.name
        threads = 2 if job.rule == "train_layout" else 1
        assert f"--threads {threads}" in job.shell[0], job.name
        if job.rule == "train_image":
            assert "--gpus 1" in job.shell[0]
