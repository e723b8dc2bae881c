"""A data set of which nothing is given is left out, with its reason."""

import pytest
import yaml

from cellscaper.errors import CellscaperError
from cellscaper.plan.configuration import configuration
from cellscaper.plan.given_data import check_folders, with_given_data


def given(own):
    config, out = with_given_data(configuration(yaml.safe_load(own) or {}))
    return config["run"]["datasets"], out


def test_lizard_without_its_folder_is_left_out():
    kept, out = given("")
    assert kept == ["brca_m2c"]
    assert list(out) == ["lizard"]
    assert out["lizard"].startswith("datasets.lizard.path is not set; download lizard_images1.zip")


@pytest.mark.parametrize("datasets", ["[brca_m2c, lizard]", "[lizard]", "[phantom, lizard]"])
def test_lizard_with_its_folder_is_there(datasets):
    kept, out = given(f"{{run: {{datasets: {datasets}}}, datasets: {{lizard: {{path: /data/lizard}}}}}}")
    assert kept == yaml.safe_load(datasets)
    assert out == {}


def test_a_run_of_nothing_is_refused():
    with pytest.raises(CellscaperError, match=r"^run.datasets: no data set is given: datasets.lizard.path is not set"):
        given("run: {datasets: [lizard]}")


@pytest.mark.parametrize(
    "own", ["run: {datasets: [lizard]}", "sets: {s: {dataset: lizard, experiment: random, layouts: 9}}"]
)
def test_a_folder_that_is_not_there_is_refused_before_anything_runs(own, tmp_path):
    config = configuration({**yaml.safe_load(own), "datasets": {"lizard": {"path": str(tmp_path / "no")}}})
    with pytest.raises(CellscaperError, match=r"^datasets.lizard.path = '.*/no': there is no such folder; down"):
        check_folders(config, lambda name: False)
    check_folders(config, lambda name: name == "lizard")  # its cells are read already
    (tmp_path / "no").mkdir()
    check_folders(config, lambda name: False)


def test_the_rest_of_the_configuration_stays():
    config = configuration({})
    kept, _ = with_given_data(config)
    assert {**kept, "run": config["run"]} == config
    assert kept["run"]["tables"] == config["run"]["tables"]
    assert config["run"]["datasets"] == ["brca_m2c", "lizard"]
