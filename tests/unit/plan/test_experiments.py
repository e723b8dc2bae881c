"""Experiments: what they inherit, what their stages get, which of them share weights, layouts and painters."""

import copy
import hashlib
import json
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from cellscaper.disk.files import checksum
from cellscaper.errors import CellscaperError
from cellscaper.plan import folders, sections
from cellscaper.plan.configuration import complete, configuration
from cellscaper.plan.experiments import Experiments
from cellscaper.plan.merging import overlay
from cellscaper.plan.provenance import canonical
from cellscaper.plan.schema import facts
from cellscaper.plan.tables import Metric

REPOSITORY = Path(__file__).resolve().parents[3]


def experiments(own):
    return Experiments(configuration(yaml.safe_load(own) if isinstance(own, str) else own))


def preset(*names):
    """What Snakemake makes of presets over each other."""
    both = {}
    for name in names:
        update_config(both, yaml.safe_load((REPOSITORY / f"workflow/presets/{name}.yaml").read_text(encoding="utf-8")))
    return both


# -- bases -------------------------------------------------------------------------------------------------


def test_an_experiment_is_its_base_with_its_own_keys_and_the_defaults_of_its_method(papers):
    found = experiments({})
    one, adm, recipe = found["sd_gmm_k10"], found["adm"], found.recipe("sd_gmm_k10")
    grid, field = papers["grids"]["sd"], papers["fields"]["w464"]
    assert recipe["grid"] == {"region": 464, **grid, "soft": 0.0, "exact": False} == found.grid("sd_gmm_k10")
    assert (one.field, recipe["region"], recipe["small"]) == ("w464", field["region"], field["small"])
    assert {"method": "gmm"}.items() <= recipe["density"].items()
    assert recipe["density"]["settings"]["components"] == papers["densities"]["gmm"]["components"]
    assert found.painter("sd_gmm_k10") == "sd" and found.features("sd_gmm_k10") == ["sd"]
    assert one.condition == {"kind": "count_category", "categories": 10, "edges": "quantiles"}
    assert one.settings["diffusion"] == {**adm.settings["diffusion"], "schedule": "linear", "p2_gamma": 1.0}
    assert one.settings["network"] == adm.settings["network"]
    assert found["sd_none"].density is None and "density" not in found.recipe("sd_none")


def test_bases_are_read_after_overlays_so_that_a_changed_entry_changes_what_is_based_on_it():
    found = experiments("""
experiments:
  topocellgen: {settings: {losses: {after: 0.25, weights: {count: 7}}}, training: {steps: 9}}
""")
    weights = {"count": 7, "intra": 5.0e-4, "inter": 5.0e-4}
    assert found["topocellgen"].settings["losses"]["weights"] == weights
    assert found["tc_count"].settings["losses"]["weights"] == {**weights, "intra": 0, "inter": 0}
    assert found["tc_intra"].settings["losses"]["weights"]["count"] == 0  # its own
    based = [name for name, block in found.config["experiments"].items() if block["generator"] == "topocellgen"]
    assert len(based) > 15
    assert {found[name].settings["losses"]["after"] for name in based} == {0.25}
    assert {found[name].training["steps"] for name in based} == {9}
    assert found["adm"].training["steps"] == 360000 and "losses" not in found["adm_counts"].settings


def test_an_overlay_may_name_another_base():
    found = experiments("experiments: {tc_count: {base: adm_compact, settings: null, generator: adm}}")
    papers = found["adm_counts"]  # null removes the settings of the base as well, so those of the method are left
    assert vars(found["tc_count"]) == {**vars(papers), "grid": "tc_compact", "name": "tc_count"}


@pytest.mark.parametrize("name", ["mine", "sd_gmm_k0"])
def test_null_removes_a_block_of_the_base_also_where_the_entry_has_its_own(name):
    found = experiments(f"experiments: {{{name}: {{base: sd_gmm, condition: null}}}}")
    assert found[name].condition == {"kind": "none"}


def test_null_where_there_is_nothing_to_remove_is_no_error():
    found = experiments("experiments: {mine: {generator: adm, field: w256, settings: null}}")
    assert found["mine"].settings == found["adm"].settings


def test_an_entry_that_is_based_on_another_generators_takes_the_keys_that_both_have():
    found = experiments("experiments: {mine: {base: topocellgen, generator: adm, settings: null}}")
    assert found["mine"].generator == "adm" and found["mine"].condition["kind"] == "class_counts"
    assert vars(found["mine"])["training"] == found["topocellgen"].training


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            "experiments: {mine: {base: amd}}",
            "experiments.mine.base = 'amd' in {file}: no such entry in experiments; did you mean 'adm'?",
        ),
        (
            "tables: {mine: {base: tc_table}}",
            "tables.mine.base = 'tc_table' in {file}: no such entry in tables; did you mean 'tc_table",
        ),
        ("experiments: {mine: {base: [adm]}}", "experiments.mine.base = ['adm'] in {file}: no such entry in experim"),
        ("experiments: {mine: {base: mine}}", "experiments.mine.base = 'mine' in {file}: bases lead in a circle "),
        (
            "experiments: {a: {base: b}, b: {base: c}, c: {base: b}}",
            "experiments.c.base = 'b' in {file}: bases lead in a circle (a → b → c → b); one of them must name another",
        ),
        (
            "experiments: {adm: {base: tc_count}}",
            "bases lead in a circle (adm → tc_count → topocellgen → adm_counts → adm); one of them must name another",
        ),
        (
            "experiments: {nothing: null, mine: {base: nothing}}",
            "experiments.mine.base = 'nothing' in {file}: that entry is null, so there is nothing to inherit; name ano",
        ),
        (
            "experiments: {topocellgen: null, mine: {base: topocellgen}}",
            "base = 'topocellgen' in {file}: that entry is null, so there is nothing to inherit; name another base",
        ),
        (
            "tables: {tc_table2: null}",
            "tables.tc_table2_released.base = 'tc_table2' in {tc}: that entry is null, so there is nothing to inherit",
        ),
    ],
)
def test_a_base_that_leads_nowhere_is_told(own, message, mine, refused_overlay, file_of):
    text = refused_overlay(own)
    if "topocellgen: null" in own:  # the first of those that were based on it
        assert text.startswith("experiments.tc_count.base = 'topocellgen' in ")
        message = message.replace("{file}", "{config}")
    assert message.format(file=mine, tc=file_of("tc.yaml"), config=file_of("config.yaml")) in text


def test_an_entry_that_is_null_is_none(papers):
    found = complete(overlay(papers, {"experiments": {"none": None}}))
    assert "none" not in found["experiments"]


# -- sections ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_sections_hold_what_their_stage_needs_and_nothing_that_cannot_change_it(papers, put):
    def read(config):
        found = Experiments(complete(config))
        reading = sections.scoring_section(found, "adm", "components", [])["reading"]
        test, train = (sections.sampling_section(found, "brca_m2c", "adm", purpose) for purpose in ("test", "train"))
        return [canonical(one) for one in (found.recipe("adm"), test, train, reading)]

    before = read(papers)
    changes = {
        "experiments.adm.training.steps": (True, False, False, False),
        "experiments.adm.settings.diffusion.steps": (True, False, False, False),
        "experiments.adm.settings.network.channels": (True, False, False, False),
        "experiments.adm.sampling.steps": (False, True, True, False),
        "fields.w256.evaluation.layouts": (False, True, False, False),
        "fields.w256.train_layouts": (False, False, True, False),
        "grids.tc.marker": (True, False, False, True),  # the weights bring the grid to `sample_layouts`
        "painters.tc.network.fold": (False, False, False, False),
        "detectors.unet.width": (False, False, False, False),
        "fields.w256.windows.stride": (False, False, False, False),
        "experiments.hard_core.settings.min_distance": (False, False, False, False),
        "experiments.topocellgen.training.steps": (False, False, False, False),
        "densities.gmm.max_components": (False, False, False, False),
        "metrics.copies.layouts": (False, False, False, False),
    }
    for path, expected in changes.items():
        config = copy.deepcopy(papers)
        put(config, path, 7)
        now = tuple(one != other for one, other in zip(read(config), before, strict=True))
        assert now == expected, path
    config = copy.deepcopy(papers)
    put(config, "experiments.adm.decoding", {"threshold": 0.25})
    assert [one != other for one, other in zip(read(config), before, strict=True)] == [False, True, True, True]


def test_layouts_that_are_placed_are_read_by_nothing():
    found = experiments({})
    assert sections.scoring_section(found, "random", "points", [])["reading"] == {}
    assert sections.scoring_section(found, "adm", "points", [])["reading"] == {}


def test_metrics_get_their_own_settings_and_the_network_that_they_look_with():
    found = experiments({})
    wanted = [Metric("topofd", ""), Metric("spatial_fid", "autoencoder")]
    plain, looking = sections.scoring_section(found, "adm", "requested", wanted)["metrics"]
    assert plain == {"method": "topofd", "settings": found.config["metrics"]["topofd"]}
    assert looking["network"] == "autoencoder" and looking["settings"] == found.config["metrics"]["spatial_fid"]


def test_untrained_generators_get_their_settings_where_trained_ones_get_their_sampling():
    found = experiments({})
    settings = {
        name: sections.sampling_section(found, "brca_m2c", name, "test")["settings"]
        for name in ("retrieval_repaired", "adm")
    }
    assert settings["retrieval_repaired"] == {"repair": True, "window_stride": 8, "min_distance": 8.0}
    assert settings["adm"] == {"steps": 100, "eta": 0.0, "batch": 16, "precision": "fp32", "guidance": 0.0}
    assert "decoding" not in sections.sampling_section(found, "brca_m2c", "retrieval_repaired", "test")


def test_sections_of_methods_name_the_method_and_hold_the_settings_apart(papers):
    config = configuration({})
    dataset = sections.dataset_section(config, "phantom")
    assert dataset["method"] == "phantom" and dataset["settings"]["seed"] == 0 and "reader" not in dataset["settings"]
    assert sections.density_section(config, "kde_0_1", 4) == {
        "method": "kde",
        "settings": {"bandwidth": 0.1, "regularise": 1.0},
        "stride": 4,
    }
    assert sections.windows_section(config, "w464") == {
        "cut": "windows",
        "region": 464,
        "small": "skip",
        "split": "test",
        "stride": 464,
    }
    painter, painting = sections.painter_section(config, "tc"), sections.painting_section(config, "tc")
    assert painter["settings"]["training"]["batch"] == 6 and "sampling" not in painter["settings"]
    assert painting == {"method": "diffusion", "settings": {"steps": 100, "eta": 0.0, "batch": 8}}
    assert sections.features_section(config, "tc_released")["settings"]["width"] == 512


def test_weights_to_start_from_count_by_content_and_are_read_for_their_own_painter_alone(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(folders, "checksum", lambda file: read.append(file) or checksum(file))
    files = [tmp_path / name for name in ("a.pt", "the same.pt", "b.pt")]
    for file, content in zip(files, (b"one", b"one", b"other"), strict=True):
        file.write_bytes(content)
    configs = [configuration({"painters": {"sd": {"init": str(file)}}}) for file in files]
    found = [sections.painter_section(config, "sd") for config in configs]
    assert found[0] == found[1] != found[2]
    assert found[0]["settings"]["init"] == hashlib.sha256(b"one").hexdigest()
    assert [sections.painter_init(config, "sd") for config in configs] == [[str(file)] for file in files]
    assert read == files
    assert [sections.painter_section(config, "sd") for config in configs] == found  # not read again
    for config in configs:
        assert sections.painter_section(config, "tc")["settings"]["init"] is None
        assert sections.painter_init(config, "tc") == []
        assert "init" not in sections.painting_section(config, "sd")["settings"]
    assert read == files


def test_an_untrained_painter_gets_all_its_settings(monkeypatch):
    config = configuration({})
    monkeypatch.setitem(facts()["painters"], "diffusion", {"trained": False})
    own = config["painters"]["tc"].items()
    block = {key: value for key, value in own if key not in ("method", "least_recall")}
    assert sections.painting_section(config, "tc") == {"method": "diffusion", "settings": block}


def test_images_of_rows_of_real_layouts_are_real():
    found = experiments({})
    real = {
        name: sections.image_scoring_section(found, name)["real"]
        for name in ("real_vs_real", "real_vs_real_images", "adm")
    }
    assert real == {"real_vs_real": "test", "real_vs_real_images": "halves", "adm": None}
    section = sections.image_scoring_section(found, "adm")
    assert (section["radius"], section["region"], section["small"], section["tile"]) == (6, 256, "skip", 64)


def test_detectors_are_tried_with_each_fraction_of_synthetic_crops():
    config = configuration({})
    section = sections.detector_section(config, "unet", 25)
    assert section["synthetic_fraction"] == 0.25 and "synthetic_fractions" not in section["settings"]
    assert "synthetic_fraction" not in config["detectors"]["unet"]
    assert section["method"] == "unet" and "method" not in section["settings"]


# -- sharing -----------------------------------------------------------------------------------------------


def test_experiments_that_train_alike_share_the_first_ones_weights(papers):
    own = {
        "first": {"generator": "adm", "field": "w256"},
        "fewer": {"base": "first", "sampling": {"steps": 10}},
        "other_windows": {"base": "first", "field": "sparse"},
        "longer": {"base": "first", "training": {"steps": 5}},
        "renamed_grid": {"base": "first", "grid": "same"},
        "wider": {"base": "first", "field": "w464"},
        "named_grid": {"base": "first", "grid": "tc"},
        "first_again": {"base": "first"},
    }
    papers["experiments"] = own
    papers["grids"]["same"] = dict(papers["grids"]["tc"])
    papers["fields"]["sparse"] = overlay(papers["fields"]["w256"], {"windows": {"stride": 64}, "painter": "tc"})
    papers["tables"] = {"t": {"title": "t", "kind": "layouts", "columns": "layouts", "rows": {"r": ROW}}}
    papers["run"]["tables"] = ["t"]
    found = Experiments(complete(papers))
    assert {name: found.shared_training(name) for name in own} == {
        **{name: "first" for name in own},
        "longer": "longer",
        "wider": "wider",
    }
    same = ("renamed_grid", "named_grid", "first_again")
    assert {name: found.shared(name) for name in own} == {
        **{name: name for name in own},
        **dict.fromkeys(same, "first"),
    }


ROW = {"label": "r", "experiment": "first", "decoder": "components"}


def test_experiments_of_a_field_with_another_painter_share_weights_but_no_layouts(papers):
    papers["painters"]["other"] = overlay(papers["painters"]["tc"], {"training": {"steps": 1}})
    papers["fields"]["other"] = {**papers["fields"]["w256"], "painter": "other"}
    papers["experiments"]["again"] = {"base": "adm", "field": "other"}
    found = Experiments(complete(papers))
    assert (found.shared_training("again"), found.shared("again")) == ("adm", "again")
    papers["painters"]["other"] = copy.deepcopy(papers["painters"]["tc"])  # the same under another name
    found = Experiments(complete(papers))
    assert found.shared("again") == "adm"


def test_painters_of_equal_settings_are_trained_once(papers):
    painters = papers["painters"]
    papers["painters"] = {"a": painters["tc"], "b": copy.deepcopy(painters["tc"]), "sd": painters["sd"]}
    papers["fields"]["w256"]["painter"] = "b"
    assert Experiments(complete(papers)).painter("adm") == "a"
    papers["painters"]["b"]["sampling"]["steps"] += 1
    assert Experiments(complete(papers)).painter("adm") == "b"


def test_feature_networks_of_equal_settings_are_trained_once(papers):
    papers["features"] = {"a": papers["features"]["tc"], **papers["features"]}
    assert Experiments(complete(papers)).features("adm") == ["a", "tc_released"]
    papers["features"]["tc"] = {**papers["features"]["tc"], "width": 64}
    assert Experiments(complete(papers)).features("adm") == ["tc", "tc_released"]


def test_only_generators_that_learn_are_trained():
    found = experiments({})
    names = found.config["experiments"]
    placing = {"random", "real_halves", "hard_core", "permuted", "train_crops", "retrieval", "pattern_reconstruction",
               "gibbs"}  # fmt: skip
    assert {found[name].generator for name in names if not found[name].is_trained} == placing
    assert found["adm"].is_trained
    for name in names:
        assert found[name].is_trained == facts()["generators"][found[name].generator]["trained"], name
        assert (found[name].sampling is not None) == found[name].is_trained, name


def test_the_first_of_equal_experiments_does_not_depend_on_the_preset():
    """Results of one experiment are found again under the same name whatever tables are asked for."""
    every, few = experiments({}), experiments("run: {datasets: [phantom], tables: [tc_table1]}")
    for name in every.config["experiments"]:
        assert every.shared(name) == few.shared(name)
        if every[name].is_trained:
            assert every.shared_training(name) == few.shared_training(name)


def test_an_experiment_of_an_overlay_is_never_the_first_of_those_that_were_there():
    """Snakemake has the keys of overlays first."""
    own = json.loads('{"experiments": {"aaa": {"base": "adm"}, "adm": {"sampling": {"steps": 50}}}}')
    assert experiments(own).shared("aaa") == "adm"


@pytest.mark.parametrize("presets", [(), ("brca-small", "brca-steps")])
def test_points_of_a_curve_are_one_training_sampled_with_their_number_of_steps(presets):
    found = experiments(preset(*presets))
    table = found.config["tables"]["sampling_steps"]
    lines = {}
    for row in table["rows"].values():
        if row["curve"] and not row["why"]:
            name, x = row["curve"]
            assert found[row["experiment"]].sampling["steps"] == x
            given = found.weights(row["experiment"])
            lines.setdefault(name, set()).add(given.name if given else found.shared_training(row["experiment"]))
    assert set(lines) == {"ADM", "TopoCellGen", "point diffusion"}
    assert all(len(trainings) == 1 for trainings in lines.values()), lines
    assert "sampling_steps" in found.config["run"]["tables"] and "lizard" in table["skip_datasets"]


def test_names_of_trainings_say_what_is_trained():
    """The names of TC Table 5 are factors: they are right over every preset that changes the rate itself."""
    for own, rates in (({}, (1.0e-4, 1.0e-5, 5.0e-5)), (preset("demo-all"), (1.0e-2, 1.0e-3, 5.0e-3))):
        found = experiments(own)
        factors = {name: found[f"tc_lr_times_{name}"].training["lr"] for name in ("5", "0_5", "2_5")}
        base = found["topocellgen"].training["lr"]
        assert tuple(factors.values()) == rates
        assert [rate / base for rate in rates] == pytest.approx([float(name.replace("_", ".")) for name in factors])


def test_the_errors_of_bases_are_ours():
    with pytest.raises(CellscaperError):
        configuration({"experiments": {"mine": {"base": {"a": [1]}}}})


def test_layouts_for_detectors_do_not_depend_on_how_many_are_scored():
    few, all_ = experiments("fields: {w256: {evaluation: {layouts: 9}}}"), experiments({})

    def section(found, purpose, dataset="brca_m2c", name="adm"):
        return sections.sampling_section(found, dataset, name, purpose)

    assert section(few, "train") == section(all_, "train")
    assert section(few, "test")["layouts"] == 9 and "layouts" not in section(all_, "test")


def test_a_data_set_may_score_fewer_windows_than_its_field():
    """TC: 1550 windows on BRCA-M2C, 1000 on Lizard."""
    found = experiments({})

    def layouts(dataset, purpose):
        return sections.sampling_section(found, dataset, "adm", purpose).get("layouts")

    assert layouts("lizard", "test") == 1000 and layouts("brca_m2c", "test") is None
    assert layouts("lizard", "train") == layouts("brca_m2c", "train") == 2000
    with pytest.raises(CellscaperError, match=r"datasets.lizard.layouts.w464.*layouts of this field are made by cat"):
        experiments("datasets: {lizard: {layouts: {w464: 5}}}")
    with pytest.raises(CellscaperError, match=r"datasets.lizard.layouts.w265 = 'w265'.*did you mean 'w256'"):
        experiments("datasets: {lizard: {layouts: {w265: 5}}}")


def test_sd_scores_and_paints_200_layouts_of_each_category_of_training_crops():
    found = experiments({})
    assert sections.windows_section(found.config, "w464-targets") == {
        "cut": "targets", "region": 464, "small": "skip", "align": 2, "categories": 5, "each": 200,
    }  # fmt: skip
    assert sections.windows_section(found.config, "w464-reference") == {
        "cut": "reference", "region": 464, "small": "skip", "align": 2, "number": 1000,
    }  # fmt: skip
    scored, painted = (sections.sampling_section(found, "brca_m2c", "sd_gmm", one) for one in ("test", "train"))
    assert scored["counts"] == painted["counts"] == "targets"
    assert painted["layouts"] == 1000 and "layouts" not in scored
    assert sections.sampling_section(found, "brca_m2c", "adm", "train")["counts"] == "crops"
