"""Overlays: maps merge, the rest is replaced, null removes a map; presets as Snakemake lays them over each other."""

import copy

import pytest
import yaml
from snakemake.utils import update_config

from cellscaper.plan.configuration import configuration
from cellscaper.plan.merging import overlay
from presets import PRESETS, beneath


def read(file):
    return yaml.safe_load(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_presets_are_valid_and_overlaid_as_snakemake_does_it(preset, papers):
    mine, theirs = papers, {}
    for file in beneath(preset):
        mine = overlay(mine, read(file))
        update_config(theirs, read(file))  # Snakemake merges the overlays, which then lie over the papers' values
    assert mine == overlay(papers, theirs)
    configuration(theirs)


def test_some_presets_lie_over_others():
    assert sum(len(beneath(preset)) > 1 for preset in PRESETS) == 19


def test_an_overlay_of_a_block_that_others_share_by_an_anchor_changes_that_block_alone():
    base = yaml.safe_load("{a: &a {condition: {k: 5}}, b: {<<: *a, x: 1}, c: *a}")
    merged = overlay(base, {"b": {"condition": {"k": 2}}})
    assert merged == {"a": {"condition": {"k": 5}}, "b": {"condition": {"k": 2}, "x": 1}, "c": {"condition": {"k": 5}}}


def test_an_overlay_merges_maps_replaces_the_rest_and_changes_neither_side():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": {"c": {"d": 1}}, "n": None, "m": {"x": 1}, "l": [1], "s": 3}
    own = {"a": {"y": [3]}, "b": {"c": {"e": 2}}, "n": {"x": 1}, "m": None, "new": {"k": 1}, "l": None, "s": None}
    before = copy.deepcopy((base, own))
    merged = overlay(base, own)
    assert merged == {
        "a": {"x": 1, "y": [3]},
        "b": {"c": {"d": 1, "e": 2}},
        "n": {"x": 1},
        "new": {"k": 1},
        "l": None,
        "s": None,
    }
    merged["a"]["x"] = merged["new"]["k"] = merged["a"]["y"] = 9
    assert (base, own) == before


@pytest.mark.parametrize(
    ("own", "gone"),
    [
        ("experiments: {sd_gmm_k20: null}\ntables: {sd_table3: {rows: {k20: null}}}", "experiments.sd_gmm_k20"),
        ("tables: {tc_table1: {rows: {permuted: null}}}", "tables.tc_table1.rows.permuted"),
        ("densities: {kde_1_0: null}\nexperiments: {sd_kde_1_0: {density: kde}}", "densities.kde_1_0"),
        ("tables: {tc_table5: null}\nrun: {tables: [tc_table1]}", "tables.tc_table5"),
        (
            "datasets: {phantom: null}\n"
            "tables: {sampling_steps: {skip_datasets: []}, image_copies: {skip_datasets: []}, "
            "detectors: {skip_datasets: []}}",
            "datasets.phantom",
        ),
    ],
)
def test_null_removes_an_entry(own, gone, put):
    node = configuration(yaml.safe_load(own))
    *parents, last = gone.split(".")
    for part in parents:
        node = node[part]
    assert node and last not in node


def test_null_gives_a_block_its_defaults_again():
    config = configuration(yaml.safe_load("painters: {tc: {training: null}}\nexperiments: {adm: {settings: null}}"))
    assert config["painters"]["tc"]["training"]["batch"] == 3  # of the method; config.yaml has 6
    assert config["experiments"]["adm"]["settings"]["network"]["channels"] == 256
    assert config["experiments"]["adm_compact"]["settings"]["diffusion"]["prediction"] == "v"
    assert config["experiments"]["adm"]["settings"]["diffusion"]["prediction"] == "noise"


def test_null_in_an_experiment_leaves_out_a_block_of_its_base():
    own = """
experiments:
  holes: {base: point_diffusion, settings: {topology: {weights: {intra: 1, inter: 2}, below: 30}}}
  plain: {base: holes, settings: {topology: null}}
  maps: {base: sd_gmm, density: null}
"""
    found = configuration(yaml.safe_load(own))["experiments"]
    assert found["holes"]["settings"]["topology"] == {"weights": {"intra": 1, "inter": 2}, "below": 30}
    assert found["plain"] == found["point_diffusion"]
    assert found["maps"]["density"] is None and found["sd_gmm"]["density"] == "gmm"
