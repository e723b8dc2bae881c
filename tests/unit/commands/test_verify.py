"""`cellscaper verify`: what it refuses before anything is run. Runs: tests/workflow/test_verify.py."""

from dataclasses import replace

import pytest

from cellscaper import cli
from cellscaper.errors import CellscaperError
from cellscaper.report.committed.cells import Cell, to_csv

CELL = Cell("phantom", "tc_table1", "random", "random", "tce", "", "TCE", "points", "0", preset="ci")


@pytest.fixture
def committed(tmp_path):
    """A folder of committed results of the preset ci."""
    folder = tmp_path / "committed"
    (folder / "ci").mkdir(parents=True)
    (folder / "ci" / "tc_table1.csv").write_text(to_csv([CELL]), encoding="utf-8")
    return folder


def refused(*argv):
    with pytest.raises(CellscaperError) as error:
        cli.call(["verify", *map(str, argv)])
    return str(error.value)


def test_committed_results_are_never_compared_with_themselves(committed, tmp_path):
    (tmp_path / "link").symlink_to(committed / "ci")
    for folder in (committed, committed / "ci", committed / "ci" / "deeper", tmp_path, tmp_path / "link"):
        said = refused("--committed", committed, "--preset", "ci", "--results", folder)
        assert "the committed results themselves" in said, folder


def test_a_results_folder_without_tables_is_told(committed, tmp_path):
    (tmp_path / "empty").mkdir()
    said = refused("--committed", committed, "--preset", "ci", "--results", tmp_path / "empty")
    assert "has no table of preset ci (expected phantom/tables/sd_table1.csv" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--preset", "brca-smal", "--results", "x"], "did you mean 'brca-small'"),
        (["--preset", "ci"], "--preset ci needs trainings: add --full, or --results"),
        (["--full", "--results", "x"], "give one of them"),
        (["--cores", "0"], "--cores '0'"),
    ],
)
def test_a_command_that_means_nothing_is_refused(argv, said):
    assert said in refused(*argv)


def test_results_of_presets_that_have_changed_since_are_not_compared(committed, tmp_path):
    old = replace(CELL, preset="ci@abc")
    (committed / "ci" / "tc_table1.csv").write_text(to_csv([old]), encoding="utf-8")
    said = refused("--committed", committed, "--preset", "ci", "--results", tmp_path / "run")
    assert "all numbers are of presets that have changed since" in said
    assert "no folder with results" in refused("--committed", committed, "--full")
