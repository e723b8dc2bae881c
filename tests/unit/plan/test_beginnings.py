"""Which trainings begin alike, and what they share."""

import copy
import re

import pytest
import yaml

from cellscaper.plan.beginnings import shared_beginnings
from cellscaper.plan.configuration import configuration
from cellscaper.plan.experiments import Experiments
from cellscaper.plan.house import ROOT
from cellscaper.plan.outputs import Outputs
from cellscaper.plan.provenance import code
from cellscaper.plan.schema import facts

TC = ("topocellgen", "tc_count", "tc_intra", "tc_inter", "tc_count_intra", "tc_count_inter", "tc_intra_inter")
WEIGHTS = ("tc_weight_5e_3", "tc_weight_1e_3", "tc_weight_1e_4", "tc_weight_5e_5")  # 5e-4 is topocellgen itself
PRESETS = sorted((ROOT / "workflow/presets").glob("*.yaml"))


def experiments(own=""):
    return Experiments(configuration(yaml.safe_load(own) or {}))


def members(own=""):
    return {name: set(one.trainings) for name, one in experiments(own).beginnings.items()}


def test_eleven_trainings_and_the_one_without_losses_share_150_k_steps():
    found = experiments()
    (one,) = found.beginnings.values()
    assert one.name == one.trainings[0] == "adm_counts"
    assert set(one.trainings) == {"adm_counts", *TC, *WEIGHTS} and len(one.trainings) == 12
    assert one.steps == 150_012 and one.recipe["training"]["steps"] == 360_000
    assert one.recipe == found.recipe("adm_counts")
    for name in (*one.trainings, "tc_weight_5e_4", "adm_steps_5", "topocellgen_steps_5"):
        assert found.beginning(name) is one
    for name in ("adm", "tc_lr_times_5", "topocellgen_losses_released", "sd_gmm", "point_diffusion", "tmccg"):
        assert found.beginning(name) is None


@pytest.mark.parametrize(
    ("own", "stays"),
    [
        ("settings: {losses: {weights: {count: 7.0}}}", True),
        ("settings: {losses: {threshold: 0.9, diagrams: cubical, filtration: superlevel, snr_limit: 2.0}}", True),
        ("sampling: {steps: 3}", True),
        ("training: {save_every: 7}", True),
        ("settings: {losses: {after: 0.5}}", False),
        ("training: {lr: 1.0e-3}", False),
        ("training: {batch: 4}", False),
        ("training: {ema: 0.9}", False),
        ("training: {precision: fp32}", False),
        ("training: {steps: 1000}", False),
        ("training: {log_every: 7}", False),
        ("grid: tc_signed", False),
        ("settings: {network: {channels: 64}}", False),
        ("settings: {diffusion: {schedule: linear}}", False),
        ("condition: {kind: class_counts, scale: 9.0}", False),
    ],
)
def test_what_counts_before_the_losses_act_makes_another_beginning(own, stays):
    before = experiments().beginnings["adm_counts"]
    now = experiments(f"experiments: {{tc_count: {{{own}}}}}").beginnings["adm_counts"]
    assert (now.recipe, now.steps) == (before.recipe, before.steps)  # the job of start_layout stays up to date
    assert set(before.trainings) - set(now.trainings) == (set() if stays else {"tc_count"})


def test_a_changed_learning_rate_of_all_changes_the_beginning():
    before, now = (
        experiments(own).beginnings["adm_counts"] for own in ("", "experiments: {adm: {training: {lr: 1.0}}}")
    )
    assert now.trainings == before.trainings and now.recipe != before.recipe


def test_a_training_alone_has_no_beginning_and_two_without_a_plain_one_share():
    alone = "experiments: {a: {base: topocellgen, training: {batch: 3}}}"
    assert set(members(alone)) == {"adm_counts"}
    two = alone[:-1] + ", b: {base: a, settings: {losses: {weights: {count: 1.0}}}}}"
    (name,) = set(members(two)) - {"adm_counts"}
    assert re.fullmatch(r"adm_[0-9a-f]{12}", name) and members(two)[name] == {"a", "b"}
    with_plain = two[:-1] + ", c: {base: adm_counts, training: {batch: 3}}}"
    assert members(with_plain) == {**members(), "c": {"a", "b", "c"}}


def test_trainings_whose_losses_act_at_other_steps_have_other_beginnings():
    later = "settings: {losses: {after: 0.5}}"
    own = f"experiments: {{a: {{base: tc_count, {later}}}, b: {{base: tc_intra, {later}}}}}"
    found = experiments(own)
    (name,) = set(found.beginnings) - {"adm_counts"}
    assert set(found.beginnings[name].trainings) == {"a", "b"} and found.beginnings[name].steps == 180_000
    assert "adm_counts" in found.beginnings["adm_counts"].trainings
    at_once = "experiments: {a: {base: tc_count, settings: {losses: {after: 0.0}}}}"
    assert experiments(at_once).beginning("a") is None


def test_tables_of_a_run_do_not_change_what_a_training_reads():
    every, few = experiments(), experiments("run: {datasets: [phantom], tables: [tc_table5]}")
    assert every.beginnings == few.beginnings


def test_a_generator_says_it_in_its_own_file(monkeypatch):
    """The seam is general: any generator with the fact, any block, any key."""
    known = dict(facts()["generators"])
    known["mine"] = {"trained": True, "decoders": [], "begins": {"like": "plain", "block": "extra", "after": "late"}}
    known["plain"] = {"trained": True, "decoders": [], "begins": None}
    monkeypatch.setitem(facts(), "generators", known)
    training = {"steps": 10, "lr": 1.0, "save_every": 5}
    plain = {"method": "plain", "settings": {"width": 1}, "training": training}
    mine = {"method": "mine", "settings": {"width": 1, "extra": {"late": 0.25, "weight": 2}}, "training": training}
    (found,) = shared_beginnings({"mine": mine, "plain": {**plain, "training": {**training, "save_every": 9}}})
    assert (found.name, found.steps, found.trainings) == ("plain", 3, ("plain", "mine"))
    other = copy.deepcopy(mine)
    other["settings"]["width"] = 2
    assert shared_beginnings({"mine": other, "plain": plain}) == []


# -- files and what a run says -----------------------------------------------------------------------------------


def test_each_seed_has_its_beginning():
    made = Outputs(configuration({}))
    for name in ("topocellgen", "tc_weight_5e_4", "adm_counts"):
        assert made.beginning("d", name, "2") == ["results/d/start_layout/adm_counts/seed2/beginning.safetensors"]
    assert made.beginning("d", "adm", "2") == made.beginning("d", "tc_lr_times_5", "2") == []


def test_a_run_says_how_many_steps_it_is_spared():
    own = {"seeds": [0, 1], "run": {"datasets": ["brca_m2c", "lizard"]}}
    made = Outputs(configuration(own))
    assert made.spared_steps() == [
        "brca_m2c: 12 trainings share the first 150012 of 360000 steps (start_layout adm_counts), seeds: 2; "
        "3 300 264 steps spared",
        "lizard: 2 trainings share the first 150012 of 360000 steps (start_layout adm_counts), seeds: 2; "
        "300 024 steps spared",
    ]
    few = {"run": {"datasets": ["phantom"], "tables": ["sd_table1"]}}
    assert Outputs(configuration(few)).spared_steps() == []


def test_nothing_is_spared_where_nothing_is_left_to_train():
    made = Outputs(configuration({"run": {"datasets": ["brca_m2c"]}}))
    assert made.spared_steps(lambda file: file.endswith("/model.safetensors")) == []
    assert len(made.spared_steps(lambda file: "seed2" not in file)) == 1


# -- what reruns a beginning -------------------------------------------------------------------------------------


def test_the_code_of_late_losses_is_no_code_of_the_beginning():
    start = code("cellscaper.stages.start_layout", "cellscaper.generators.adm")
    assert "code_cellscaper_generators_maps_engine" in start and "code_cellscaper_training_trainer" in start
    late = [name for name in start if "topology" in name or "topocellgen" in name or "train_layout" in name]
    assert late == []
    assert "code_cellscaper_topology_losses" in code("cellscaper.generators.topocellgen")


@pytest.mark.parametrize("preset", [None, *PRESETS], ids=lambda one: one and one.stem)
def test_beginnings_ask_for_the_resources_of_the_trainings_they_are_part_of(preset):
    overlays = [] if preset is None else [yaml.safe_load(preset.read_text(encoding="utf-8"))]
    resources = configuration(
        {"resources": {"light": {"gpu": 0}}}, *[{"resources": one.get("resources", {})} for one in overlays]
    )["resources"]
    assert resources["start_layout"] == resources["train_layout"]
