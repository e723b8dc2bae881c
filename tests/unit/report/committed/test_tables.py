"""Tables of pages from committed results, and the drift of the pages in docs/results."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cellscaper.errors import CellscaperError
from cellscaper.report.committed.cells import Cell, read_cells, to_csv
from cellscaper.report.committed.collect import preset_files
from cellscaper.report.committed.tables import page, table, text

RESULTS = Path(__file__).resolve().parents[4] / "docs" / "results"
PAGES = sorted(RESULTS.glob("*.md"))
FILES = sorted(RESULTS.glob("*/*.csv"))
CELL = Cell("toy", "t", "a", "A", "tce", "", "TCE", "points", "13.6", lower="True", commit="abcdef0123", preset="p")


def test_pages_have_the_tables_of_their_csv_files():
    assert len(FILES) >= 9
    for file in PAGES:
        text = file.read_text(encoding="utf-8")
        assert text == page(text, RESULTS), f"{file.name} is not what its CSV files say: run `make results`"


def test_every_csv_file_is_read_by_a_page_and_says_where_its_numbers_come_from():
    marked = {name for file in PAGES for name in re.findall(r"<!-- made: (\S+) -->", file.read_text(encoding="utf-8"))}
    assert marked == {str(file.relative_to(RESULTS)) for file in FILES}
    for file in FILES:
        for cell in read_cells(file):
            assert cell.commit and cell.machine and cell.seeds, file
            assert len(cell.seeds.split()) == int(cell.n)
            if cell.is_current:
                assert preset_files(cell.preset)


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({}, "13.6"),
        ({"value": "13.123457"}, "13.12"),
        ({"value": "-0.0008"}, "−0.0008"),
        ({"value": "13.123457", "sd": "1.2345", "n": "3"}, "13.12 ± 1.23"),
        ({"value": "13.123457", "low": "12.5", "high": "14"}, "13.12 [12.50, 14.00]"),
        ({"paper": "5.192"}, "13.6 · paper 5.192"),
        ({"gain": "-0.1", "gain_low": "-0.2", "gain_high": "0.1", "gain_p": "0.25"},
         "13.6 · Δ −0.100 [−0.200, +0.100], p 0.25"),
        ({"gain": "0.1", "gain_low": "0", "gain_high": "0.1", "gain_p": "< 0.001"},
         "13.6 · Δ +0.100 [+0.000, +0.100], p < 0.001"),
    ],
)  # fmt: skip
def test_a_cell_shows_no_digit_that_is_not_known(changed, shown):
    assert text(replace(CELL, **changed)) == shown


def test_a_table_has_its_cells_in_place_and_what_made_them_below():
    cells = [CELL, replace(CELL, metric="mmd", column="MMD", lower="False"), replace(CELL, row="b", label="B", n="3")]
    assert table(cells, "p/t.csv").splitlines() == [
        "|  | TCE ↓ | MMD ↑ |",
        "| --- | --- | --- |",
        "| A | 13.6 (1) | 13.6 (1) |",
        "| B | 13.6 (3) | – |",
        "",
        "*mean ± sd over n = 1 or 3 seeds; commit `abcdef0`; all numbers: [p/t.csv](p/t.csv).*",
    ]
    with pytest.raises(CellscaperError, match="two cells in one place"):
        table([CELL, replace(CELL, metric="mmd")], "p/t.csv")


def test_a_page_keeps_its_prose(tmp_path):
    (tmp_path / "t.csv").write_text(to_csv([CELL]), encoding="utf-8")
    made = page("Before.\n\n<!-- made: t.csv -->\nold\n<!-- end -->\n\nAfter.\n", tmp_path)
    assert made.startswith("Before.\n\n<!-- made: t.csv -->\n|  | TCE ↓ |\n") and made.endswith(
        "<!-- end -->\n\nAfter.\n"
    )
    assert page(made, tmp_path) == made
    with pytest.raises(CellscaperError, match="no <!-- end -->"):
        page("<!-- made: t.csv -->\n", tmp_path)
