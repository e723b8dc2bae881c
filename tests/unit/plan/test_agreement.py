"""Values that each are allowed and do not go together, and values that no stage can use."""

import pytest
import yaml

from cellscaper.plan.configuration import configuration

DOTS = "{path: x, images: '*.png', dots: '{stem}.csv', mpp: 0.5, reader: dots, classes: [a, b], split: {test: 1}}"


@pytest.mark.parametrize(
    ("own", "where"),
    [
        ("metrics: {detection: {radius: .inf}}", "metrics.detection.radius = inf"),
        ("metrics: {mmd: {sigma: .nan}}", "metrics.mmd.sigma = nan"),
        ("detectors: {unet: {synthetic_fractions: [.nan]}}", "detectors.unet.synthetic_fractions.0 = nan"),
        ("seeds: [.nan]", "seeds.0 = nan"),
        ("experiments: {adm: {training: {lr: -.inf}}}", "experiments.adm.training.lr = -inf"),
        (
            "experiments: {sd_none: {condition: {edges: [1, .nan, 3, 4]}}}",
            "experiments.sd_none.condition.edges.1 = nan",
        ),
        (
            "tables: {sampling_steps: {rows: {adm_5: {curve: [a, .inf]}}}}",
            "tables.sampling_steps.rows.adm_5.curve.1 = i",
        ),
    ],
)
def test_a_number_that_is_not_finite_is_refused(own, where, mine, refused_overlay):
    text = refused_overlay(own)
    assert text.startswith(where) and text.endswith(f" in {mine}: not a finite number")


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("metrics.detection.radius", 101, "greater than the maximum of 100"),
        ("detectors.unet.synthetic_fractions", [0.255], "expected different whole percentages"),
        ("detectors.unet.synthetic_fractions", [0.014], "expected different whole percentages"),
        ("detectors.unet.synthetic_fractions", [0.25, 0.251], "expected different whole percentages"),
        ("detectors.mcspatnet.synthetic_fractions", [0.5, 0.50000001], "expected different whole percentages"),
        ("metrics.image_quality.detector", "mcspatnet", "a detector of method mcspatnet; images are judged by one of"),
        ("experiments.sd_none.condition.edges", [], "5 categories have 4 limits that rise"),
        ("experiments.sd_none.condition.edges", [1, 2, 3], "5 categories have 4 limits that rise"),
        ("experiments.sd_none.condition.edges", [1, 2, 4, 3], "5 categories have 4 limits that rise"),
        ("experiments.sd_none.condition.edges", [1, 2, 2, 3], "5 categories have 4 limits that rise"),
        ("run.tables", ["tc_table1", "tc_table1"], "non-unique"),
        ("run.datasets", ["lizard", "lizard"], "non-unique"),
        ("seeds", [2**63], "expected a whole number from 0 below 2^63"),
        ("datasets.mine.classes", ["a", "a"], "non-unique"),
        ("datasets.mine.classes", ["a", ""], "non-empty"),
        ("datasets.mine.split", {}, "expected fractions of train, val, test that add up to 1"),
        ("datasets.mine.split", {"train": 0.9, "test": 0.2}, "expected fractions of train, val, test that add up to 1"),
        ("datasets.mine.split", {"train": 0.5, "seed": 1}, "expected fractions of train, val, test that add up to 1"),
    ],
)
def test_what_no_stage_can_use_is_refused(path, value, expected, put, mine, refused_overlay):
    own = {"datasets": {"mine": yaml.safe_load(DOTS)}}
    put(own, path, value)
    text = refused_overlay(own)
    assert text.startswith(path) and f" in {mine}: " in text and expected in text


def test_what_stages_can_use_is_taken(put):
    own = {"datasets": {"mine": yaml.safe_load(DOTS)}}
    put(own, "seeds", [0, 2**63 - 1])
    put(own, "metrics.detection.radius", 100)
    put(own, "detectors.unet.synthetic_fractions", [0.01, 0.07, 0.29, 0.57, 0.58, 1])  # 100 * 0.57 < 57
    put(own, "experiments.sd_none.condition.edges", [73, 148, 194, 276])  # of the released code
    put(own, "datasets.lists", {**yaml.safe_load(DOTS), "split": {"train": "a.txt", "val": "b.txt", "test": "c.txt"}})
    put(own, "datasets.mine.split", {"train": 0.7, "val": 0.1, "test": 0.2})
    found = configuration(own)
    assert found["experiments"]["sd_gmm_k10"]["condition"]["edges"] == "quantiles"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("dataset", "brca", "no such entry in datasets; did you mean 'brca_m2c'?"),
        ("experiment", "point_difusion", "no such entry in experiments; did you mean 'point_diffusion'?"),
        ("experiment", "real_vs_real", "real layouts are not generated; name a system that generates"),
        ("decoder", "requested", "layouts of generator point_diffusion are read by points"),
        ("parts", 5, "128 layouts, 32 at a time, can be at most 4 parts; give fewer parts"),
        ("layouts", 0, "less than the minimum of 1"),
        ("part", 3, "did you mean 'parts'?"),
    ],
)
def test_a_set_that_cannot_be_is_refused(key, value, expected, mine, refused_overlay):
    own = {"dataset": "brca_m2c", "experiment": "point_diffusion", "layouts": 128, "images": True, key: value}
    text = refused_overlay({"sets": {"big": own}})
    assert "sets.big" in text and str(mine) in text and expected in text


def test_images_of_a_system_with_several_decoders_name_one(refused_overlay):
    own = {"dataset": "brca_m2c", "experiment": "adm", "layouts": 128}
    configuration({"sets": {"big": own}})
    configuration({"sets": {"big": {**own, "images": True, "decoder": "requested"}}})
    text = refused_overlay({"sets": {"big": {**own, "images": True}}})
    assert "layouts of generator adm are read by components or released or peaks or requested" in text
