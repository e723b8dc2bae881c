"""What is refused and how it is told: one line with path, file, the nearest name, what was expected."""

import json
import os
import sys
import types
from datetime import date

import pytest
import yaml

from cellscaper.errors import CellscaperError
from cellscaper.plan.configuration import complete, configuration, given, typed
from cellscaper.plan.experiments import Experiments
from cellscaper.plan.house import ROOT
from cellscaper.plan.tables import Tables

# -- unknown keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("seed", "seeds"),
        ("experimnts", "experiments"),
        ("run.table", "tables"),
        ("datasets.brca_m2c.paths", "path"),
        ("datasets.lizard.split_seed", "split"),
        ("datasets.phantom.images.trian", "train"),
        ("fields.w256.regoin", "region"),
        ("fields.w464.windows.strid", "stride"),
        ("grids.sd.stirde", "stride"),
        ("densities.gmm.component", "components"),
        ("experiments.adm.genertor", "generator"),
        ("experiments.adm.training.learning_rate", "lr"),
        ("experiments.adm.settings.diffusion.scedule", "schedule"),
        ("experiments.topocellgen.settings.losses.weights.itra", "intra"),
        ("experiments.sd_gmm_k10.condition.categoris", "categories"),
        ("experiments.tmccg.settings.discriminator.widht", "width"),
        ("features.tc.levle", "level"),
        ("painters.tc.grid.padding", "pad"),
        ("painters.tc.network.attn", "attention"),
        ("detectors.unet.dot_radus", "dot_radius"),
        ("metrics.topofd.sample", "samples"),
        ("resources.light.memory", "mem_mb"),
        ("tables.tc_table1.rows.adm.decode", "decoder"),
    ],
)
def test_an_unknown_key_is_told_with_its_full_path_its_file_and_the_nearest_key(path, near, put, mine, refused_overlay):
    own = {}
    put(own, path, 1)
    text = refused_overlay(own)
    assert text.startswith(f"unknown key '{path}' in {mine}; did you mean ")
    valid = text.split("valid here: ")[1].rstrip(")").split(", ")
    assert near in valid
    if near not in ("lr",):  # a synonym, not a slip of the hand
        assert f"did you mean {near!r}?" in text


@pytest.mark.parametrize(
    "own",
    [
        "experiments: {mine: {generator: adm, field: w256, settings: {network: {chanels: 1}}}}",
        "experiments: {mine: {base: adm, settings: {network: {chanels: 1}}}}",
    ],
)
def test_an_unknown_key_of_a_new_experiment_is_told(own, mine, refused_overlay):
    text = refused_overlay(own)
    assert text.startswith(
        f"unknown key 'experiments.mine.settings.network.chanels' in {mine}; did you mean 'channels'? (valid here: "
    )


def test_an_unknown_key_in_a_list_is_told_with_its_place(papers, refused):
    papers["tables"]["tc_table1"]["columns"][2]["metrics"] = "tce"
    assert refused(papers).startswith("unknown key 'tables.tc_table1.columns.2.metrics'; did you mean 'metric'?")


def test_an_unknown_key_in_columns_that_tables_share_is_told_where_they_stand(papers, refused, file_of):
    papers["columns"]["topology"][1]["metrics"] = "tce"
    assert refused(papers).startswith("unknown key 'columns.topology.1.metrics'; did you mean 'metric'?")


def test_an_unknown_key_is_told_before_other_errors(papers, refused):
    papers["seeds"] = "0"
    papers["fields"]["w256"].pop("region")
    papers["fields"]["w256"]["regin"] = 256
    assert refused(papers).startswith("unknown key 'fields.w256.regin'")


@pytest.mark.parametrize(
    ("key", "kind"), [(5, "number"), (2.5, "number"), (True, "boolean"), (None, "null"), (date(2020, 1, 1), "date")]
)
def test_keys_that_are_not_text_are_refused(key, kind, papers, refused):
    """YAML reads `on:`, `no:` and `5:` as such."""
    experiments, training = papers["experiments"], papers["experiments"]["adm"]["training"]
    experiments[key] = {"generator": "adm", "field": "w256"}
    text = refused(papers)
    assert text.startswith(f"experiments.{key}: YAML reads this key as a {kind}")
    assert text.endswith("write it in quotes; expected names of small letters, digits and _")
    del experiments[key]
    training[key] = 1
    text = refused(papers)
    assert text.startswith(f"experiments.adm.training.{key}: YAML reads this key as a {kind}")
    assert text.endswith("write it in quotes")
    del training[key]
    papers["tables"]["tc_table1"]["columns"][0][key] = 1
    assert refused(papers).startswith(f"tables.tc_table1.columns.0.{key}: YAML reads this key as a {kind}")


def test_two_keys_that_would_become_one_are_refused(mine, refused_overlay):
    text = refused_overlay("datasets: {mine: {reader: dots, class_map: {1: a, '1': null}}}")
    assert text == f"datasets.mine.class_map.1 in {mine}: YAML reads this key as a number; write it in quotes"


def test_a_boolean_says_what_yaml_takes_for_one(mine, refused_overlay):
    assert refused_overlay("yes: 1") == (
        f"True in {mine}: YAML reads this key as a boolean (as yes, no, on, off, true, false); write it in quotes"
    )


def test_an_empty_key_is_told_as_it_is(mine, refused_overlay):
    assert refused_overlay("'': 1").startswith(f"unknown key '' in {mine}; did you mean ")


# -- places --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("seed: 1", "unknown key 'seed' {place}; did you mean 'seeds'?"),
        ("experiments: {adm: {training: {lr: fast}}}", "experiments.adm.training.lr = 'fast' {place}: 'fast' is not"),
        ("fields: {w256: {grid: tcc}}", "fields.w256.grid = 'tcc' {place}: no such entry in grids"),
        ("experiments: {aa: {base: zz}, zz: {base: 5}}", "experiments.zz.base = 5 {place}: no such entry in experim"),
        ("seeds: 5", "seeds = 5 {place}: 5 is not of type 'array'"),
    ],
)
def test_what_no_file_has_is_told_with_its_place(own, message, tmp_path):
    """The keys are in config.yaml, too, and in a file with another value."""
    own, file = yaml.safe_load(own), tmp_path / "right.yaml"
    file.write_text("seeds: [1]\nfields: {w256: {grid: tc}}\nexperiments: {adm: {training: {lr: 1}}}", encoding="utf-8")
    ways = {
        "from --config": [(own, own, []), ({}, own, [file])],
        "in the Snakefile's config": [(own, {}, []), (own, {"results": "r"}, [])],  # a module's `config:`
    }
    for place, calls in ways.items():
        for call in calls:
            with pytest.raises(CellscaperError) as caught:
                given(*call)
            assert str(caught.value).startswith(message.format(place=place))


def test_what_a_file_has_is_told_with_the_file_beside_a_command_line(mine):
    mine.write_text("experiments: {adm: {training: {lr: fast}}}", encoding="utf-8")
    with pytest.raises(CellscaperError, match=f"training.lr = 'fast' in {mine}: "):
        given({}, {"experiments": {"adm": {"training": {"steps": 5}}}}, [mine])


def test_numbers_in_lists_and_maps_of_a_command_line_are_numbers():
    """Snakemake reads the insides of lists and maps as text."""
    from snakemake.cli import parse_config

    texts = ["seeds=[0, 3]", "run={datasets: [phantom], tables: [tc_table1]}", "fields={w256: {train_layouts: 12}}"]
    texts.append(
        "experiments={adm: {training: {snapshot_every: null, grad_clip: 0.5}, settings: {network: {checkpoint: true}}}}"
    )
    config = parse_config(texts)
    assert config["seeds"] == ["0", "3"]
    found = given(config, config, [])
    adm = found["experiments"]["adm"]
    assert (found["seeds"], found["fields"]["w256"]["train_layouts"]) == ([0, 3], 12)
    assert (adm["training"]["snapshot_every"], adm["training"]["grad_clip"]) == (None, 0.5)
    assert adm["settings"]["network"]["checkpoint"] is True
    assert typed({"path": "/a: [b", "year": "2020-13-45", "no": ""}) == {
        "path": "/a: [b",
        "year": "2020-13-45",
        "no": "",
    }


# -- wrong values ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("seeds", 0, "not of type 'array'"),
        ("seeds", [], "non-empty"),
        ("seeds", [0, 0], "non-unique"),
        ("seeds", [-1], "expected a whole number from 0 below 2^63"),
        ("experiments.adm.training.lr", "1e-4", "not of type 'number'"),
        ("experiments.adm.training.steps", 100.0, "not of type 'integer'"),
        ("experiments.adm.training.steps", "1e5", "not of type 'integer'"),
        ("experiments.adm.training.steps", True, "not of type 'integer'"),
        ("experiments.adm.training.steps", 0, "less than the minimum"),
        ("experiments.adm.training.ema", 1.0, "maximum"),
        ("experiments.adm.training.precision", "fp16", "expected "),
        ("experiments.adm_counts.condition.kind", "counts", "expected "),
        ("experiments.adm.decoding.threshold", 1.5, "greater than the maximum"),
        ("experiments.adm.settings.network.multipliers", [], "non-empty"),
        ("experiments.adm.generator", "amd", "expected "),
        ("experiments.sd_none.condition.edges", "deciles", "expected quantiles or a list of numbers"),
        ("experiments.real_vs_real_images.settings.halves", "thirds", "expected "),
        ("experiments.retrieval.settings.window_stride", 0, "less than the minimum"),
        ("experiments.point_diffusion.settings.topology", 3, "not of type 'object', 'null'"),
        ("fields.w256.evaluation.layouts", 0, "less than the minimum"),
        ("fields.w256.small", "crop", "expected "),
        ("fields.w256.windows.split", "all", "expected "),
        ("densities.gmcm.backend", "copula", "expected "),
        ("experiments.topocellgen.settings.losses.matching", "sinkhorn", "expected "),
        ("experiments.topocellgen.settings.losses.distance", "geodesic", "expected "),
        ("metrics.mmd.backend", "gudhi", "expected "),
        ("metrics.mmd.reg", 0, "less than or equal to the minimum"),
        ("metrics.topofd.matching", "emd", "expected "),
        ("densities.gmm.components", "aic", "expected bic or a number of components"),
        ("densities.gmm.method", "knn", "expected "),
        ("datasets.lizard.split", "random", "expected info or {random: {test_fraction, val_fraction, seed}}"),
        ("datasets.lizard.split.random.test_fraction", 2, "greater than the maximum"),
        ("datasets.phantom.size", [500, 480, 3], "too long"),
        ("datasets.phantom.classes", 4, "expected "),
        ("detectors.unet.synthetic_fractions", [2], "greater than the maximum"),
        ("features.tc.small", "crop", "expected "),
        ("metrics.mmd.sigma", "mean", "expected median or a number above 0"),
        ("resources.light.threads", 0, "less than the minimum"),
        ("tables.tc_table1.kind", "pictures", "expected "),
        ("tables.tc_table1.columns", 5, "expected a name from columns or a list of columns"),
        ("tables.sampling_steps.rows.adm_5.curve", 5, "expected [name of a line, number on the axis of sampling"),
        ("tables.tc_table1.rows.adm.decoder", "component", "expected "),
        ("results", None, "not of type 'string'"),
    ],
)
def test_a_wrong_value_is_told_with_path_value_file_and_what_was_expected(
    path, value, expected, put, mine, refused_overlay
):
    own = {}
    put(own, path, value)
    text = refused_overlay(own)
    assert text.startswith(f"{path}")
    assert f" in {mine}: " in text
    assert repr(value if not isinstance(value, list) or len(value) != 1 else value[0]) in text
    assert expected in text


def test_null_is_no_block(papers, put, refused):
    put(papers, "painters.tc.training", None)
    assert refused(papers) == "painters.tc.training = None: None is not of type 'object'"


@pytest.mark.parametrize(
    "path",
    [
        "run",
        "run.tables",
        "datasets.lizard.reader",
        "fields.w256.region",
        "fields.w256.grid",
        "densities.kde.method",
        "experiments.adm.generator",
        "experiments.random.field",
        "resources.light",
        "resources.light.gpu",
        "tables.tc_table1.kind",
        "tables.tc_table1.rows.adm.experiment",
    ],
)
def test_a_missing_key_is_told(path, papers, refused):
    *parents, last = path.split(".")
    node = papers
    for part in parents:
        node = node[part]
    del node[last]
    told = refused(papers)
    assert told.startswith(f"{'.'.join(parents) or 'the configuration'}: {last!r} is required")
    assert (": expected " in told) == (last in ("reader", "method", "generator", "kind"))


def test_a_missing_key_of_an_overlay_is_told_with_its_file(mine, refused_overlay):
    own = "experiments: {mine: {settings: {network: {channels: 3}}}}"
    told = refused_overlay(own)
    assert told.startswith(f"experiments.mine in {mine}: 'generator' is required: expected adm or ")
    assert told.endswith(", or a `base`")


def test_a_key_that_stands_twice_is_told_with_both_lines(mine):
    mine.write_text("experiments:\n  a: {base: adm}\n  b: {base: adm}\n  a: {base: random}\n", encoding="utf-8")
    with pytest.raises(CellscaperError) as told:
        given({}, {}, [mine])
    assert str(told.value) == f"{mine}: key 'a' stands twice in a map, lines 2 and 4; keep one of them"


def test_a_key_that_stands_twice_in_json_is_told(mine):
    mine.write_text('{"seeds": [0], "seeds": [1]}', encoding="utf-8")
    with pytest.raises(CellscaperError) as told:
        given({}, {}, [mine])
    assert str(told.value) == f"{mine}: key 'seeds' stands twice in a map; keep one of them"


def test_a_pipe_is_no_file_of_weights(tmp_path, refused_overlay):
    os.mkfifo(tmp_path / "pipe.pt")
    told = refused_overlay({"painters": {"tc": {"init": str(tmp_path / "pipe.pt")}}})
    assert "no regular file" in told


def test_a_rule_that_there_is_not_is_told_before_what_it_lacks(refused_overlay):
    assert "no such rule; did you mean 'train_layout'?" in refused_overlay("resources: {train_layuot: {threads: 1}}")


def test_a_density_belongs_to_the_generators_that_make_one(refused_overlay):
    told = refused_overlay("experiments: {topocellgen: {density: gmm}}")
    assert "it belongs to generator spatial_diffusion, and experiments.topocellgen.generator = 'topocellgen'" in told


def test_a_misspelled_choice_is_told_with_the_nearest(refused_overlay):
    assert "did you mean 'topocellgen'?" in refused_overlay("experiments: {a: {generator: topocelgen, field: w256}}")
    assert "did you mean" not in refused_overlay("metrics: {mmd: {backend: xyzzy}}")


def test_a_detection_table_names_its_detectors(papers, refused):
    del papers["tables"]["tc_table2"]["detectors"]
    assert refused(papers) == "tables.tc_table2: a table of detections names its detectors; add `detectors`"


def test_a_number_that_yaml_takes_for_a_text_is_told_how_to_write_it(papers, put, refused):
    put(papers, "experiments.adm.training.lr", yaml.safe_load("1e-3"))
    assert refused(papers) == (
        "experiments.adm.training.lr = '1e-3': '1e-3' is not of type 'number'; "
        "YAML reads a number with an exponent only with a point, as 1.0e-3"
    )


@pytest.mark.slow
def test_a_configuration_written_as_json_is_read_back_as_it_was(papers, tmp_path):
    papers["experiments"]["adm"]["training"]["lr"] = 1e-05  # json writes it without a point
    file = tmp_path / "own.json"
    file.write_text(json.dumps(papers), encoding="utf-8")
    assert "1e-05" in file.read_text(encoding="utf-8")
    assert given({}, {}, [file]) == configuration(papers)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Adm", "my-model", "1st", "a b", ""])
def test_names_must_be_fit_for_paths(name, papers, refused):
    papers["experiments"][name] = {"generator": "random", "field": "w256"}
    assert refused(papers).startswith(f"experiments = {name!r}: expected names of small letters, digits and _")


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
        ("fields: {w256: {grid: tcc}}", "fields.w256.grid = 'tcc' in {file}: no such entry in grids; did you mean 'tc"),
        (
            "fields: {w256: {painter: tcc}}",
            "fields.w256.painter = 'tcc' in {file}: no such entry in painters; did you mean 'tc'?",
        ),
        (
            "fields: {w256: {features: [tc, released]}}",
            "fields.w256.features = 'released' in {file}: no such entry in features; did you mean 'tc_released'?",
        ),
        (
            "experiments: {adm: {grid: tcc}}",
            "experiments.adm.grid = 'tcc' in {file}: no such entry in grids; did you mean 'tc'",
        ),
        (
            "experiments: {adm: {field: w250}}",
            "experiments.adm.field = 'w250' in {file}: no such entry in fields; did you mean 'w256'?",
        ),
        ("experiments: {sd_none: {density: gmn}}", "experiments.sd_none.density = 'gmn' in {file}: no such entry in"),
        (
            "experiments: {new: {base: sd_none, density: gmn}}",
            "experiments.new.density = 'gmn' in {file}: no such entry in densities; did you mean 'gmm'?",
        ),
        (
            "tables: {tc_table1: {rows: {adm: {experiment: amd}}}}",
            "tables.tc_table1.rows.adm.experiment = 'amd' in {file}: no such entry in experiments; did you mean 'adm'?",
        ),
        (
            "tables: {tc_table2: {detectors: [unt]}}",
            "tables.tc_table2.detectors = 'unt' in {file}: no such entry in detectors; did you mean 'unet'?",
        ),
        (
            "tables: {tc_table2: {skip_datasets: [lizrd]}}",
            "skip_datasets = 'lizrd' in {file}: no such entry in datasets; did",
        ),
        (
            "tables: {tc_table3: {columns: topolgy}}",
            "tables.tc_table3.columns = 'topolgy' in {file}: no such entry in columns; did you mean 'topology'?",
        ),
        (
            "metrics: {image_quality: {detector: unt}}",
            "metrics.image_quality.detector = 'unt' in {file}: no such entry in detectors; did you mean 'unet'?",
        ),
        (
            "tables: {tc_table1: {columns: [{metric: tce}, {metric: topfd}]}}",
            "tables.tc_table1.columns.1.metric = 'topfd' in {file}: no metric has such a score; did you mean 'topofd'?",
        ),
        (
            "columns: {topology: [{metric: topfd}]}",
            "columns.topology.0.metric = 'topfd' in {file}: no metric has such a score; did you mean 'topofd'?",
        ),
        (
            "tables: {tc_table1: {rows: {random: {decoder: components}}}}",
            "tables.tc_table1.rows.random.decoder = 'components' in {file}: layouts of generator random are read by",
        ),
        (
            "tables: {tc_table1: {rows: {adm: {decoder: points}}}}",
            "rows.adm.decoder = 'points' in {file}: layouts of generator adm are read by components or released or",
        ),
    ],
)
def test_a_name_that_refers_to_nothing_is_told_with_its_place_and_the_nearest_one(text, message, mine, refused_overlay):
    assert message.format(file=mine) in refused_overlay(text)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            "fields: {w256: {region: 128}}",
            "fields.w256: region 128 px, and painter 'tc' paints 256 px; they must be equal",
        ),
        (
            "fields: {w256: {painter: sd}}",
            "fields.w256: region 256 px, and painter 'sd' paints 464 px; they must be equal",
        ),
        (
            "fields: {w256: {features: [tc, sd]}}",
            "fields.w256: region 256 px, and features 'sd' see 464 px; they must be equal",
        ),
        (
            "features: {sd: {grid: {region: 256}}}",
            "fields.w464: region 464 px, and features 'sd' see 256 px; they must be equal",
        ),
    ],
)
def test_field_painter_and_features_must_show_the_same_region(own, message, refused_overlay):
    assert refused_overlay(own) == message


@pytest.mark.parametrize(
    ("table", "row", "block"),
    [
        ("tc_table1", "mine", {"label": "x", "experiment": None}),
        ("tc_table1", "mine", {"label": "x", "experiment": None, "decoder": "points"}),
        ("tc_table1", "adm", {"label": "x", "experiment": "adm"}),
        ("tc_table2", "mine", {"label": "x", "experiment": "adm"}),
    ],
)
def test_a_row_that_cannot_be_run_must_say_why(table, row, block, papers, refused):
    rows = papers["tables"][table]["rows"]
    rows[row] = block
    assert refused(papers).startswith(
        f"tables.{table}.rows.{row}: a row that is run names an experiment and its decoder"
    )
    rows[row] = {**block, "why": "not built yet"}
    complete(papers)


# -- keys that an entry inherits ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            "experiments: {topocellgen: {settings: {losses: {weigths: 1}}}}",
            "unknown key 'experiments.topocellgen.settings.losses.weigths' in {mine}; did you mean 'weights'?",
        ),
        (
            "experiments: {mine: {base: sd_none, settings: {diffusion: {losses: 1}}}, aa: {base: mine}}",
            "unknown key 'experiments.mine.settings.diffusion.losses' in {mine}; did you mean ",
        ),
        (
            "experiments: {aa: {base: zz}, zz: {base: sd_none, density: gmn}}",
            "experiments.zz.density = 'gmn' in {mine}, inherited by experiments.aa: no such entry in densities; did",
        ),
        (
            "tables: {aa: {base: zz, title: x}, zz: {base: tc_table1, title: y, columns: topolgy}}",
            "tables.zz.columns = 'topolgy' in {mine}, inherited by tables.aa: no such entry in columns; did you mean",
        ),
        (
            "tables: {sd_table2: {rows: {gmm: {decoder: points}}}}",
            "tables.sd_table2.rows.gmm.decoder = 'points' in {mine}: layouts of generator spatial_diffusion are read",
        ),
        (
            "tables: {sd_table2_released: {kind: layouts, columns: layouts}}",
            "tables.sd_table2.rows.real in {sd}, inherited by tables.sd_table2_released: a row that is run names",
        ),
        (
            "experiments: {adm: {training: {lr: fast}}}",
            "experiments.adm.training.lr = 'fast' in {mine}: 'fast' is not of type 'number'",
        ),
    ],
)
def test_an_inherited_key_is_told_at_the_entry_that_has_it(own, message, mine, refused_overlay, file_of):
    text = refused_overlay(own)
    assert text.startswith(message.format(mine=mine, config=file_of("config.yaml"), sd=file_of("sd.yaml")))


# -- the papers' configuration --------------------------------------------------------------------------------


def test_the_papers_configuration_is_valid_and_makes_every_table_it_has(papers):
    config = configuration({})
    assert sorted(config["run"]["tables"]) == sorted(config["tables"]) == sorted(papers["tables"])


def test_image_models_have_the_protocol_of_their_paper(papers):
    """SD section 3: the upsampler's network, P2. TC supplement 10: cosine schedule, plain noise loss."""
    painters = configuration({})["painters"]
    sd, tc = painters["sd"], painters["tc"]
    assert [one["diffusion"]["schedule"] for one in (sd, tc)] == ["linear", "cosine"]
    assert [one["diffusion"]["p2_gamma"] for one in (sd, tc)] == [1.0, 0.0]
    assert {one["diffusion"]["prediction"] for one in (sd, tc)} == {"noise"}
    assert [one["network"]["channels"] for one in (sd, tc)] == [192, 256]
    assert [one["network"]["heads"] for one in (sd, tc)] == [4, None]
    assert [one["network"]["attention"] for one in (sd, tc)] == [[64, 32, 16], [32, 16, 8]]
    assert (sd["padding"], [one["flips"] for one in (sd, tc)]) == ("black", ["horizontal", "both"])
    assert papers["painters"]["sd"]["init"] is None


@pytest.mark.parametrize("preset", ["ci", "demo", "demo-all", "brca-small"])
def test_presets_keep_their_own_painting_whatever_the_papers_choose(preset):
    text = (ROOT / f"workflow/presets/{preset}.yaml").read_text(encoding="utf-8")
    assert {"schedule", "prediction", "p2_gamma"} <= set(yaml.safe_load(text)["painters"]["tc"]["diffusion"])
    painter = configuration(yaml.safe_load(text))["painters"]["tc"]
    assert painter["diffusion"]["schedule"] == ("linear" if preset == "ci" else "cosine")
    assert (painter["flips"], painter["network"]["heads"]) == ("both", None)


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_weights_to_start_from_must_be_a_file(kind, tmp_path, mine, refused_overlay):
    file, reason = tmp_path / "none.pt", "No such file or directory"
    if kind == "folder":
        file, reason = tmp_path, "Is a directory"
    own = {"painters": {"sd": {"init": str(file)}}}
    assert refused_overlay(own) == (
        f"painters.sd.init = '{file}' in {mine}: {reason}; name a file of weights, or null to start from new weights"
    )


def test_what_is_not_given_has_the_default_of_its_method():
    config = configuration(yaml.safe_load("experiments: {mine: {generator: retrieval, field: w256}}"))
    assert config["experiments"]["mine"]["settings"] == {
        "repair": False,
        "window_stride": 8,
        "min_distance": 8.0,
    }
    assert "training" not in config["experiments"]["mine"]
    assert config["experiments"]["adm"]["condition"] == {"kind": "none"}
    assert config["experiments"]["adm"]["decoding"] == {"threshold": 0.5, "released_threshold": None}
    assert config["painters"]["sd"]["sampling"]["batch"] == 8


def test_neither_side_is_changed_and_files_are_read_wherever_one_stands(papers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = {"experiments": {"adm": {"training": {"steps": 7}}, "permuted": None}, "tables": {"tc_table1": None}}
    own["run"] = {"tables": ["tc_table5"]}
    before = yaml.safe_dump(own)
    config = configuration(own)
    assert yaml.safe_dump(own) == before
    assert config["experiments"]["topocellgen"]["training"]["steps"] == 7
    assert configuration({})["experiments"]["topocellgen"]["training"]["steps"] == 360000


def test_two_feature_networks_of_one_method_in_a_field_are_refused(refused_overlay):
    own = "features: {again: {method: autoencoder}}\nfields: {w256: {features: [tc, again]}}"
    assert refused_overlay(own) == (
        "fields.w256.features = ['tc', 'again']: two networks of method autoencoder would write one score; "
        "keep one of them in this field"
    )


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("experiments: {real_only: {base: adm}}", "experiments.real_only in {file}: the name real_only stands for"),
        ("resources: {train_layouts: {gpu: 1}}", "resources.train_layouts"),
        ("tables: {tc_table1: {columns: [{metric: glass}]}}", "a score of images, but the table is of layouts"),
        ("tables: {tc_table1: {detectors: [unet]}}", "only tables of detections have detectors"),
        ("tables: {tc_table1: {rows: {adm: {label: -x}}}}", "expected a text that does not begin with -"),
        ("results: -out", "expected a folder without braces"),
        ("results: a{b}", "expected a folder without braces"),
    ],
)
def test_what_would_end_in_a_wrong_run_is_refused(own, message, mine, refused_overlay):
    assert message.format(file=mine) in refused_overlay(own)


def test_a_column_whose_network_the_field_lacks_is_not_computed():
    config = configuration(yaml.safe_load("fields: {w256: {features: [tc]}}"))
    made = Tables(Experiments(config))
    assert {metric.network for metric in made.metrics("random", "points")} == {"", "autoencoder"}


# -- packages ----------------------------------------------------------------------------------------------

GEODESIC = "experiments: {{mine: {{base: topocellgen, settings: {{losses: {{distance: fastgeodis{more}}}}}}}}}"


def test_distances_of_a_package_that_is_missing_are_refused_while_planning(mine, refused_overlay, monkeypatch):
    monkeypatch.setitem(sys.modules, "FastGeodis", None)
    text = refused_overlay(GEODESIC.format(more=", diagrams: cubical"))
    where = f"experiments.mine.settings.losses.distance = 'fastgeodis' in {mine}"
    assert text.startswith(
        f"{where} needs FastGeodis, which is not installed here: pip install 'setuptools<81' wheel && "
    )
    assert text.endswith("--no-build-isolation FastGeodis==1.0.5, or use edt")


def test_distances_of_a_package_that_is_there_are_planned(monkeypatch):
    monkeypatch.setitem(sys.modules, "FastGeodis", types.SimpleNamespace(__spec__=object()))
    losses = configuration(yaml.safe_load(GEODESIC.format(more=", diagrams: cubical")))["experiments"]["mine"]
    assert losses["settings"]["losses"]["distance"] == "fastgeodis"


def test_distances_of_diagrams_without_a_distance_map_are_refused(mine, refused_overlay):
    text = refused_overlay(GEODESIC.format(more=""))
    assert text.startswith(
        f"experiments.mine.settings.losses.distance = 'fastgeodis' in {mine}: only diagrams of pixels"
    )
