"""The notes of tables: what they say of a table, and their file."""

import pandas as pd
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.report.tables.notes import (
    KIND_NOTES,
    Note,
    kind_notes,
    read_notes,
    subset_notes,
    superscript,
    training_notes,
)


@pytest.mark.parametrize(
    "text", ["", "a note", "{}", '["a note"]', '[{"mark": ""}]', '[{"text": 3}]', '[{"text": "a", "of": 1}]', "\x00"]
)
def test_files_that_hold_no_notes_are_refused_in_one_line(tmp_path, text):
    (tmp_path / "t.notes.json").write_text(text)
    with pytest.raises(CellscaperError, match=r"t\.notes\.json holds no notes of a table") as error:
        read_notes(tmp_path / "t.notes.json")
    assert "\n" not in str(error.value)


def test_marks_of_footnotes_are_superscripts():
    assert [superscript(n) for n in (1, 2, 10, 34)] == ["¹", "²", "¹⁰", "³⁴"]


@pytest.mark.parametrize("kind", KIND_NOTES)
def test_notes_are_plain_text_and_one_line(kind):
    for text in KIND_NOTES[kind].values():
        assert text and not {"\n", "*", "`"} & set(text)


def about(kind, framing, *decoders, **left_out):
    """The first words of the notes on a table with rows of these decoders."""
    rows = {str(i): {"label": "a", "decoder": decoder} for i, decoder in enumerate(decoders)}
    found = kind_notes({"kind": kind, "framing": framing, "rows": {**rows, **left_out}})
    assert all(note == Note(note.text) for note in found)
    return [" ".join(note.text.split()[:3]) for note in found]


def test_a_kind_of_rows_is_explained_only_in_a_table_that_runs_such_a_row():
    floor, ceiling = {"r": "floor"}, {"u": "ceiling"}
    assert about("layouts", {}, "points") == []
    assert about("layouts", floor, "points") == ["the floor is"]
    assert about("layouts", ceiling, "points") == ["“random” has the"]
    assert about("layouts", {}, "components") == ["the decoder “components”"]
    left_out = {"label": "a", "decoder": "components", "why": "too slow"}
    assert about("layouts", {}, "released", "requested", left=left_out) == ["the decoder “requested”"]
    assert len(about("layouts", {**floor, **ceiling}, "components", "requested")) == len(KIND_NOTES["layouts"])
    assert about("images", {}, "points") == ["painted images are"]
    assert about("images", floor, "points") == ["painted images are", "real test images"]
    assert about("detections", {}, None) == []


def test_trainings_are_told_by_detector_and_row():
    names = ["dataset", "experiment", "detector", "metric", "class", "value"]
    lines = [("d", "adm", "unet", "setup", "synthetic_fraction", value) for value in (0.5, 0.25, 0.5)]
    lines += [("d", one, "unet", "setup", "imagenet", value) for one, value in (("adm", 1.0), ("real_only", 0.0))]
    lines += [("d", "adm", "mcspatnet", "setup", "imagenet", 1.0), ("other", "adm", "x", "setup", "imagenet", 1.0)]
    rows = {"r": {"label": "real only", "experiment": "real_only"}, "a": {"label": "+ ADM", "experiment": "adm"}}
    table, scores = {"rows": rows, "trainings": {"unet": 4, "mcspatnet": 4}}, pd.DataFrame(lines, columns=names)
    assert [note.text for note in training_notes(table, "d", scores)] == [
        "mcspatnet: encoder with weights of ImageNet",
        "unet: encoder with different initialisations: score again",
        "unet: rows with pairs: the best of 4 trainings by validation F1; real only: one training. Share of synthetic "
        "crops: + ADM 0.25, 0.5",
    ]


@pytest.mark.parametrize(
    ("number", "real", "said"),
    [
        (3, True, "the best of 3 trainings by validation F1; real images: one training."),
        (1, True, "one training; real images: one training."),
        (2, False, "the best of 2 trainings by validation F1."),
    ],
)
def test_rows_that_are_the_best_of_several_trainings_are_told_from_single_ones(number, real, said):
    rows = {"a": {"label": "+ ADM", "experiment": "adm"}, "r": {"label": "real images", "experiment": "real_only"}}
    names = ["dataset", "experiment", "detector", "metric", "class", "value"]
    lines = [("d", "adm", "unet", "setup", "synthetic_fraction", 0.5)]
    lines += [("d", "real_only", "unet", "setup", "synthetic_fraction", 0.0)] if real else []
    table, scores = {"rows": rows, "trainings": {"unet": number}}, pd.DataFrame(lines, columns=names)
    (note,) = training_notes(table, "d", scores)
    assert note.text == f"unet: rows with pairs: {said} Share of synthetic crops: + ADM 0.5"


def test_a_metric_that_compares_some_of_the_layouts_says_how_many():
    def score(experiment, metric, value, n, dataset="d"):
        return {"dataset": dataset, "experiment": experiment, "metric": metric, "class": "a", "value": value, "n": n}

    columns = [{"metric": "mmd", "label": "MMD"}, {"metric": "mmd_sliced", "label": "MMD²"}, {"metric": "topofd"}]
    table = {"rows": {"one": {"experiment": "adm"}, "left": {"experiment": "gan", "why": "no"}}, "columns": columns}
    scores = [
        score("adm", "mmd", 0.3, 1550),
        score("adm", "mmd_layouts", 200.0, 1550),
        score("adm", "mmd_sliced_layouts", 1550.0, 1550),
        score("gan", "mmd_sliced_layouts", 9.0, 1550),
        score("adm", "mmd_sliced_layouts", 9.0, 1550, "another"),
    ]
    said = [note.text for note in subset_notes(table, "d", pd.DataFrame(scores))]
    assert said == ["MMD: 200 of 1550 layouts of each side are compared"]
    scores.append(score("adm", "mmd_sliced_layouts", 2000.0, 24192))
    said = [note.text for note in subset_notes(table, "d", pd.DataFrame(scores))]
    assert said[1:] == ["MMD²: 2000 of 24192 layouts of each side are compared"]
