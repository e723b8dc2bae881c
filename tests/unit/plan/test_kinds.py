"""A key that chooses others (kind, method, reader, generator): what another choice drops, and what is refused."""

import pytest
import yaml

from cellscaper.plan.configuration import complete, configuration
from cellscaper.plan.experiments import Experiments
from cellscaper.plan.kinds import fitting


def read(*layers):
    return configuration(*map(yaml.safe_load, layers))


# -- own keys of another kind are refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            "experiments: {adm: {condition: {categories: 5}}}",
            "experiments.adm.condition.categories' in {mine}: it belongs to kind count_category, and "
            "experiments.adm.condition.kind = 'none'; add `kind: count_category` (valid here: kind)",
        ),
        (
            "experiments: {adm_counts: {condition: {categories: 5}}}",
            "experiments.adm_counts.condition.categories' in {mine}: it belongs to kind count_category, and "
            "experiments.adm_counts.condition.kind = 'class_counts' in {config}; add `kind: count_category` (valid",
        ),
        (
            "experiments: {mine: {base: adm_counts, condition: {edges: quantiles}}}",
            "experiments.mine.condition.edges' in {mine}: it belongs to kind count_category, and experiments."
            "adm_counts.condition.kind = 'class_counts' in {config}, inherited by experiments.mine; add `kind: ",
        ),
        (
            "experiments: {adm_counts: {condition: {kind: none, scale: 5}}}",
            "experiments.adm_counts.condition.scale' in {mine}: it belongs to kind class_counts, and ",
        ),
        (
            "experiments: {sd_none: {condition: {kind: none}}}",  # sd_gmm_k10 would run without its ten categories
            "experiments.sd_gmm_k10.condition.categories' in {config}: it belongs to kind count_category, and "
            "experiments.sd_none.condition.kind = 'none' in {mine}, inherited by experiments.sd_gmm_k10; add ",
        ),
        (
            "painters: {tc: {condition: {reach: 5}}}",
            "painters.tc.condition.reach' in {mine}: it belongs to kind distance, and ",
        ),
        (
            "painters: {new: {method: diffusion, condition: {kind: markers, width: 5}}}",
            "painters.new.condition.width' in {mine}: it belongs to kind cross_attention, and ",
        ),
        (
            "fields: {w256: {evaluation: {each: 5}}}",
            "fields.w256.evaluation.each' in {mine}: it belongs to kind categories, and fields.w256.evaluation.kind = ",
        ),
        (
            "fields: {w464: {evaluation: {layouts: 5}}}",
            "fields.w464.evaluation.layouts' in {mine}: it belongs to kind windows, and fields.w464.evaluation.kind = ",
        ),
        (
            "experiments: {random: {training: {steps: 5}}}",
            "experiments.random.training' in {mine}: it belongs to generator adm, point_diffusion, spatial_diffusion, "
            "tmccg, topocellgen, and experiments.random.generator = 'random' in {config} (valid here: base, field, gen",
        ),
        (
            "experiments: {retrieval: {condition: {kind: none}}}",
            "experiments.retrieval.condition' in {mine}: generator retrieval makes no maps, and ",
        ),
        ("experiments: {tmccg: {grid: tc}}", "experiments.tmccg.grid' in {mine}: generator tmccg makes no maps, and "),
        (
            "experiments: {adm: {settings: {losses: {after: 0.1}}}}",
            "experiments.adm.settings.losses' in {mine}: it belongs to generator topocellgen, and ",
        ),
        (
            "experiments: {mine: {base: topocellgen, generator: adm, settings: {losses: {after: 0.1}}}}",
            "experiments.mine.settings.losses' in {mine}: it belongs to generator topocellgen, and experiments.mine."
            "generator = 'adm' in {mine} (",
        ),
        (
            "experiments: {hard_core: {settings: {repair: true}}}",
            "experiments.hard_core.settings.repair' in {mine}: it belongs to generator retrieval, and ",
        ),
        (
            "experiments: {adm: {generator: tmccg}}",
            "experiments.adm_category.condition' in {config}: generator tmccg makes no maps, and "
            "experiments.adm.generator = 'tmccg' in {mine}, inherited by experiments.adm_category (valid here: ",
        ),
        (
            "experiments: {topocellgen: {generator: adm}}",
            "experiments.tc_count.settings.losses' in {config}: it belongs to generator topocellgen, and "
            "experiments.topocellgen.generator = 'adm' in {mine}, inherited by experiments.tc_count (valid here: ",
        ),
        ("densities: {kde: {components: 4}}", "densities.kde.components' in {mine}: it belongs to method gmcm, gmm, a"),
        ("densities: {gmm: {method: kde, components: 4}}", "densities.gmm.components' in {mine}: it belongs to method"),
        ("detectors: {unet: {norm: group}}", "detectors.unet.norm' in {mine}: it belongs to method mcspatnet, and "),
        ("datasets: {phantom: {path: x}}", "datasets.phantom.path' in {mine}: it belongs to reader brca_m2c, dots, "),
    ],
)
def test_a_key_of_another_kind_is_told_with_what_chose_the_kind(own, message, mine, refused_overlay, file_of):
    text = refused_overlay(own)
    assert text.startswith("unknown key '" + message.format(mine=mine, config=file_of("config.yaml")))


# -- keys that an earlier layer or a base gave are left behind -------------------------------------------------


@pytest.mark.slow
def test_a_layer_that_changes_the_kind_leaves_the_keys_of_the_other_kind_behind():
    found = read("painters: {tc: {condition: {kind: distance, reach: 12}}}")
    assert found["painters"]["tc"]["condition"] == {"kind": "distance", "reach": 12}
    found = read("fields: {w464: {evaluation: {kind: windows}}}")
    assert found["fields"]["w464"]["evaluation"] == {"kind": "windows", "layouts": None}
    found = read("experiments: {sd_gmm_k10: {condition: {kind: class_counts}}}")["experiments"]
    assert found["sd_gmm_k10"]["condition"] == {"kind": "class_counts", "scale": 50.0, "drop": 0.0}
    found = read(
        "experiments: {adm_counts: {condition: {scale: 7}}}", "experiments: {adm_counts: {condition: {kind: none}}}"
    )
    assert found["experiments"]["adm_counts"]["condition"] == {"kind": "none"}


def test_a_layer_that_names_the_kind_which_a_base_has_keeps_the_keys_of_earlier_layers():
    own = "experiments: {sd_gmm_k10: {condition: {kind: count_category, edges: quantiles}}}"
    assert read(own)["experiments"]["sd_gmm_k10"]["condition"]["categories"] == 10


def test_an_entry_that_changes_the_kind_leaves_the_keys_of_its_bases_kind_behind():
    found = read("experiments: {mine: {base: sd_gmm_k10, condition: {kind: class_counts}}, heir: {base: mine}}")
    for name in ("mine", "heir"):
        assert found["experiments"][name]["condition"] == {"kind": "class_counts", "scale": 50.0, "drop": 0.0}


def test_an_entry_that_changes_the_generator_leaves_what_this_one_lacks_behind():
    found = read("experiments: {mine: {base: topocellgen, generator: adm}, points: {base: adm, generator: tmccg}}")
    mine, points, papers = (found["experiments"][name] for name in ("mine", "points", "adm_counts"))
    assert mine == {**papers, "generator": "adm"}
    assert set(points) == {"generator", "field", "settings", "training", "sampling"}
    assert points["settings"] == found["experiments"]["tmccg"]["settings"]
    assert set(points["sampling"]) == {"batch"} and points["training"]["lr"] == 2.0e-5


def test_a_layer_that_changes_the_generator_leaves_what_this_one_lacks_behind():
    one = "experiments: {mine: {base: topocellgen, settings: {losses: {after: 0.1}}, grid: tc_compact}}"
    found = read(one, "experiments: {mine: {generator: adm}}")["experiments"]
    assert found["mine"] == {**found["adm_counts"], "grid": "tc_compact"}
    found = read(one, "experiments: {mine: {generator: tmccg}}")["experiments"]
    assert "grid" not in found["mine"]


def test_a_layer_that_changes_method_or_reader_leaves_what_this_one_lacks_behind():
    found = read("densities: {gmm_4: {method: kde}}\ndatasets: {phantom: {reader: lizard, layouts: {w256: 3}}}")
    assert found["densities"]["gmm_4"] == found["densities"]["kde"]
    assert set(found["datasets"]["phantom"]) == set(found["datasets"]["lizard"])


def test_a_wrong_key_of_an_earlier_layer_is_still_told(mine, refused_overlay):
    own = "experiments: {mine: {base: topocellgen, settings: {loses: 1}}, heir: {base: mine, generator: adm}}"
    assert refused_overlay(own).startswith(
        f"unknown key 'experiments.mine.settings.loses' in {mine}; did you mean 'losses'"
    )


def test_a_kind_that_there_is_not_is_told(mine, refused_overlay):
    for own in ("painters: {tc: {condition: {kind: dots}}}", "experiments: {adm: {condition: {kind: [none]}}}"):
        assert "condition.kind = " in refused_overlay(own)


def test_equal_conditions_are_trained_once(papers, put):
    counts = {"generator": "adm", "field": "w256", "condition": {"kind": "class_counts", "scale": 2.0}}
    papers["experiments"] = {"counts": counts, **papers["experiments"]}
    papers["experiments"]["none"] = {"base": "counts", "condition": {"kind": "none"}}
    found = Experiments(complete(papers))
    assert found.shared_training("none") != "counts" and found.recipe("none")["condition"] == {"kind": "none"}
    put(papers, "experiments.counts.condition", {"kind": "none"})
    assert Experiments(complete(papers)).shared_training("none") == "counts"


# -- the schema's nodes ------------------------------------------------------------------------------------


CLOSED = {"additionalProperties": False}
KINDS = {
    "choose": "kind",
    "properties": {"kind": {"enum": ["a", "b"]}},
    "allOf": [
        {"if": {"properties": {"kind": {"const": "a"}}}, "then": {"properties": {"kind": {}, "x": {}}, **CLOSED}},
        {
            "if": {"properties": {"kind": {"const": "b"}}},
            "then": {"properties": {"kind": {}, "y": {"properties": {"z": {}}, **CLOSED}}, **CLOSED},
        },
    ],
}


@pytest.mark.parametrize(
    ("node", "value", "expected"),
    [
        (KINDS, {"kind": "a", "x": 1, "y": 2}, {"kind": "a", "x": 1}),
        (KINDS, {"kind": "b", "x": 1, "y": {"z": 1, "w": 2}}, {"kind": "b", "y": {"z": 1}}),
        (KINDS, {"x": 1, "y": 2, "w": 3}, {"x": 1, "y": 2}),
        (KINDS, 7, 7),
        ({"additionalProperties": KINDS}, {"n": {"kind": "a", "y": 1}}, {"n": {"kind": "a"}}),
        ({"properties": {"k": KINDS}}, {"k": {"kind": "b", "x": 1}, "other": 1}, {"k": {"kind": "b"}, "other": 1}),
        ({"anyOf": [{"type": "string"}]}, {"any": 1}, {"any": 1}),
    ],
)
def test_what_a_kind_lacks_is_left_out(node, value, expected):
    assert fitting(node, value) == expected
