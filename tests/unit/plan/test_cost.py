"""What a run costs: jobs, what they share, what changes their cost."""

import pytest

from cellscaper.plan import cost
from cellscaper.plan.cards import CARDS, call_seconds, card, step_seconds
from cellscaper.plan.configuration import configuration, in_files
from cellscaper.plan.cost import Costs
from cellscaper.plan.flops import NETWORKS
from cellscaper.plan.layers import Layers
from cellscaper.plan.outputs import Outputs
from presets import PRESETS, beneath

GB = 1e9
TABLE = {"run": {"datasets": ["brca_m2c"], "tables": ["tc_table1"]}, "seeds": [0]}


def costs(*own, name="a100"):
    return Costs(Outputs(configuration(*own)), card(name))


def hours(found, rule, what=""):
    return sum(group.hours for group in found.groups if group.rule == rule and group.what.startswith(what))


def jobs(found, rule):
    return sum(group.jobs for group in found.groups if group.rule == rule)


def test_a_training_that_several_rows_use_is_counted_once():
    found = costs({"run": {"datasets": ["brca_m2c"], "tables": ["sampling_steps"]}, "seeds": [0, 1]})
    assert jobs(found, "train_layout") == 2 * 3  # ADM, TopoCellGen, point diffusion
    assert jobs(found, "sample_layouts") == 2 * (5 + 5 + 4)
    assert dict(found.shared())["adm_counts"] == sorted(f"adm_steps_{n}" for n in (5, 10, 20, 50))


def test_an_equal_recipe_under_another_name_shares_the_training():
    rows = {"twin": {"label": "twin", "experiment": "twin", "decoder": "components"}}
    own = {
        "experiments": {"twin": {"base": "adm_counts", "sampling": {"steps": 7}}},
        "tables": {"tc_table1": {"rows": rows}},
    }
    assert jobs(costs(TABLE, own), "train_layout") == jobs(costs(TABLE), "train_layout")
    assert "twin" in dict(costs(TABLE, own).shared())["adm_counts"]


def test_time_is_proportional_to_steps_and_seeds():
    half = {"experiments": {"adm": {"training": {"steps": 180000}}}}
    one, other = costs(TABLE), costs(TABLE, half)
    assert hours(other, "train_layout", "adm") == pytest.approx(hours(one, "train_layout", "adm") / 2)
    assert hours(costs(TABLE, {"seeds": [3, 4, 5]}), "train_layout") == pytest.approx(3 * hours(one, "train_layout"))


def test_topology_losses_act_in_the_last_steps_and_wait_for_the_host():
    none = {"experiments": {"topocellgen": {"settings": {"losses": {"weights": {"intra": 0, "inter": 0}}}}}}
    one, without = costs(TABLE), costs(TABLE, none)
    extra = hours(one, "train_layout", "topocellgen") - hours(without, "train_layout", "topocellgen")
    trained = {one.experiments.shared_training(name) for name in one.outputs.trained("brca_m2c")}
    acting = (360000 - 150012) * 5  # samples: `after` is 0.4167 of 360 000 steps
    each = [cost.DIAGRAMS[one.experiments[name].settings["losses"]["diagrams"]] for name in trained
            if one.experiments[name].generator == "topocellgen"]  # fmt: skip
    assert extra == pytest.approx(sum(acting * seconds for seconds in each) / 3600)


def test_a_shared_beginning_is_paid_once():
    found = costs(TABLE)
    steps = {(group.rule, name): group.steps for group in found.groups for name in group.names}
    assert steps["start_layout", "adm_counts"] == 150012
    assert steps["train_layout", "topocellgen"] == 360000 - 150012
    assert jobs(found, "start_layout") == 1
    assert found.kept("start_layout") == pytest.approx(4 * 4 * 554e6, rel=0.01)  # weights, average, two moments


def test_checkpoint_costs_time():
    network = {"experiments": {"adm": {"settings": {"network": {"checkpoint": True}}}}}
    ratio = hours(costs(TABLE, network), "train_layout", "adm") / hours(costs(TABLE), "train_layout", "adm")
    assert 1.1 < ratio < 1.4


def test_disk_is_that_of_weights_optimizer_and_average():
    found = costs(TABLE)
    (group,) = [one for one in found.groups if one.names == ("adm_counts",) and one.rule == "train_layout"]
    assert group.kept / GB == pytest.approx(4 * 0.55387, rel=1e-3)
    assert group.state / GB == pytest.approx(16 * 0.55387, rel=1e-3)  # weights, average, two moments


def test_a_method_without_a_formula_is_named(monkeypatch):
    monkeypatch.delitem(NETWORKS, ("generators", "tmccg"))
    found = costs(TABLE)
    assert found.unknown == {
        "train_layout of brca_m2c: no formula for generators/tmccg.py": 1,
        "sample_layouts of brca_m2c: no formula for generators/tmccg.py": 1,
    }
    assert not hours(found, "train_layout", "tmccg")


def test_own_data_have_an_unknown_number_of_windows():
    mine = {"reader": "dots", "path": "x", "images": "*.png", "dots": "{stem}.csv", "mpp": 0.5, "classes": ["a", "b"]}
    mine["split"] = {"train": 0.6, "val": 0.2, "test": 0.2, "seed": 0}
    found = costs(TABLE, {"datasets": {"mine": mine}, "run": {"datasets": ["mine"]}})
    (line,) = found.unknown
    assert line == "sample_layouts of mine: only the data tell the number of windows"
    assert jobs(found, "train_layout") == jobs(costs(TABLE), "train_layout")


@pytest.mark.parametrize("preset", PRESETS, ids=lambda file: file.stem)
def test_every_preset_has_a_cost(preset):
    files = beneath(preset)
    found = costs(*(content for _, content in in_files(files)))
    assert found.hours > 0 and found.longest <= found.hours


@pytest.mark.parametrize("preset", [one for one in PRESETS if one.stem != "gpu-day"], ids=lambda file: file.stem)
def test_a_preset_for_cpus_plans_no_training_of_the_papers_size(preset):
    """One such training alone is 1.7 A100-days; a row that a preset forgets to leave out would bring it."""
    found = costs(*(content for _, content in in_files(beneath(preset))))
    assert found.hours / 24 < 0.5


def test_the_roofline_takes_the_longer_of_products_and_memory_and_no_less_than_the_floor():
    on = CARDS["a100"]._replace(bf16=1e12, tf32=1e11, fp32=1e10, bandwidth=1e9)
    work = Layers()
    work.product(1000, 1000, 1000)  # 2 GFLOP, 2 million elements: 4 ms of memory traffic in bf16
    assert call_seconds(work, on, 3, "bf16", 0.0) == pytest.approx(1.1 * 3 * 0.004)
    assert call_seconds(work, on, 3, "fp32", 0.0) == pytest.approx(1.1 * 3 * 0.2)
    assert step_seconds(work, on, 3, "fp32", 0.0) == pytest.approx(1.1 * 3 * 0.6)
    assert step_seconds(work, on, 3, "fp32", 5.0) == pytest.approx(1.1 * 5.0)
