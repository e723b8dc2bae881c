"""CSV files of committed results: written, read, and refused if they are none."""

from dataclasses import replace

import pytest

from cellscaper.errors import CellscaperError
from cellscaper.report.committed.cells import COLUMNS, Cell, decimals, read_cells, to_csv, written

CELL = Cell("toy", "t", "a", "A, best", "tce", "", "TCE", "points", "13.6", low="12", high="15", preset="p")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "t.csv"


def test_cells_are_read_as_they_were_written(file):
    cells = [CELL, replace(CELL, row="b", value="2.3e-06", sd="0.1", n="3", gain_p="< 0.001")]
    file.write_text(to_csv(cells), encoding="utf-8")
    assert read_cells(file) == cells
    assert file.read_text(encoding="utf-8").splitlines()[0] == ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([replace(CELL, value="many")], "line 2: value 'many' is not a number"),
        ([CELL, replace(CELL, low="x", row="b")], "line 3: low 'x' is not a number"),
        ([replace(CELL, value="")], "line 2: expected a value"),
        ([replace(CELL, n="0")], "line 2: expected a value and n"),
        ([CELL, CELL], "line 3: toy t a: tce by points stands twice"),
    ],
)
def test_a_cell_that_is_none_is_named_with_its_line(file, cells, said):
    file.write_text(to_csv(cells), encoding="utf-8")
    with pytest.raises(CellscaperError, match=said):
        read_cells(file)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", ",".join(COLUMNS) + "\n1,2\n"])
def test_a_file_with_other_columns_is_refused(file, text):
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CellscaperError, match="expected"):
        read_cells(file)


@pytest.mark.parametrize(
    ("text", "places"), [("13.6", 1), ("12", 0), ("0.00", 2), ("2.3e-06", 7), ("1e+20", 0), ("1.25e1", 1)]
)
def test_decimals_are_those_that_were_written(text, places):
    assert decimals(text) == places


def test_a_number_keeps_eight_digits_and_none_is_empty():
    assert written(13.123456789) == "13.123457" and written(float("nan")) == ""


def test_a_preset_with_a_commit_is_of_the_past():
    assert CELL.is_current and not replace(CELL, preset="p@abc").is_current
