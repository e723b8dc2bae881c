import math

import pandas as pd
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.report.pages.page_tables import page_table
from cellscaper.report.tables.build import build
from cellscaper.report.tables.built import read_notes, read_table
from cellscaper.report.tables.text import to_csv, to_markdown

TABLE = {
    "title": "Layouts",
    "source": "a paper",
    "kind": "layouts",
    "rows": {
        "floor": {"label": "real vs real", "experiment": "real"},
        "a": {"label": "A", "experiment": "a"},
        "b": {"label": "B", "experiment": None, "why": "B is not built"},
        "c": {"label": "C", "experiment": None, "why": "C is too dear"},
    },
    "columns": [{"metric": "tce", "label": "TCE"}, {"metric": "mmd", "label": "MMD", "class": "mean"}],
}
PAPER = {"toy": {"a": {"tce": 2.5}, "b": {"tce": {"value": 3.0, "sd": 0.25}}}}


def scores(*rows):
    names = ["dataset", "experiment", "decoder", "seed", "metric", "class", "value", "n"]
    return pd.DataFrame([("toy", *row) for row in rows], columns=names)


@pytest.fixture
def frame():
    found = scores(
        ("real", "points", 0, "tce", "", 1.0, 10),
        ("real", "points", 1, "tce", "", 1.5, 10),
        ("a", "points", 0, "tce", "", 2.0, 10),
        ("a", "points", 1, "tce", "", 4.0, 10),
        ("a", "points", 0, "mmd", "mean", 0.25, 10),
        ("a", "points", 1, "mmd", "mean", 0.75, 10),
    )
    return build(TABLE, "toy", ["x"], found, PAPER)


def test_cells_hold_ours_the_papers_and_the_difference(frame):
    page = page_table("t", "Layouts", frame, ["a note"], ["floor"], [])
    assert [row.kind for row in page.rows] == ["floor", "", "", ""]
    cell = page.rows[1].cells[0]
    assert (cell.ours, cell.paper, cell.difference) == ("3.00 ± 1.41", "2.500", "+0.50")
    assert page.rows[1].cells[1].ours == "0.500 ± 0.354"
    assert page.columns[0] == ("TCE", "↓", "lower is better")
    assert page.seeds == "2 seeds" and page.beside_paper and page.notes == ["a note"]


def test_what_was_not_run_keeps_the_papers_number_and_says_why(frame):
    page = page_table("t", "Layouts", frame, [], ["floor"], [])
    b, c = page.rows[2:]
    assert b.cells[0].paper == "3.000 ± 0.250" and not b.cells[0].run and b.why == ""  # the paper's number stays
    assert c.why == "C is too dear"
    assert ("B", "B is not built") in page.not_run and ("C", "C is too dear") in page.not_run
    assert ("real vs real (MMD)", "mmd was not computed") in page.not_run


def test_cells_of_different_numbers_of_seeds_say_theirs(frame):
    frame.loc[(frame["row"] == "a") & (frame["metric"] == "mmd"), "n"] = 1
    page = page_table("t", "Layouts", frame, [], [], [])
    assert page.seeds == ""
    assert page.rows[1].cells[0].ours == "3.00 ± 1.41 (2)"


def test_a_table_read_back_from_csv_and_markdown_is_the_same(frame, tmp_path):
    (tmp_path / "t.csv").write_text(to_csv(frame))
    (tmp_path / "t.md").write_text(to_markdown(frame, "Layouts", ["a note", "Δ to *real only* by `paper`"]))
    back = read_table(tmp_path / "t.csv")
    assert page_table("t", "T", back, [], ["floor"], []) == page_table("t", "T", frame, [], ["floor"], [])
    assert math.isnan(back["paper"].iloc[0])
    assert read_notes(tmp_path / "t.md") == ["a note", "Δ to real only by paper"]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\x00", "row,mean\nx,high\n"])
def test_other_files_are_refused_in_one_line(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(CellscaperError, match=r"t\.csv is not a table of this version"):
        read_table(tmp_path / "t.csv")
