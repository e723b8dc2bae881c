"""The notes below a table, as data: the footnotes of its cells, and what is to be known to read its numbers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from cellscaper.disk.count_file import ImageCounts
from cellscaper.errors import CellscaperError
from cellscaper.report.tables.build import Block, reader_column
from cellscaper.report.tables.gains import REAL_ONLY, gain_note

OTHER_DEFINITION = "†"  # behind a paper's number that means something else than ours

KIND_NOTES = {  # kind of table → what must be among its rows (floor, ceiling, a decoder; "": nothing) → note
    "layouts": {
        "floor": "the floor is the best that can be expected of a distribution metric: one half of the test windows "
        "(or of the test images) against the other; in SD's tables, whose reference are training crops, other "
        "training crops. A half has fewer layouts than a row, and distances of few layouts are larger: a row that "
        "copies real layouts (retrieval) can lie below the floor. Its count errors compare layouts that do not belong "
        "together: a generator of perfect layouts that ignores the requested counts would have the same errors",
        "ceiling": "“random” has the requested counts at uniform positions. It is the worst that can be expected of a "
        "distribution metric: the ceiling. It has no count error",
        "components": "the decoder “components” belongs to the protocol “paper”, which counts connected components on "
        "both sides",
        "requested": "the decoder “requested” is our own",
    },
    "detections": {},
    "images": {
        "": "painted images are compared with training images",
        "floor": "real test images against the same training images are the floor of stain and FID and the reference "
        "of recall. One half of the training images against the other half shows the distance without the shift "
        "between the splits. Real images are cut into windows of the painted size",
    },
}


@dataclass(frozen=True)
class Note:
    """A note in plain text; ``mark`` is what refers to it in cells (¹, †), or '' for a note on the whole table."""

    text: str
    mark: str = ""


# -- what the notes of a table are -------------------------------------------------------------------------


def cell_notes(frame: pd.DataFrame) -> list[Note]:
    """The footnotes of a built table's cells: why they were not run, and where the paper's number means another."""
    found = [Note(reason, mark) for reason, mark in reason_marks(frame).items()]
    shown = frame[(frame["note"] != "") & frame["paper"].notna()]
    differs = dict(zip(shown["column_label"], shown["note"], strict=True))
    text = "{}: {}; the definitions differ, so no difference is taken"
    return found + [Note(text.format(label, note), OTHER_DEFINITION) for label, note in differs.items()]


def reason_marks(frame: pd.DataFrame) -> dict[str, str]:
    """The footnote mark of each reason for which cells were not run."""
    reasons = dict.fromkeys(s.removeprefix("not run: ") for s in frame["status"] if s != "ok")
    return {reason: superscript(i + 1) for i, reason in enumerate(reasons)}


def superscript(number: int) -> str:
    """¹, ², … ¹⁰, …"""
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def protocol_notes(table: Block, frame: pd.DataFrame) -> list[Note]:
    """Notes on the scores behind a built table: source, number of layouts or images, decoder or detector."""
    notes = [f"paper: {table['source']}"] if table.get("source") else []
    done, reader = frame[frame["status"] == "ok"], reader_column(table)
    if len(done):
        least, most = done["samples"].min(), done["samples"].max()
        number = str(least) if least == most else f"{least} to {most}"
        notes.append(f"scored on {number} {'layouts' if table.get('kind') == 'layouts' else 'images'} a seed")
    by = {str(name): list(dict.fromkeys(part["row_label"])) for name, part in done.groupby(reader) if name}
    if by and all(rows == next(iter(by.values())) for rows in by.values()):
        notes.append(f"{reader}: {', '.join(by)}")
    elif by:
        shown = [f"{name} ({', '.join(f'“{row}”' for row in rows)})" for name, rows in by.items()]
        notes.append(f"{reader}: {'; '.join(shown)}")
    return [Note(text) for text in notes]


def kind_notes(table: Block) -> list[Note]:
    """What the rows that a table runs mean; ``table["framing"]`` names its floors and ceilings."""
    there = {"", *table["framing"].values()}
    there |= {row.get("decoder") for row in table["rows"].values() if not row.get("why")}
    return [Note(text) for row, text in KIND_NOTES[table["kind"]].items() if row in there]


def origin_notes(table: Block) -> list[Note]:
    """The rows whose weights the run did not train, or did not train from nothing: ``table["origins"]``."""
    return [Note(f"{', '.join(f'“{row}”' for row in rows)}: {text}") for text, rows in table.get("origins", ())]


def caveat_notes(table: Block) -> list[Note]:
    """What the files of the metrics say about their columns, each once."""
    caveats = dict.fromkeys(column["caveat"] for column in table["columns"] if column.get("caveat"))
    return [Note(text) for text in caveats]


def subset_notes(table: Block, dataset: str, scores: pd.DataFrame) -> list[Note]:
    """The columns that compare only some of the layouts, and how many: the score ``<metric>_layouts``."""
    named = {row.get("experiment") for row in table["rows"].values() if not row.get("why")}
    own = scores[(scores["dataset"] == dataset) & scores["experiment"].isin(named)]
    notes = {}
    for column in table["columns"]:
        found = own[own["metric"] == f"{column['metric']}_layouts"]
        some = found[found["value"] < found["n"]]
        if len(some):
            of, total = (sorted({int(one) for one in some[key]}) for key in ("value", "n"))
            told = f"{' or '.join(map(str, of))} of {' or '.join(map(str, total))} layouts of each side are compared"
            notes[column["metric"]] = f"{column.get('label', column['metric'])}: {told}"
    return [Note(text) for text in notes.values()]


def detection_notes(table: Block, counts: Mapping[tuple[str, str, str], ImageCounts]) -> list[Note]:
    """How detections were matched, and what Δ means."""
    radius, names = table["radius"], {column["metric"] for column in table["columns"]}
    notes = []
    if any(not name.endswith("_released") for name in names):
        notes.append(f"a detection counts within {radius:g} px of a dot, one to one, all test images together")
    if any(name.endswith("_released") for name in names):
        notes.append(
            f"the protocol “released” takes pairs nearer than {radius:g} px, greedily in raster order; an image "
            "without detections of a class counts its misses once for each threshold"
        )
    images = {len(one.images) for one in counts.values()}
    return [Note(text) for text in [*notes, *([gain_note(max(images), table["bootstrap"])] if images else [])]]


def training_notes(table: Block, dataset: str, scores: pd.DataFrame) -> list[Note]:
    """How the detectors of a table were initialised, of how many trainings a row is the best, and its synthetic share.

    ``trainings`` of the table: for each detector the number of trainings of a row with pairs.
    """
    found = scores[(scores["dataset"] == dataset) & (scores["metric"] == "setup")]
    real = [row["label"] for row in table["rows"].values() if row.get("experiment") == REAL_ONLY]
    notes = []
    for name, part in found.groupby("detector", sort=True):
        imagenet = part[part["class"] == "imagenet"]["value"]
        if len(imagenet):
            mixed = imagenet.any() and not imagenet.all()
            start = "weights of ImageNet" if imagenet.all() else "He initialisation (no ImageNet weights)"
            notes.append(f"{name}: encoder with {'different initialisations: score again' if mixed else start}")
        fractions = part[part["class"] == "synthetic_fraction"]
        by = [
            (row["label"], fractions[fractions["experiment"] == row["experiment"]]["value"])
            for row in table["rows"].values()
            if row.get("experiment") not in (None, REAL_ONLY)
        ]
        shares = [f"{label} {', '.join(f'{v:g}' for v in sorted(set(values)))}" for label, values in by if len(values)]
        if shares:
            number = table["trainings"][name]
            one = f"; {real[0]}: one training" if real and (part["experiment"] == REAL_ONLY).any() else ""
            best = f"the best of {number} trainings by validation F1" if number > 1 else "one training"
            notes.append(f"{name}: rows with pairs: {best}{one}. Share of synthetic crops: {'; '.join(shares)}")
    return [Note(text) for text in notes]


# -- the notes in a file -----------------------------------------------------------------------------------


def notes_json(notes: Sequence[Note]) -> str:
    """The notes as JSON: a list of {text, mark}, in order."""
    return json.dumps([asdict(note) for note in notes], ensure_ascii=False, indent=1) + "\n"


def read_notes(file: Path) -> list[Note]:
    """The notes that :func:`notes_json` wrote; CellscaperError for anything else."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, list):
            raise TypeError("not a list")
        found = [Note(**one) for one in content]
        if not all(isinstance(text, str) for note in found for text in (note.text, note.mark)):
            raise TypeError("a text is not a string")
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise CellscaperError(
            f"{file} holds no notes of a table ({reason}), expected a JSON list of {{text, mark}}; delete it and run "
            "again"
        ) from error
    return found
