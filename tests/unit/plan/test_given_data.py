"""A data set of which nothing is given is left out, with its reason."""

import pytest
import yaml

from cellscaper.errors import CellscaperError
from cellscaper.plan.configuration import configuration
from cellscaper.plan.given_data import with_given_data


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


def test_the_rest_of_the_configuration_stays():
    config = configuration({})
    kept, _ = with_given_data(config)
    assert {**kept, "run": config["run"]} == config
    assert kept["run"]["tables"] == config["run"]["tables"]
    assert config["run"]["datasets"] == ["brca_m2c", "lizard"]
