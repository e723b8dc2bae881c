"""The configuration: what is refused and how it is told; what experiments share; the papers' config and presets."""

import copy
import json
from functools import cache
from pathlib import Path

import pytest
import yaml

from cellscaper.errors import CellscaperError
from cellscaper.plan import sections as settings
from cellscaper.plan.provenance import canonical
from cellscaper.plan.validation import validate

REPOSITORY = Path(__file__).resolve().parents[3]
PAPER = REPOSITORY / "config.yaml"
SCHEMA = REPOSITORY / "workflow" / "schemas" / "config.schema.yaml"
PRESETS = sorted((REPOSITORY / "workflow" / "presets").glob("*.yaml"))


@cache
def parsed(path):
    return json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")))


def load(path):
    """A YAML file of the repository, its anchors as copies: one block may be changed without the others."""
    return json.loads(parsed(path))


@pytest.fixture
def paper():
    return load(PAPER)


def put(config, path, value):
    """Set config[path…] = value; path is dotted."""
    *parents, last = path.split(".")
    for part in parents:
        config = config[int(part)] if isinstance(config, list) else config.setdefault(part, {})
    config[last] = value


def refused(config, files=()):
    """The one line with which a config is refused."""
    with pytest.raises(CellscaperError) as caught:
        validate(config, SCHEMA, files)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refused_preset(tmp_path, text):
    """The one line with which the paper's config overlaid with a preset is refused."""
    preset = tmp_path / "mine.yaml"
    preset.write_text(text)
    return refused(settings.overlay(load(PAPER), yaml.safe_load(text)), [PAPER, preset])


# -- unknown keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("seed", "seeds"),
        ("layout_modle", "layout_model"),
        ("run.table", "tables"),
        ("datasets.brca_m2c.paths", "path"),
        ("datasets.lizard.split_seed", "split"),
        ("datasets.phantom.images.trian", "train"),
        ("patches.tc.regoin", "region"),
        ("grids.sd.stirde", "stride"),
        ("densities.gmm.component", "components"),
        ("layout_model.genertor", "generator"),
        ("layout_model.training.learning_rate", "lr"),
        ("experiments.adm.diffusion.scedule", "schedule"),
        ("experiments.mine.network.chanels", "channels"),
        ("image_models.tc.grid.padding", "pad"),
        ("image_models.tc.network.attn", "attention"),
        ("detectors.unet.dot_radus", "dot_radius"),
        ("metrics.topofd.sample", "samples"),
        ("resources.light.memory", "mem_mb"),
        ("tables.tc_table1.rows.adm.decode", "decoder"),
    ],
)
def test_an_unknown_key_is_told_with_its_full_path_its_file_and_the_nearest_key(path, near, paper, tmp_path):
    put(paper, path, 1)
    preset = tmp_path / "mine.yaml"
    overlay = {}
    put(overlay, path, 1)
    preset.write_text(yaml.safe_dump(overlay))
    text = refused(paper, [PAPER, preset])
    assert text.startswith(f"unknown key '{path}' in {preset}; did you mean ")
    valid = text.split("valid here: ")[1].rstrip(")").split(", ")
    assert near in valid
    if near not in ("lr",):  # a synonym, not a slip of the hand
        assert f"did you mean {near!r}?" in text


def test_an_unknown_key_in_a_list_is_told_with_its_place(paper):
    paper["tables"]["tc_table1"]["columns"][2]["metrics"] = "tce"
    assert refused(paper).startswith("unknown key 'tables.tc_table1.columns.2.metrics'; did you mean 'metric'?")


def test_an_unknown_key_is_told_before_other_errors(paper):
    paper["seeds"] = "0"
    paper["grids"]["tc"].pop("region")
    paper["grids"]["tc"]["regin"] = 256
    assert refused(paper).startswith("unknown key 'grids.tc.regin'")


def test_a_key_given_on_the_command_line_has_no_file(paper):
    paper["seed"] = 1
    assert refused(paper, [PAPER]).startswith("unknown key 'seed'; did you mean 'seeds'?")


@pytest.mark.parametrize("key", [5, True, None, 2.5])
def test_keys_that_are_not_text_are_refused(key, paper):
    """YAML reads `on:`, `no:` and `5:` as such."""
    paper["experiments"][key] = {"generator": "adm"}
    assert "names of small letters, digits and _" in refused(paper)
    paper = load(PAPER)
    paper["layout_model"]["training"][key] = 1
    assert f"unknown key 'layout_model.training.{key}'" in refused(paper)


# -- wrong values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("seeds", 0, "not of type 'array'"),
        ("seeds", [], "non-empty"),
        ("seeds", [0, 0], "non-unique"),
        ("seeds", [-1], "less than the minimum"),
        ("layout_model.training.lr", "1e-4", "not of type 'number'"),
        ("layout_model.training.steps", 100.0, "not of type 'integer'"),
        ("layout_model.training.steps", "1e5", "not of type 'integer'"),
        ("layout_model.training.steps", True, "not of type 'integer'"),
        ("layout_model.training.steps", 0, "less than the minimum"),
        ("layout_model.training.ema", 1.0, "maximum"),
        ("layout_model.training.precision", "fp16", "not one of"),
        ("layout_model.condition.kind", "counts", "not one of"),
        ("layout_model.decoding.threshold", 1.5, "greater than the maximum"),
        ("layout_model.sampling.test_layouts", 0, "less than the minimum"),
        ("layout_model.network.multipliers", [], "non-empty"),
        ("densities.gmm.components", "aic", "expected bic or a number of components"),
        ("densities.gmm.method", "knn", "not one of"),
        ("datasets.lizard.split", "random", "expected info or {random: {test_fraction, val_fraction, seed}}"),
        ("datasets.phantom.size", [500, 480, 3], "too long"),
        ("detectors.unet.synthetic_fractions", [2], "greater than the maximum"),
        ("tables.tc_table1.kind", "pictures", "not one of"),
        ("image_models.tc.training", None, "not of type 'object'"),
        ("results", None, "not of type 'string'"),
    ],
)
def test_a_wrong_value_is_told_with_path_value_file_and_what_was_expected(path, value, expected, paper, tmp_path):
    put(paper, path, value)
    preset = tmp_path / "mine.yaml"
    overlay = {}
    put(overlay, path, value)
    preset.write_text(yaml.safe_dump(overlay))
    text = refused(paper, [PAPER, preset])
    assert text.startswith(f"{path}")
    assert f" in {preset}: " in text
    assert repr(value if not isinstance(value, list) or len(value) != 1 else value[0]) in text
    assert expected in text


@pytest.mark.parametrize(
    "path", ["seeds", "run.tables", "grids.tc.stride", "layout_model.generator", "resources.light"]
)
def test_a_missing_key_is_told(path, paper):
    *parents, last = path.split(".")
    node = paper
    for part in parents:
        node = node[part]
    del node[last]
    assert refused(paper) == f"{'.'.join(parents) or 'the configuration'}: {last!r} is a required property"


def test_a_detection_table_names_its_detectors(paper):
    del paper["tables"]["tc_table2"]["detectors"]
    assert refused(paper) == "tables.tc_table2: 'detectors' is a required property"


@pytest.mark.parametrize("name", ["Adm", "my-model", "1st", "a b", ""])
def test_names_must_be_fit_for_paths(name, paper):
    paper["experiments"][name] = {}
    assert refused(paper).startswith(f"experiments = {name!r}: expected names of small letters, digits and _")


# -- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "run: {datasets: [brca]}",
            "run.datasets = 'brca' in {file}: no such entry in datasets; did you mean 'brca_m2c'?",
        ),
        (
            "run: {tables: [tc_table9]}",
            "run.tables = 'tc_table9' in {file}: no such entry in tables; did you mean 'tc_table",
        ),
        (
            "experiments: {adm: {grid: tcc}}",
            "experiments.adm.grid = 'tcc' in {file}: no such entry in grids; did you mean 'tc'",
        ),
        ("experiments: {adm: {patches: x}}", "experiments.adm.patches = 'x' in {file}: no such entry in patches"),
        ("experiments: {new: {density: gmn}}", "experiments.new.density = 'gmn' in {file}: no such entry in densities"),
        (
            "experiments: {adm: {image_model: no_one}}",
            "experiments.adm.image_model = 'no_one' in {file}: no such entry in",
        ),
        ("layout_model: {image_model: x}", "no such entry in image_models"),
        (
            "tables: {tc_table1: {rows: {adm: {experiment: amd}}}}",
            "tables.tc_table1.rows.adm.experiment = 'amd' in {file}: no such entry in experiments; did you mean 'adm'?",
        ),
        (
            "tables: {tc_table2: {detectors: [unt]}}",
            "tables.tc_table2.detectors = 'unt' in {file}: no such entry in detectors",
        ),
        (
            "tables: {tc_table2: {skip_datasets: [lizrd]}}",
            "skip_datasets = 'lizrd' in {file}: no such entry in datasets; did",
        ),
    ],
)
def test_a_name_that_refers_to_nothing_is_told_with_its_place_and_the_nearest_one(text, message, tmp_path):
    assert message.format(file=tmp_path / "mine.yaml") in refused_preset(tmp_path, text)


def test_grid_and_patches_must_show_the_same_region(tmp_path):
    text = refused_preset(tmp_path, "experiments: {adm: {grid: sd}}")
    assert text == "experiments.adm: grid 'sd' has region 464 px and patches 'tc' have 256 px; they must be equal"


@pytest.mark.parametrize(
    ("table", "row", "block"),
    [
        ("tc_table1", "mine", {"label": "x", "experiment": None}),
        ("tc_table1", "mine", {"label": "x", "experiment": None, "decoder": "points"}),
        ("tc_table1", "adm", {"label": "x", "experiment": "adm"}),
        ("tc_table2", "mine", {"label": "x", "experiment": "adm"}),
    ],
)
def test_a_row_that_cannot_be_run_must_say_why(table, row, block, paper):
    rows = paper["tables"][table]["rows"]
    rows[row] = block
    assert refused(paper).startswith(
        f"tables.{table}.rows.{row}: a row that is run names an experiment and its decoder"
    )
    rows[row] = {**block, "why": "not built yet"}
    validate(paper, SCHEMA)


# -- overlays ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_presets_are_valid_and_overlaid_as_snakemake_does_it(preset):
    from snakemake.utils import update_config

    mine = settings.overlay(yaml.safe_load(PAPER.read_text()), yaml.safe_load(preset.read_text()))
    theirs = {}
    for file in (preset, PAPER, preset):  # Snakemake puts the config over the overlay, then the overlay over both
        update_config(theirs, yaml.safe_load(file.read_text()))
    assert mine == theirs
    validate(mine, SCHEMA, [PAPER, preset])


def test_an_overlay_of_a_block_that_others_share_by_an_anchor_changes_that_block_alone():
    base = yaml.safe_load("{a: &a {condition: {k: 5}}, b: {<<: *a, x: 1}, c: *a}")
    merged = settings.overlay(base, {"b": {"condition": {"k": 2}}})
    assert merged == {"a": {"condition": {"k": 5}}, "b": {"condition": {"k": 2}, "x": 1}, "c": {"condition": {"k": 5}}}


def test_an_overlay_merges_maps_replaces_the_rest_and_changes_neither_side():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": {"c": {"d": 1}}, "n": None, "m": {"x": 1}}
    own = {"a": {"y": [3]}, "b": {"c": {"e": 2}}, "n": {"x": 1}, "m": None, "new": {"k": 1}}
    before = copy.deepcopy((base, own))
    merged = settings.overlay(base, own)
    assert merged == {
        "a": {"x": 1, "y": [3]},
        "b": {"c": {"d": 1, "e": 2}},
        "n": {"x": 1},
        "m": None,
        "new": {"k": 1},
    }
    merged["a"]["x"] = merged["new"]["k"] = merged["a"]["y"] = 9
    assert (base, own) == before


# -- sections ----------------------------------------------------------------------------------------------


def test_an_experiment_is_the_defaults_with_its_own_keys_and_names_replaced_by_content(paper):
    found = settings.experiment(paper, "sd_gmm_k10")
    assert found["grid"] == paper["grids"]["sd"]
    assert found["patches"] == paper["patches"]["sd"]
    assert found["density"] == paper["densities"]["gmm"]
    assert found["image_model"] == paper["image_models"]["sd"]
    assert found["condition"] == {"kind": "count_category", "categories": 10, "edges": "quantiles"}
    assert found["diffusion"] == {**paper["layout_model"]["diffusion"], "schedule": "linear", "p2_gamma": 1.0}
    assert found["network"] == paper["layout_model"]["network"]
    assert settings.experiment(paper, "sd_none")["density"] is None


def test_sections_hold_what_their_stage_needs_and_nothing_that_cannot_change_it(paper):
    training = canonical(settings.training_section(paper, "adm"))
    sampling = canonical(settings.sampling_section(paper, "adm"))
    reading = canonical(settings.reading_section(paper, "adm"))
    changes = {
        "layout_model.training.steps": (True, False, False),
        "layout_model.diffusion.steps": (True, False, False),
        "layout_model.network.channels": (True, False, False),
        "layout_model.sampling.steps": (False, True, False),
        "layout_model.sampling.test_layouts": (False, True, False),
        "layout_model.decoding.threshold": (False, True, True),
        "grids.tc.marker": (True, True, True),
        "image_models.tc.fold": (False, False, False),
        "detectors.unet.width": (False, False, False),
        "patches.tc.stride": (False, False, False),
        "experiments.random.training": (False, False, False),
    }
    for path, expected in changes.items():
        config = load(PAPER)
        put(config, path, 7)
        now = (
            canonical(settings.training_section(config, "adm")) != training,
            canonical(settings.sampling_section(config, "adm")) != sampling,
            canonical(settings.reading_section(config, "adm")) != reading,
        )
        assert now == expected, path


def test_experiments_that_train_alike_share_the_first_ones_weights(paper):
    paper["experiments"] = {
        "first": {"generator": "adm"},
        "fewer": {"generator": "adm", "sampling": {"steps": 10}},
        "other_windows": {"generator": "adm", "patches": "sd", "image_model": "sd"},
        "longer": {"generator": "adm", "training": {"steps": 5}},
        "renamed_grid": {"generator": "adm", "grid": "same"},
        "first_again": {},
    }
    paper["grids"]["same"] = dict(paper["grids"]["tc"])
    shared = {name: settings.shared_training(paper, name) for name in paper["experiments"]}
    assert shared == {
        "first": "first",
        "fewer": "first",
        "other_windows": "first",
        "longer": "longer",
        "renamed_grid": "first",
        "first_again": "first",
    }
    alike = {name: settings.shared_experiment(paper, name) for name in paper["experiments"]}
    assert alike == {**{name: name for name in paper["experiments"]}, "renamed_grid": "first", "first_again": "first"}


def test_image_models_of_equal_settings_are_trained_once(paper):
    paper["image_models"] = {"a": paper["image_models"]["tc"], "b": copy.deepcopy(paper["image_models"]["tc"])}
    paper["layout_model"]["image_model"] = "b"
    assert settings.shared_image_model(paper, "adm") == "a"
    paper["image_models"]["b"]["sampling"]["steps"] += 1
    assert settings.shared_image_model(paper, "adm") == "b"


def test_a_condition_of_another_kind_keeps_no_key_of_the_one_it_replaces(paper):
    preset = load(REPOSITORY / "workflow/presets/brca-small.yaml")
    found = settings.image_model(settings.overlay(paper, preset), "tc")
    assert found["condition"] == {"kind": "distance", "reach": 12}
    put(paper, "image_models.tc.condition.width", 99)
    assert settings.image_model(paper, "tc")["condition"] == {"kind": "cross_attention", "width": 99}
    assert settings.image_model(settings.overlay(paper, preset), "tc") == found

    paper["image_models"]["a"] = copy.deepcopy(paper["image_models"]["tc"])
    for name in ("tc", "a"):
        put(paper, f"image_models.{name}.condition", {"kind": "markers"})
    put(paper, "image_models.a.condition.width", 99)
    put(paper, "layout_model.image_model", "a")
    assert settings.shared_image_model(paper, "adm") == "tc"

    paper["experiments"] = {"counts": {"condition": {"kind": "class_counts", "scale": 2.0}}, "none": {}}
    put(paper, "experiments.counts.condition.kind", "none")
    assert settings.shared_training(paper, "none") == "counts"


def test_every_key_of_a_condition_is_one_of_its_kinds():
    schema = load(SCHEMA)["$defs"]
    blocks = [schema["condition"]["properties"], schema["image_model"]["properties"]["condition"]["properties"]]
    kinds = [kind for block in blocks for kind in block["kind"]["enum"]]
    assert sorted(kinds) == sorted(settings.CONDITION_KEYS)
    for block in blocks:
        used = [key for kind in block["kind"]["enum"] for key in settings.CONDITION_KEYS[kind]]
        assert sorted(used) == sorted(set(block) - {"kind"})


def test_only_generators_that_learn_are_trained(paper):
    untrained = {name for name in paper["experiments"] if not settings.is_trained(paper, name)}
    generators = {settings.named(paper, name)["generator"] for name in untrained}
    placing = {"random", "real_halves", "hard_core", "permuted", "train_crops", "retrieval"}
    assert generators == placing
    assert settings.is_trained(paper, "adm")


def test_rows_that_are_run_have_the_experiment_whose_results_serve_them(paper):
    paper["experiments"]["adm_again"] = {}
    paper["tables"]["tc_table1"]["rows"]["again"] = {"label": "y", "experiment": "adm_again", "decoder": "requested"}
    paper["tables"]["tc_table1"]["rows"]["left"] = {"label": "z", "experiment": None, "why": "not wanted"}
    found = {row["row"]: row["experiment"] for row in settings.rows(paper, "tc_table1")}
    assert found["again"] == "adm"
    assert "left" not in found
    assert list(found) == [r for r, b in paper["tables"]["tc_table1"]["rows"].items() if "why" not in b]
    assert {row["row"]: row["experiment"] for row in settings.rows(paper, "tc_table2")}["real"] is None


def test_wanted_tables_leave_out_the_datasets_that_a_table_skips(paper):
    paper["run"] = {"datasets": ["brca_m2c", "lizard"], "tables": ["tc_table1", "sd_table1"]}
    paper["tables"]["tc_table1"].pop("skip_datasets", None)
    paper["tables"]["sd_table1"]["skip_datasets"] = ["lizard"]
    expected = {("brca_m2c", "tc_table1"), ("brca_m2c", "sd_table1"), ("lizard", "tc_table1")}
    assert set(settings.wanted_tables(paper)) == expected


def test_a_table_section_names_experiments_as_score_files_do_and_keeps_the_order_of_rows(paper):
    before = copy.deepcopy(paper)
    layouts = settings.table_section(paper, "tc_table1")
    assert [name for name, _ in layouts["rows"]] == list(paper["tables"]["tc_table1"]["rows"])
    assert dict(layouts["rows"])["adm_requested"]["experiment"] == "adm_counts"
    assert dict(layouts["rows"])["adm_requested"]["decoder"] == "requested"
    assert dict(layouts["rows"])["tmccg"] == paper["tables"]["tc_table1"]["rows"]["tmccg"]
    assert layouts["columns"] == paper["tables"]["tc_table1"]["columns"]
    detections = settings.table_section(paper, "tc_table2")
    assert {name: row["experiment"] for name, row in detections["rows"] if not row.get("why")} == {
        "real": "real_only",
        "random": "random/points",
        "hard_core": "hard_core/points",
        "retrieval": "retrieval/points",
        "retrieval_repaired": "retrieval_repaired/points",
        "adm": "adm/components",
        "tmccg": "tmccg/points",
        "spatial_diffusion": "tc_sd_gmm/components",
        "topocellgen": "topocellgen/components",
        "point_diffusion": "point_diffusion/points",
    }
    assert "detectors" not in detections
    assert [column["detector"] for column in detections["columns"]] == ["unet"] * 3 + ["mcspatnet"] * 3
    assert (detections["radius"], detections["bootstrap"]) == (6, 10000)
    labels = [column["label"] for column in paper["tables"]["tc_table2"]["columns"]]
    assert [c["label"] for c in detections["columns"]] == [f"{d} {c}" for d in ("unet", "mcspatnet") for c in labels]
    assert json.loads(canonical(layouts))["rows"] == [list(row) for row in layouts["rows"]]
    assert paper == before


def test_detectors_are_tried_with_each_part_of_synthetic_crops(paper):
    assert settings.mixes(paper, "unet", None) == [0]
    assert settings.mixes(paper, "unet", "random") == [25, 50, 75]
    section = settings.detector_section(paper, "unet", 25)
    assert section["synthetic_fraction"] == 0.25 and "synthetic_fractions" not in section
    assert "synthetic_fraction" not in paper["detectors"]["unet"]


def test_several_detectors_give_a_column_each(paper):
    paper["detectors"]["small"] = {**paper["detectors"]["unet"], "width": 8}
    paper["tables"]["tc_table2"]["detectors"] = ["unet", "small"]
    validate(paper, SCHEMA)
    columns = paper["tables"]["tc_table2"]["columns"]
    found = settings.table_section(paper, "tc_table2")["columns"]
    assert [(c["detector"], c["label"]) for c in found] == [
        (one, f"{one} {column['label']}") for one in ("unet", "small") for column in columns
    ]


# -- the papers' config --------------------------------------------------------------------------------------


def test_the_papers_config_is_valid_and_makes_every_table_it_has(paper):
    validate(paper, SCHEMA, [PAPER])
    assert sorted(paper["run"]["tables"]) == sorted(paper["tables"])


def test_every_row_of_the_papers_tables_names_its_experiment_or_says_why_not(paper):
    used = set()
    for name, table in paper["tables"].items():
        listed = {row["row"] for row in settings.rows(paper, name)}
        assert listed, name
        for row, block in table["rows"].items():
            assert (row in listed) == ("why" not in block), (name, row)
            if row in listed and block["experiment"]:
                assert block["experiment"] in paper["experiments"], (name, row)
                generator = settings.named(paper, block["experiment"])["generator"]
                placed = not settings.is_trained(paper, block["experiment"]) or generator in (
                    "point_diffusion",
                    "tmccg",
                )
                assert (block["decoder"] == "points") == placed, (name, row)
                used.add(block["experiment"])
    assert used == set(paper["experiments"]), "experiments that no table shows"


def test_every_table_of_layouts_has_its_floor_and_its_ceiling(paper):
    for name, table in paper["tables"].items():
        if table["kind"] == "layouts":
            generators = [settings.named(paper, row["experiment"])["generator"] for row in settings.rows(paper, name)]
            assert generators[0] == "real_halves", name
            assert "random" in generators, name
            framing = settings.framing(paper, name)
            assert next(iter(framing.values())) == "floor" and "ceiling" in framing.values(), name
        elif table["kind"] == "images":
            assert settings.framing(paper, name) == {"real": "floor", "real_halves": "floor"}
        else:  # its "+ Rand." is a row like others
            assert settings.framing(paper, name) == {}


def test_the_first_of_equal_experiments_does_not_depend_on_the_preset(paper):
    """Results of one experiment are found again under the same name whatever tables are asked for."""
    names = {name: settings.shared_training(paper, name) for name in paper["experiments"]}
    paper["run"] = {"datasets": ["phantom"], "tables": ["tc_table1"]}
    assert {name: settings.shared_training(paper, name) for name in paper["experiments"]} == names
