"""CITATION.cff: valid by its schema's main rules, and true of the package."""

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def citation():
    return yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_required_keys_are_there(citation):
    assert citation["cff-version"] == "1.2.0"
    assert citation["message"] and citation["title"] and citation["type"] == "software"
    for work in (citation, *citation["references"]):
        assert work["authors"]
        for one in work["authors"]:
            assert set(one) == {"name"} or set(one) == {"family-names", "given-names"}, one
    for work in citation["references"]:
        assert work["type"] == "conference-paper" and work["conference"]["name"]
        assert work["year"] <= date.today().year + 2
        assert re.fullmatch(r"https://arxiv\.org/abs/\d{4}\.\d{5}", work["url"])


def test_it_names_the_package_as_it_is(citation):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"] and citation["license"] == project["license"]
    holder = re.search(r"Copyright \(c\) \d+ the (.*)", (REPOSITORY / "LICENSE").read_text(encoding="utf-8"))[1]
    assert citation["authors"] == [{"name": f"The {holder}"}]


def test_the_papers_are_those_of_the_readme(citation):
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [work["url"] for work in citation["references"]] == re.findall(r"\((https://arxiv\.org/abs/\S+)\)", readme)
    assert all(work["title"] in readme for work in citation["references"])
