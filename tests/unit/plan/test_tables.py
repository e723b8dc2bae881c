"""Tables: which rows are run, what they need, what `make_tables` gets."""

import copy
import json

import pytest
import yaml

from cellscaper.errors import CellscaperError
from cellscaper.plan.configuration import complete, configuration
from cellscaper.plan.experiments import Experiments
from cellscaper.plan.merging import overlay
from cellscaper.plan.provenance import canonical
from cellscaper.plan.tables import Tables
from cellscaper.report.tables.build import load_paper_values


def tables(config):
    return Tables(Experiments(config))


@pytest.fixture(scope="module")
def every():
    """The papers' tables."""
    return tables(configuration({}))


def test_rows_that_are_run_have_the_experiment_whose_results_serve_them(papers):
    papers["experiments"]["adm_again"] = {"base": "adm"}
    rows = papers["tables"]["tc_table1"]["rows"]
    rows["again"] = {"label": "y", "experiment": "adm_again", "decoder": "requested"}
    rows["left"] = {"label": "z", "experiment": None, "why": "not wanted"}
    made = tables(complete(papers))
    found = {row.name: row.experiment for row in made.rows("tc_table1")}
    assert found["again"] == "adm"
    assert "left" not in found
    assert list(found) == [name for name, block in rows.items() if "why" not in block]
    assert {row.name: row.experiment for row in made.rows("tc_table2")}["real"] is None
    assert {row.name: row.pairs for row in made.rows("tc_table2")}["real"] == "real_only/points"
    (again,) = (row for row in made.rows("tc_table1") if row.name == "again")
    assert (again.table, again.label, again.decoder, again.pairs) == ("tc_table1", "y", "requested", "adm/requested")


def test_wanted_tables_leave_out_the_datasets_that_a_table_skips(papers):
    papers["run"] = {"datasets": ["brca_m2c", "lizard"], "tables": ["tc_table1", "sd_table1"]}
    papers["tables"]["tc_table1"].pop("skip_datasets", None)
    papers["tables"]["sd_table1"]["skip_datasets"] = ["lizard"]
    made = tables(complete(papers))
    expected = {("brca_m2c", "tc_table1"), ("brca_m2c", "sd_table1"), ("lizard", "tc_table1")}
    assert set(made.wanted()) == expected
    assert made.wanted("lizard") == [("lizard", "tc_table1")]
    assert {row.table for row in made.all_rows("lizard", "layouts")} == {"tc_table1"}
    assert made.all_rows("lizard", "images") == []


def test_a_table_section_names_experiments_as_score_files_do_and_keeps_the_order_of_rows(papers, every):
    before = copy.deepcopy(every.config)
    layouts = every.section("tc_table1")
    assert [name for name, _ in layouts["rows"]] == list(papers["tables"]["tc_table1"]["rows"])
    assert layouts["framing"] == {"real_vs_real": "floor", "real_vs_real_images": "floor", "random": "ceiling"}
    assert dict(layouts["rows"])["adm_requested"]["experiment"] == "adm_counts"
    assert dict(layouts["rows"])["adm_requested"]["decoder"] == "requested"
    assert dict(layouts["rows"])["tmccg"] == papers["tables"]["tc_table1"]["rows"]["tmccg"]
    given = papers["tables"]["tc_table1"]["columns"]
    assert [{key: one[key] for key in own} for one, own in zip(layouts["columns"], given, strict=True)] == given
    assert {key for one in layouts["columns"] for key in one} - {key for own in given for key in own} <= {
        "lower",
        "caveat",
        "paper_label",
    }
    detections = every.section("tc_table2")
    assert {name: row["experiment"] for name, row in detections["rows"] if not row.get("why")} == {
        "real": "real_only",
        "random": "random/points",
        "hard_core": "hard_core/points",
        "retrieval": "retrieval/points",
        "retrieval_repaired": "retrieval_repaired/points",
        "adm": "adm_category/components",
        "tmccg": "tmccg/points",
        "spatial_diffusion": "tc_sd_gmm/components",
        "topocellgen": "topocellgen/components",
        "point_diffusion": "point_diffusion/points",
    }
    assert "detectors" not in detections
    assert [column["detector"] for column in detections["columns"]] == ["unet"] * 3 + ["mcspatnet"] * 3
    assert (detections["radius"], detections["bootstrap"]) == (6, 10000)
    assert detections["trainings"] == {"unet": 3, "mcspatnet": 3}
    labels = [column["label"] for column in papers["columns"]["detections"]]
    assert [c["label"] for c in detections["columns"]] == [f"{d} {c}" for d in ("unet", "mcspatnet") for c in labels]
    assert json.loads(canonical(layouts))["rows"] == [list(row) for row in layouts["rows"]]
    assert every.config == before


def test_a_section_has_no_null_but_the_experiment_of_rows_without_one(papers):
    papers["tables"]["tc_table1"]["rows"]["left"] = {"label": "z", "experiment": None, "why": "not wanted"}
    section = tables(complete(papers)).section("tc_table1")
    rows = dict(section.pop("rows"))
    assert rows["left"] == {"label": "z", "experiment": None, "why": "not wanted"}
    assert "null" not in canonical([section, {name: row for name, row in rows.items() if name != "left"}])


def test_several_detectors_give_a_column_each(papers):
    papers["detectors"]["small"] = {**papers["detectors"]["unet"], "width": 8}
    papers["detectors"]["small"]["synthetic_fractions"] = [0.5]
    papers["tables"]["tc_table2"]["detectors"] = ["unet", "small"]
    columns = papers["columns"]["detections"]
    section = tables(complete(papers)).section("tc_table2")
    found = section["columns"]
    assert section["trainings"] == {"unet": 3, "small": 1}
    assert [(c["detector"], c["label"]) for c in found] == [
        (one, f"{one} {column['label']}") for one in ("unet", "small") for column in columns
    ]


def test_columns_without_a_label_have_that_of_their_score(papers):
    papers["tables"]["tc_table1"]["columns"] = [{"metric": "tce"}, {"metric": "topofd", "label": "own", "class": "a"}]
    first, second = tables(complete(papers)).section("tc_table1")["columns"]
    assert first["label"] and first["lower"] is True
    assert second["label"] == "own" and second["class"] == "a"


def test_rows_need_the_metrics_of_all_tables_that_name_them(papers, every):
    names = {metric.name for metric in every.metrics("random", "points")}
    assert {"spatial_fid", "topofd", "cross_class", "mmd", "copies", "counts"} <= names
    released = {metric.network for metric in every.metrics("adm_category", "released")}
    assert "resnet50" in released and "autoencoder" not in released
    assert every.networks("adm_category", "released") == ["tc_released"]
    assert every.networks("adm", "components") == ["tc"]
    assert every.networks("sd_gmm", "components") == ["sd"]
    assert every.metrics("adm", "points") == [] and every.networks("adm", "points") == []
    few = {"tables": {name: None for name in papers["tables"] if name != "tc_table3"}, "run": {"tables": ["tc_table3"]}}
    assert "mmd" not in {metric.name for metric in tables(configuration(few)).metrics("random", "points")}


def test_conditional_papers_rows_stand_beside_conditional_experiments(every):
    """The paper's ADM has a smaller error of the totals than any generator that ignores them can have."""
    paper = load_paper_values()
    for table in ("tc_table1", "tc_table3"):
        rows = {row.name: every.experiments[row.experiment] for row in every.rows(table)}
        numbers = [name for name, values in paper[table]["brca_m2c"].items() if "tce" in values]
        assert len(numbers) >= 4
        for name in numbers:
            if rows[name].is_trained and rows[name].generator != "tmccg":
                assert rows[name].condition["kind"] != "none", name
        ours = {name for name, one in rows.items() if one.condition == {"kind": "none"}}
        assert ours and not ours & set(numbers)


def test_columns_that_the_papers_define_otherwise_say_so_and_take_no_difference(every):
    paper, checked = load_paper_values(), set()
    for table in ("sd_table1", "sd_table3", "tc_table1", "tc_table1_released", "tc_table3"):
        section = every.section(table)
        row = {"brca_m2c": next(iter(paper[section.get("values", table)]["brca_m2c"].values()))}
        for column in section["columns"]:
            name = column.get("paper", column["metric"])
            values = [key for key in row["brca_m2c"] if key.split("/")[0] == name]
            if values and column["metric"] in ("spatial_fid", "spatial_fid_released", "topofd", "mmd"):
                checked.add(column["metric"])
                assert column["note"], (table, column)
            if column["metric"] in ("cce", "tce", "topofd_released"):
                assert not column.get("note"), (table, column)
    assert checked == {"spatial_fid", "spatial_fid_released", "topofd", "mmd"}


def test_every_row_of_the_papers_tables_names_its_experiment_or_says_why_not(papers, every):
    used, config = set(), every.config
    for name, table in papers["tables"].items():
        listed = {row.name for row in every.rows(name)}
        assert listed, name
        for row, block in config["tables"][name]["rows"].items():
            assert (row in listed) == (not block["why"]), (name, row)
            if row in listed and block["experiment"]:
                one = every.experiments[block["experiment"]]
                placed = not one.is_trained or one.generator in ("point_diffusion", "tmccg")
                assert (block["decoder"] == "points") == placed, (name, row)
                used.add(block["experiment"])
        assert "rows" in table or "base" in table
    assert used == set(config["experiments"]), "experiments that no table shows"


def test_every_table_of_layouts_has_its_floor_and_its_ceiling(every):
    for name, table in every.config["tables"].items():
        if table["kind"] == "layouts":
            generators = [every.experiments[row.experiment].generator for row in every.rows(name)]
            assert generators[0] == ("train_crops" if name.startswith("sd_") else "real_halves"), name
            assert "random" in generators, name
            framing = every.framing(name)
            assert next(iter(framing.values())) == "floor" and "ceiling" in framing.values(), name
        elif table["kind"] == "images":
            assert every.framing(name) == {"real": "floor", "real_halves": "floor"}
        else:  # its "+ Rand." is a row like others
            assert every.framing(name) == {}


def test_a_figure_of_intervals_has_rows_beside_its_floor_and_ceiling(papers, every):
    section = every.intervals_section("sampling_steps")
    assert (section["floor"], section["ceiling"]) == (["real_vs_real"], ["random"])
    assert section["curves"]["adm_5"] == ["ADM", 5] and len(section["curves"]) == 14
    assert every.has_intervals("tc_table3")
    rows = papers["tables"]["tc_table3"]["rows"]
    few = {"rows": {name: None for name in rows if name not in ("real_vs_real", "random")}}
    assert not tables(complete(overlay(papers, {"tables": {"tc_table3": few}}))).has_intervals("tc_table3")


def test_a_table_based_on_another_has_its_rows_after_overlays():
    own = "tables: {tc_table2: {rows: {hard_core: {why: left out}}}}"
    made = tables(configuration(yaml.safe_load(own)))
    for name in ("tc_table2", "tc_table2_released"):
        assert "hard_core" not in {row.name for row in made.rows(name)}
        assert made.detectors(name) == ["unet", "mcspatnet"]
    assert made.section("tc_table2_released")["title"].startswith("TC Table 2, protocol released")
    assert made.config["tables"]["tc_table2_released"]["figures"] is False


def test_a_column_that_no_metric_has_is_refused(papers):
    papers["columns"]["topology"].append({"metric": "fidd"})
    message = r"^columns.topology.8.metric = 'fidd': no metric has such a score; there are cce, .*make schema"
    with pytest.raises(CellscaperError, match=message):
        complete(papers)
