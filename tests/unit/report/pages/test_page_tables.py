import math

import pandas as pd
import pytest

from cellscaper.plan.tables import described
from cellscaper.report.pages.page_tables import page_table
from cellscaper.report.tables.build import SCORE_COLUMNS
from cellscaper.report.tables.build import build as build_table
from cellscaper.report.tables.notes import Note, cell_notes, notes_json, read_notes
from cellscaper.report.tables.table_file import read_table, to_csv

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


def build(table, *rest):
    """The table with each column's direction and label as planning fills them in."""
    return build_table({**table, "columns": [described("t", column) for column in table["columns"]]}, *rest)


def scores(*rows):
    lines = [("toy", experiment, decoder, "", *rest) for experiment, decoder, *rest in rows]
    return pd.DataFrame(lines, columns=list(SCORE_COLUMNS))


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
    page = page_table("t", "Layouts", frame, [Note("a note")], ["floor"], [])
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


def test_footnotes_are_those_whose_mark_stands_in_a_cell(frame):
    notes = [*cell_notes(frame), Note("of no cell", "⁹"), Note("a note")]
    page = page_table("t", "Layouts", frame, notes, ["floor"], [])
    marks = {cell.mark for row in page.rows if not row.why for cell in row.cells} - {""}
    assert [note.mark for note in page.footnotes] == ["¹", "²"] and marks == {"¹", "²"}
    assert [note.text for note in page.footnotes] == ["mmd was not computed", "B is not built"]  # C says it in its row
    assert page.notes == ["a note"]


def test_another_definition_of_the_paper_has_its_footnote():
    column = {"metric": "tce", "label": "TCE", "paper": "other"}
    table = {**TABLE, "rows": {"a": TABLE["rows"]["a"]}, "columns": [column]}
    found = build(table, "toy", ["x"], scores(("a", "points", 0, "tce", "", 2.0, 10)), {"toy": {"a": {"other": 1.0}}})
    page = page_table("t", "Layouts", found, cell_notes(found), [], [])
    assert page.rows[0].cells[0].paper == "1.000†"
    assert [note.mark for note in page.footnotes] == ["†"] and "no difference is taken" in page.footnotes[0].text


def test_a_table_and_its_notes_read_back_from_their_files_are_the_same(frame, tmp_path):
    (tmp_path / "t.csv").write_text(to_csv(frame))
    notes = [*cell_notes(frame), Note("a note"), Note("Δ to “real only”, σ < 3 *px* `x` | 1")]
    (tmp_path / "t.notes.json").write_text(notes_json(notes))
    back = read_table(tmp_path / "t.csv")
    assert page_table("t", "T", back, [], ["floor"], []) == page_table("t", "T", frame, [], ["floor"], [])
    assert math.isnan(back["paper"].iloc[0])
    assert read_notes(tmp_path / "t.notes.json") == notes
