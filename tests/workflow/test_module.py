"""The workflow as a module of another one, as snakedeploy writes it; the catalog's files; lint."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
WINDOWS = "phantom/cut_patches/w256.h5"
DEPLOYED = """
from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


module cellscaper:
    snakefile: "{house}/workflow/Snakefile"
    config: config


use rule * from cellscaper
"""
PART = """
module cells:
    snakefile: "{house}/workflow/Snakefile"
    pathvars: results="parts/cells"
    config: {config}


use rule * from cells as cells_*


rule count:
    default_target: True
    input: rules.cells_cut_patches.output.windows.format(dataset="phantom", windows="w256")
    output: "sizes.txt"
    shell: "wc -c {{input:q}} > {{output:q}}"
"""


@pytest.fixture
def outer(house, tmp_path):
    """outer(text of a Snakefile) → a folder of another workflow that has the module in ``house``."""

    def made(text, **named):
        (tmp_path / "workflow").mkdir()
        (tmp_path / "workflow/Snakefile").write_text(text.format(house=house.folder, **named), encoding="utf-8")
        one = type(house)(tmp_path)
        one.environment = house.environment
        return one

    return made


def plain(own, *arguments):
    """The command of someone who has only deployed it: no profile, no overlay."""
    return own.command(*arguments, overlays=(), profile="none")


def test_a_deployed_workflow_makes_what_its_configuration_says(outer, tmp_path):
    own = outer(DEPLOYED)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_bytes((REPOSITORY / "config/config.yaml").read_bytes())
    planned = own.plan(overlays=(), profile="none")
    assert {job.rule for job in planned} >= {"make_report", "score_layouts", "draw_persistence"}
    assert not any(job.rule.startswith("train_") for job in planned)
    made = own.run(plain(own, f"results/{WINDOWS}"))
    assert made.status == 0, made.text
    assert (tmp_path / "results" / WINDOWS).stat().st_size > 0


def test_a_wrong_key_of_a_deployed_configuration_is_told_in_one_line(outer, tmp_path):
    own = outer(DEPLOYED)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text("seed: [1]\n", encoding="utf-8")
    refused = own.run(plain(own, "--dry-run"))
    assert refused.status == 1
    assert "unknown key 'seed' in the Snakefile's config; did you mean 'seeds'?" in refused.text


def test_a_part_of_another_workflow_has_its_own_target_and_folder(outer, tmp_path):
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
    own = outer(PART, config=repr(config))
    planned = own.plan(overlays=(), profile="none")
    assert {job.rule for job in planned} == {"cells_fetch_dataset", "cells_read_cells", "cells_cut_patches", "count"}
    whole = own.plan("cells_all", overlays=(), profile="none")
    assert {file.split("/")[0] for job in whole for file in job.files("output")} == {"parts"}
    made = own.run(plain(own))
    assert made.status == 0, made.text
    assert f"parts/cells/{WINDOWS}" in (tmp_path / "sizes.txt").read_text(encoding="utf-8")


def test_snakemake_lints_the_workflow_without_a_complaint(house):
    for snakefile in ("workflow/Snakefile", "Snakefile"):
        ended = house.run([*house.command(overlays=(), profile="none")[:3], "--lint", "--snakefile", snakefile])
        assert ended.status == 0 and "Congratulations" in ended.text, ended.text


def test_the_catalog_finds_what_it_asks_for():
    instructions = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))
    usage = instructions["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["software-stack-deployment"]) == {"conda", "apptainer", "apptainer+conda"}
    for file in ("workflow/Snakefile", "config/README.md", "config/config.yaml", "LICENSE", "README.md"):
        assert (REPOSITORY / file).is_file(), file


def test_the_picture_of_the_rules_shows_the_rules_that_there_are():
    """`python docs/make_rules.py` draws it."""
    picture = ET.parse(REPOSITORY / "docs/rules.svg").getroot()
    shown = ["".join(node.itertext()) for node in picture.iter("{http://www.w3.org/2000/svg}text")]
    rules = [
        name
        for file in sorted((REPOSITORY / "workflow/rules").glob("*.smk"))
        for name in re.findall(r"^rule (\w+):", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert sorted(shown) == sorted([*rules, "all"])
