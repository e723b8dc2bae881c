"""Where each result lies, and which results each rule needs."""

import pytest
import yaml

from cellscaper.plan.configuration import configuration
from cellscaper.plan.outputs import Outputs
from cellscaper.plan.schema import facts
from cellscaper.plan.sections import set_section


def outputs(own=""):
    return Outputs(configuration(yaml.safe_load(own) or {}))


@pytest.fixture(scope="module")
def every():
    return outputs()


def test_files_lie_below_the_results_by_dataset_and_stage():
    made = outputs("results: 'my results'")
    assert made.cells("lizard") == "my results/lizard/read_cells/cells.h5"
    assert made.images("lizard") == "my results/lizard/read_cells/images.h5"
    assert made.windows_of("lizard", "sd_gmm") == "my results/lizard/cut_patches/w464.h5"
    assert made.targets_of("lizard", "sd_gmm") == "my results/lizard/cut_patches/w464-targets.h5"
    assert made.reference("lizard", "sd_gmm") == ["my results/lizard/cut_patches/w464-reference.h5"]
    assert made.reference("lizard", "real_vs_real_sd") == made.reference("lizard", "adm") == []
    assert made.targets_of("lizard", "adm") == made.windows_of("lizard", "adm")
    assert (
        made.layouts("lizard", "adm", "test", "seed0") == "my results/lizard/sample_layouts/adm/test/seed0/layouts.h5"
    )


def test_weights_are_those_of_the_first_experiment_with_the_same_recipe(every):
    assert every.layout_weights("d", "adm_steps_5", "2") == [
        "results/d/train_layout/adm_counts/seed2/model.safetensors"
    ]
    assert every.layout_weights("d", "random", "2") == []


def test_density_maps_are_fitted_on_the_pixels_of_the_grid(every):
    assert every.density("d", "sd_gmm_4") == ["results/d/fit_density/gmm_4/stride2.h5"]
    assert every.density("d", "tc_sd_gmm") == ["results/d/fit_density/gmm/stride1.h5"]
    assert every.density("d", "sd_none") == every.density("d", "random") == []


def test_detectors_are_tried_with_each_fraction_of_synthetic_crops(every):
    assert every.mixes("unet", None) == [0]
    assert every.mixes("unet", "random") == [25, 50, 75]
    assert outputs("detectors: {unet: {synthetic_fractions: [0.07, 0.29]}}").mixes("unet", "random") == [7, 29]
    folder = "results/d/train_detector/unet"
    assert every.mixed_detectors("d", "unet", "real_only", "points", "1") == [
        f"{folder}/real_only/points/mix0/seed1/model.safetensors"
    ]
    assert every.mixed_detectors("d", "unet", "adm", "components", "1") == [
        f"{folder}/adm/components/mix{mix}/seed1/model.safetensors" for mix in (25, 50, 75)
    ]
    assert every.detector_weights("d", "unet", "adm", "components", "1") == (
        "results/d/select_detector/unet/adm/components/seed1/model.safetensors"
    )
    assert "train_detector" in every.detector_weights("d", "unet", "real_only", "points", "1")
    one = outputs("detectors: {unet: {synthetic_fractions: [0.5]}}")
    assert one.detector_weights("d", "unet", "adm", "components", "1") == (
        f"{folder}/adm/components/mix50/seed1/model.safetensors"
    )


def test_pairs_are_none_for_real_images_and_not_scored_for_real_layouts(every):
    assert every.pairs("d", "real_only", "points", "0") == {}
    assert every.scored_pairs("d", "real_vs_real", "points", "0") == {}
    assert every.pairs("d", "real_vs_real", "points", "0")["layouts"].endswith("real_vs_real/train/seed0/layouts.h5")
    assert every.scored_pairs("d", "adm", "components", "0") == every.pairs("d", "adm", "components", "0")
    assert every.pairs("d", "adm", "components", "0") == {
        "layouts": "results/d/sample_layouts/adm/train/seed0/layouts.h5",
        "painted": "results/d/paint_images/adm/components/seed0/images.h5",
    }


def test_a_painter_needs_its_weights_or_where_it_is_not_trained_the_training_images(every, monkeypatch):
    assert every.painting("d", "sd_gmm", "1") == {
        "model": ["results/d/train_image/sd/seed1/model.safetensors"],
        "cells": [],
        "images": [],
    }
    monkeypatch.setitem(facts()["painters"], "diffusion", {"trained": False})
    assert every.painting("d", "sd_gmm", "1") == {
        "model": [],
        "cells": ["results/d/read_cells/cells.h5"],
        "images": ["results/d/read_cells/images.h5"],
    }


def test_networks_and_the_judge_are_trained_once_for_all_seeds():
    made = outputs("seeds: [3, 5]")
    assert made.networks("d", "adm", "components") == {
        "autoencoder": "results/d/train_features/tc/seed3/model.safetensors"
    }
    assert made.image_judge("d") == "results/d/train_detector/unet/real_only/points/mix0/seed3/model.safetensors"


def test_a_table_needs_the_scores_of_its_rows_over_all_seeds():
    made = outputs("seeds: [3, 5]\ntables: {tc_table1: {rows: {permuted: {why: left out}}}}")
    scores = made.table_scores("d", "tc_table1")
    assert "results/d/score_layouts/adm_counts/requested/seed5/scores.csv" in scores
    assert not [file for file in scores if "permuted" in file]
    assert len(scores) == len(set(scores)) == 2 * 20 and made.table_counts("d", "tc_table1") == []
    detections = made.table_scores("d", "tc_table2")
    assert "results/d/score_detections/mcspatnet/real_only/points/seed3/scores.csv" in detections
    assert len(detections) == 2 * 2 * 10
    assert made.table_counts("d", "tc_table2") == [file.replace("scores.csv", "counts.csv") for file in detections]
    assert "results/d/score_images/real_vs_real/points/seed3/scores.csv" in made.table_scores("d", "image_quality")


SET = "sets: {big: {dataset: lizard, experiment: %s, layouts: 4000, parts: 2, images: %s, seed: 7}}"


def test_a_generated_set_has_a_folder_for_each_part():
    made = outputs(SET % ("point_diffusion", "true"))
    folder = "results/lizard/sets/big"
    assert made.set_files() == [
        f"{folder}/part{part}-of-2/{file}" for part in (1, 2) for file in ("layouts.h5", "images.h5")
    ]
    assert outputs(SET % ("adm_steps_5", "false")).set_files() == [f"{folder}/part{p}-of-2/layouts.h5" for p in (1, 2)]
    assert outputs().set_files() == []


def test_a_generated_set_needs_weights_of_its_seed_and_targets_only_of_categories():
    model = "results/lizard/train_layout/{}/seed7/model.safetensors"
    made = outputs(SET % ("adm_steps_5", "false"))
    assert made.set_inputs("big") == {"targets": [], "model": [model.format("adm_counts")]}
    assert made.set_painting("big")["model"] == ["results/lizard/train_image/tc/seed7/model.safetensors"]
    made = outputs(SET % ("sd_gmm", "false"))
    assert made.set_inputs("big")["targets"] == ["results/lizard/cut_patches/w464-targets.h5"]
    assert outputs(SET % ("random", "false")).set_inputs("big") == {"targets": [], "model": []}


@pytest.mark.slow
def test_parts_begin_where_batches_of_layouts_and_of_images_begin():
    def unit(own, experiment="point_diffusion"):
        return set_section(outputs(own + "\n" + SET % (experiment, "true")).experiments, "big")["unit"]

    assert unit("") == 32  # of the sampler; 8 of the painter
    assert unit("painters: {tc: {sampling: {batch: 24}}}") == 96
    assert unit("painters: {tc: {sampling: {batch: 24}}}", "random") == 24
    section = set_section(outputs(SET % ("sd_gmm", "false")).experiments, "big")
    assert (section["counts"], section["layouts"], section["unit"]) == ("targets", 4000, 16)
    assert set_section(outputs(SET % ("point_diffusion", "false")).experiments, "big")["counts"] == "crops"
