"""The figures and pages of a run, and the files behind each."""

from collections import Counter

import pytest
import yaml

from cellscaper.plan.configuration import configuration
from cellscaper.plan.figures import TRAININGS, Figures
from cellscaper.plan.outputs import Outputs


def figures(own=""):
    return Figures(Outputs(configuration(yaml.safe_load(own) or {})))


@pytest.fixture(scope="module")
def every():
    return figures()


def test_a_run_makes_each_file_once(every):
    files = every.run_files()
    assert max(Counter(files).values()) == 1
    tables = [(file.split("/")[1], file.split("/")[3].split(".")[0]) for file in files if "/tables/" in file]
    assert Counter(tables) == Counter(5 * every.tables.wanted())
    assert len(files) == 5 * 19 + len(every.all_figures())


def test_figures_of_windows_are_of_the_fields_that_tables_use(every):
    assert every.fields("brca_m2c") == ["w256", "w464"] and every.fields("lizard") == ["w256"]
    names = {file.split("/")[-1] for file in every.figures("lizard")}
    assert {"counts-w256.png", "persistence-w256.png", "intervals-tc_table1.png", "train_layout.png"} <= names
    assert not {"counts-w464.png", "train_image.png", "train_detector.png"} & names


def test_figures_show_the_rows_of_tables_that_ask_for_them(every):
    own = figures("tables: {tc_table1: {figures: false}}")
    assert own.fields("brca_m2c") == ["w464"] and own.fields("lizard") == []
    rows = every.layout_rows("brca_m2c")
    assert len({(row.experiment, row.decoder) for row in rows}) == len(rows)
    assert not {row.experiment for row in rows} & {"real_vs_real", "real_vs_real_sd", "real_vs_real_images"}
    assert {row.table for row in rows} == {"sd_table1", "tc_table1"}


def test_sources_are_all_systems_and_maps_only_as_the_protocol_paper_reads_them(every):
    found = every.sources("lizard", "w256")
    assert {source.decoder for source in found} == {"components", "points"}
    files = [source.file.split("/")[3] for source in found]
    assert len(files) == len(set(files))
    assert {"adm", "topocellgen", "retrieval", "random", "tmccg", "point_diffusion"} <= set(files)
    assert not {"permuted", "hard_core", "train_crops", "real_vs_real"} & set(files)
    assert all("/test/seed0/" in source.file for source in found)


def test_each_density_estimator_is_shown_once(every):
    maps = every.fitted_maps("brca_m2c")
    assert [one.label for one in maps] == list(dict.fromkeys(one.label for one in maps))
    assert {one.label for one in maps} == {"real, gmm", "real, kde", "real, gmcm", "real, gmcm_released"}
    assert len(every.density_sources("brca_m2c")) == len(every.density_rows("brca_m2c"))
    assert figures("tables: {tc_table1: {figures: false}}").fitted_maps("lizard") == []


def test_losses_are_of_each_training_once(every):
    logs = {one: [source.label for source in every.training_logs("brca_m2c", one)] for one in TRAININGS}
    assert logs["train_features"] == ["sd", "tc", "tc_released"] and logs["train_image"] == ["sd", "tc"]
    assert "adm_counts" in logs["train_layout"] and "adm_steps_5" not in logs["train_layout"]
    assert "unet/real_only/points/mix0" in logs["train_detector"]
    assert "mcspatnet/adm_category/components/mix25" in logs["train_detector"]
    assert not [one for one in logs["train_detector"] if "mix50" in one]
    for names in logs.values():
        assert names == sorted(set(names))


def test_the_picture_of_a_table_shows_its_rows_but_real_ones(every):
    columns = every.picture_columns("brca_m2c", "tc_table1")
    assert len(columns) == len(every.tables.rows("tc_table1")) - 2
    detected = every.picture_columns("brca_m2c", "tc_table2")
    assert {one.file.split("/")[3] for one in detected} == {"unet"} and detected[0].label == "real only"
    assert all("/paint_images/" in one.file for one in every.picture_columns("brca_m2c", "image_quality"))
    assert set(every.picture_inputs("brca_m2c", "tc_table1")) == {"windows", "columns"}
    assert set(every.picture_inputs("brca_m2c", "image_quality")) == {"cells", "images", "columns"}


def test_a_gallery_shows_layouts_and_pairs_and_needs_their_files(every):
    section, inputs = every.gallery("brca_m2c"), every.gallery_inputs("brca_m2c")
    assert len(section["windows"]) == 2 and section["pairs"]
    assert {pair.painted for pair in section["pairs"]} | {pair.layouts for pair in section["pairs"]} <= set(inputs)
    assert len(inputs) == len(set(inputs))
    assert every.galleries() == ["results/brca_m2c/gallery.html", "results/lizard/gallery.html"]
    few = figures("run: {datasets: [lizard], tables: [sd_table1]}")
    assert few.galleries() == [] and few.run_files() == []
