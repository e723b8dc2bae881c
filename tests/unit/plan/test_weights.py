"""Experiments with given weights (`weights`) or a start (`init`): what they plan, inherit, say, and refuse."""

from pathlib import Path

import pytest
import torch
import yaml

from cellscaper.disk import shipped
from cellscaper.disk.files import checksum
from cellscaper.disk.weights import write_weights
from cellscaper.errors import CellscaperError
from cellscaper.plan import sections
from cellscaper.plan.configuration import ROOT, configuration, in_files
from cellscaper.plan.outputs import Outputs
from cellscaper.report.tables.notes import origin_notes
from presets import PRESETS, beneath

PACKAGED = "package:point_diffusion"
GRID = {"region": 256, "stride": 4, "marker": 3, "pad": 0, "low": -0.5, "high": 2.5, "soft": 0.9, "exact": True}


def outputs(own):
    return Outputs(configuration(yaml.safe_load(own) or {} if isinstance(own, str) else own))


@pytest.fixture
def toy(tmp_path):
    """Makes a file of weights with a recipe: toy(name, method, …)."""

    def make(name, method="topocellgen", **more):
        section = {"method": method, "region": 256, "settings": {}, "training": {"steps": 6000}, "grid": GRID, **more}
        file = tmp_path / f"{name}.safetensors"
        write_weights(file, {"a": torch.ones(1)}, {}, section=section, classes=["a"], mpp=0.5)
        return file

    return make


# -- weights ---------------------------------------------------------------------------------------------------


def test_given_weights_replace_the_training_and_are_sampled_with_its_settings(toy):
    file = toy("tc")
    plan = outputs(f"experiments: {{topocellgen: {{weights: {file}, sampling: {{steps: 7}}}}}}")
    found = plan.experiments
    assert found["topocellgen"].is_trained and not found["topocellgen"].trains
    assert plan.layout_weights("brca_m2c", "topocellgen", "0") == [] and plan.given_weights("topocellgen") == [
        str(file)
    ]
    section = sections.sampling_section(found, "brca_m2c", "topocellgen", "test")
    assert section["weights"] == checksum(file) and section["settings"]["steps"] == 7
    assert found.grid("topocellgen") == GRID  # of the weights, not of the field
    assert "topocellgen" not in plan.trainings("brca_m2c") and "topocellgen" in plan.trained("brca_m2c")
    assert "topocellgen" not in found.beginnings["adm_counts"].trainings
    assert "weights" not in sections.sampling_section(found, "brca_m2c", "adm", "test")
    (line,) = plan.told_weights()[:1]
    assert line.startswith(f"brca_m2c: the weights {file} (6 000 training steps): no training of topocellgen")


def test_only_the_content_of_a_file_counts(toy, tmp_path):
    file = toy("tc")
    moved = tmp_path / "elsewhere.safetensors"
    moved.write_bytes(file.read_bytes())
    plans = [outputs(f"experiments: {{topocellgen: {{weights: {one}}}}}").experiments for one in (file, moved)]
    one, other = (sections.sampling_section(plan, "brca_m2c", "topocellgen", "test") for plan in plans)
    assert one == other
    changed = outputs(f"experiments: {{topocellgen: {{weights: {toy('other', small='skip')}}}}}")
    assert sections.sampling_section(changed.experiments, "brca_m2c", "topocellgen", "test") != one
    untouched = [
        sections.sampling_section(plan.experiments, "brca_m2c", "adm", "test") for plan in (outputs(""), changed)
    ]
    assert untouched[0] == untouched[1]


def test_they_are_inherited_where_nothing_but_sampling_changes(toy):
    file = toy("tc")
    found = outputs(f"""
experiments:
  topocellgen: {{weights: {file}}}
  fewer: {{base: topocellgen, sampling: {{steps: 3}}, decoding: {{threshold: 0.4}}}}
  other: {{base: fewer, field: w256, training: {{steps: 9}}}}
  own: {{base: topocellgen, weights: null}}
""").experiments
    given = {name for name in found.names if found.weights(name) is not None}
    assert given == {"topocellgen", "fewer", *(name for name in found.names if name.startswith("topocellgen_steps"))}
    assert found["tc_count"].trains and found["other"].training["steps"] == 9


def test_a_set_of_the_bundled_weights_needs_no_training():
    plan = outputs(f"""
experiments: {{bundled: {{base: point_diffusion, weights: {PACKAGED}}}}}
sets: {{big: {{dataset: brca_m2c, experiment: bundled, layouts: 100}}}}
""")
    assert plan.set_inputs("big") == {"targets": [], "model": []}
    section = sections.set_section(plan.experiments, "big")
    assert section["weights"] == checksum(shipped.shipped_file("point_diffusion"))
    assert section["settings"] == plan.experiments["point_diffusion"].sampling


def test_a_table_says_which_rows_were_not_trained(toy):
    plan = outputs(f"experiments: {{point_diffusion: {{weights: {PACKAGED}}}, tmccg: {{init: {toy('gan', 'tmccg')}}}}}")
    section = plan.tables.section("tc_table1")
    notes = [note.text for note in origin_notes(section)]
    assert notes == [
        "“point diffusion (ours)”: not trained here: the bundled weights point_diffusion (16 500 training steps "
        "on cells of the 80 training images of BRCA-M2C (Abousamra et al. 2021)), the same for every seed, so ± is "
        "that of sampling",
        f"“TMCCG-style”: trained here for 50 000 steps, from the weights {toy('gan', 'tmccg')} (6 000 training steps)",
    ]
    assert "origins" not in plan.tables.section("tc_table3") and origin_notes(plan.tables.section("tc_table3")) == []
    detections = origin_notes(plan.tables.section("tc_table2"))
    assert "“+ point diffusion (ours)”" in detections[-1].text


# -- init ------------------------------------------------------------------------------------------------------


def test_a_start_from_a_file_or_the_package_is_its_content(toy):
    file = toy("gan", "tmccg")
    plan = outputs(f"experiments: {{tmccg: {{init: {file}}}, point_diffusion: {{init: {PACKAGED}}}}}")
    found, plain = plan.experiments, outputs("").experiments
    assert found.recipe("tmccg") == {**plain.recipe("tmccg"), "init": checksum(file)}
    assert plan.init_file("tmccg") == [str(file)] and plan.init_model("brca_m2c", "tmccg", "0") == []
    assert found.recipe("point_diffusion")["init"] == checksum(shipped.shipped_file("point_diffusion"))
    assert found.recipe("adm") == plain.recipe("adm") and plan.init_file("adm") == []


def test_a_start_from_an_experiment_needs_its_weights():
    plan = outputs("""
experiments:
  tuned: {base: tc_weight_5e_4, init: adm_steps_5}
  sampled: {base: point_diffusion, weights: package:point_diffusion}
  from_given: {base: point_diffusion, init: sampled, training: {steps: 3}}
tables: {tc_table1: {rows: {mine: {label: mine, experiment: tuned, decoder: peaks}}}}
run: {tables: [tc_table1]}
""")
    assert plan.experiments.recipe("tuned")["init"] == "experiment:adm_steps_5"
    model = "results/brca_m2c/train_layout/adm_counts/seed1/model.safetensors"  # which it shares
    assert plan.init_model("brca_m2c", "tuned", "1") == [model] and plan.init_file("tuned") == []
    assert {"tuned", "adm_counts"} <= plan.trainings("brca_m2c")
    assert plan.experiments.beginning("tuned") is None and plan.experiments.shared_training("tuned") == "tuned"
    package = str(shipped.shipped_file("point_diffusion"))
    assert plan.init_file("from_given") == [package] and plan.init_model("brca_m2c", "from_given", "0") == []
    (note,) = origin_notes(plan.tables.section("tc_table1"))
    assert note.text == "“mine”: trained here for 360 000 steps, from the weights of adm_steps_5"


def test_trainings_with_the_same_start_share_their_beginning(toy):
    file = toy("maps", "adm", grid=outputs("").experiments.grid("topocellgen"))
    plan = outputs(f"experiments: {{a: {{base: topocellgen, init: {file}}}, b: {{base: tc_count, init: {file}}}}}")
    (own,) = set(plan.experiments.beginnings) - {"adm_counts"}
    begun = plan.experiments.beginnings[own]
    assert set(begun.trainings) == {"a", "b"} and begun.recipe["init"] == checksum(file)
    assert "init" not in plan.experiments.beginnings["adm_counts"].recipe


def test_a_start_is_not_inherited_by_another_training():
    found = outputs(f"""
experiments:
  point_diffusion: {{init: {PACKAGED}}}
  tuned: {{base: point_diffusion, training: {{steps: 5}}}}
""").experiments
    assert found.init("point_diffusion_steps_5") is not None
    assert found.init("tuned") is None and found.init("point_diffusion_sd") is None


# -- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "line"),
    [
        (
            "topocellgen: {weights: package:topocellgen}",
            "experiments.topocellgen.weights = 'package:topocellgen' in {file}: this installation has no weights of "
            "topocellgen (it has point_diffusion, demo/adm, ",
        ),
        (
            "topocellgen: {weights: package:point_diffusion}",
            "these are weights of generator point_diffusion, the experiment has topocellgen; set weights: null",
        ),
        (
            "point_diffusion_sd: {weights: package:point_diffusion}",
            "these weights make layouts of 256 px, field w464 has 464 px; take another field, or set weights: null",
        ),
        (
            "adm: {init: nowhere.safetensors}",
            "adm.init = 'nowhere.safetensors' in {file}: nowhere.safetensors does not",
        ),
        (
            "adm: {init: adm_count}",
            "expected package:NAME or a file of weights that ends in .safetensors; did you mean",
        ),
        (
            "adm: {weights: adm_counts}",
            "adm.weights = 'adm_counts' in {file}: expected package:NAME or a file of weights",
        ),
        ("adm: {init: random}", "adm.init = 'random' in {file}: generator random is not trained; name an experiment"),
        ("adm: {init: adm}", "adm.init = 'adm' in {file}: starts lead in a circle (adm → adm); one of them must"),
        ("adm: {init: tmccg}, tmccg: {init: adm}", "starts lead in a circle (tmccg → adm → tmccg)"),
        ("random: {init: adm}", "random.init in {file}, unknown key"),
        ("adm: {init: 5}", "adm.init = 5 in {file}: 5 is not of type 'string', 'null'; expected a text"),
        ("adm: {weights: -x}", "expected a text that does not begin with -"),
        (
            "tc_sd_gmm: {weights: {maps}}",
            "these weights make no density maps beside the layout, the experiment has density",
        ),
        ("adm: {init: {painter}}", "holds no weights of a layout model; name a model.safetensors of train_layout"),
        ("adm: {init: {folder}}", "is no regular file; name a file of weights"),
    ],
)
def test_what_cannot_be_used_is_one_line(own, line, refused_overlay, mine, toy, tmp_path):
    painter = tmp_path / "painter.safetensors"
    write_weights(painter, {"a": torch.ones(1)}, {}, section={"method": "diffusion"}, classes=[], mpp=0.5)
    (tmp_path / "folder.safetensors").mkdir()
    paths = {"maps": toy("maps", "spatial_diffusion"), "painter": painter, "folder": tmp_path / "folder.safetensors"}
    for name, path in paths.items():
        own = own.replace(f"{{{name}}}", str(path))
    text = refused_overlay(f"experiments: {{{own}}}")
    if "unknown key" in line:
        assert "unknown key 'experiments.random.init'" in text
    else:
        assert line.replace("{file}", str(mine)) in text


def test_a_broken_file_of_weights_is_one_line(refused_overlay, tmp_path):
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"no weights")
    text = refused_overlay(f"experiments: {{adm: {{weights: {file}}}}}")
    assert f"adm.weights = '{file}'" in text and "is not a readable weights file of cellscaper" in text


# -- presets -----------------------------------------------------------------------------------------------------


def preset(*names):
    files = [ROOT / "workflow/presets" / f"{name}.yaml" for name in names]
    return Outputs(configuration(*(content for _, content in in_files(files))))


@pytest.mark.parametrize(
    "file", [file for file in PRESETS if file.stem.startswith("brca-")], ids=lambda file: file.stem
)
def test_presets_with_given_weights_can_be_planned(file):
    found = preset(*(one.stem for one in beneath(file))).experiments
    for one in found.names:
        given = found.weights(one)
        assert given is None or given.section["method"] == found[one].generator


def test_make_brca_samples_the_bundled_weights_and_train_trains_all():
    small, trained = preset("brca-small"), preset("brca-small", "brca-train")
    given = {name for name in small.experiments.names if small.experiments.weights(name)}
    assert {"point_diffusion", "point_diffusion_sd"} <= given
    assert not any(trained.experiments.weights(name) for name in trained.experiments.names)
    assert small.trainings("brca_m2c") <= trained.trainings("brca_m2c") - {"point_diffusion"}
    makefile = Path(ROOT / "Makefile").read_text(encoding="utf-8")
    assert "brca-small.yaml $(if $(TRAIN),workflow/presets/brca-train.yaml)" in makefile


def test_all_that_brca_small_can_take_from_the_package_is_trained_by_brca_train():
    text = yaml.safe_load((ROOT / "workflow/presets/brca-train.yaml").read_text(encoding="utf-8"))
    small = preset("brca-small").experiments
    rows = {row for row in small.names if small[row].is_trained and small.weights(row) is not None}
    assert {name for name, block in text["experiments"].items() if block == {"weights": None}} >= {
        name for name in rows if small[name].weights is not None and not name.startswith("point_diffusion_steps")
    }


def test_weights_of_the_package_are_checked_at_planning(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    (tmp_path / "point_diffusion.sha256").write_text("0  point_diffusion.safetensors\n")
    (tmp_path / "point_diffusion.safetensors").write_bytes(b"x")
    with pytest.raises(
        CellscaperError, match="point_diffusion.weights = .*: .* is not the file this version came with"
    ):
        outputs(f"experiments: {{point_diffusion: {{weights: {PACKAGED}}}}}")


# -- a start that cannot be ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"grids": {"tc": {"low": -1}}}, "grid.low = -0.5, this experiment has -1"),
        (
            {"experiments": {"adm": {"settings": {"network": {"channels": 16}}}}},
            "settings.network.channels = 32, this experiment has 16",
        ),
    ],
)
def test_weights_of_another_network_or_raster_are_refused_before_a_run(change, said):
    files = in_files([ROOT / "workflow/presets/demo.yaml"])
    with pytest.raises(CellscaperError, match=r"init = 'package:demo/adm'.*" + said):
        Outputs(configuration(*(content for _, content in files), change))


def test_weights_of_another_region_are_refused_before_a_run():
    with pytest.raises(CellscaperError, match=r"demo/point_diffusion'.* region = 128, this experiment has 256"):
        outputs("experiments: {point_diffusion: {init: package:demo/point_diffusion}}")


# -- the weights of the demo -----------------------------------------------------------------------------------

DEMO = {"adm_counts": "adm", "tc_sd_gmm": "spatial_diffusion", "point_diffusion": "point_diffusion"}


def known(recipe):
    """A recipe without what a training finds in the data: the edges of count categories."""
    kept = {key: value for key, value in recipe.items() if value is not None}
    kept["condition"] = {
        key: value for key, value in (kept.get("condition") or {"kind": "none"}).items() if key != "edges"
    }
    return kept


@pytest.mark.parametrize(("name", "weights"), DEMO.items())
def test_the_weights_of_the_demo_are_those_that_their_preset_trains(name, weights):
    every = preset("demo", "demo-weights").experiments
    assert known(every.recipe(name)) == known(every.named_weights(f"package:demo/{weights}").section)


@pytest.mark.parametrize("name", [*DEMO, "topocellgen"])
def test_the_demo_goes_on_with_the_networks_of_its_weights(name):
    every = preset("demo").experiments
    mine, theirs = known(every.recipe(name)), known(every.init(name).section)
    assert mine["settings"]["network"] == theirs["settings"]["network"]
    assert [mine.get(key) for key in ("grid", "density", "condition")] == [
        theirs.get(key) for key in ("grid", "density", "condition")
    ]
    assert mine["training"]["steps"] < theirs["training"]["steps"] / 10
