"""Reading a table that make_tables wrote."""

import re
from pathlib import Path

import pandas as pd

from cellscaper.errors import CellscaperError

_NUMBERS = ("mean", "sd", "paper", "paper_sd", "difference")
_EMPHASIS = re.compile(r"[*`]([^*`]+)[*`]")
_GAINS = ("gain", "gain_low", "gain_high", "gain_p")  # of detection tables


def read_table(file: Path) -> pd.DataFrame:
    """A table's CSV in the long form of `report.tables.build.build`; CellscaperError for anything else."""
    try:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
        for name in (*_NUMBERS, *(one for one in _GAINS if one in frame)):
            frame[name] = pd.to_numeric(frame[name].mask(frame[name] == ""))
        frame["n"], frame["samples"] = frame["n"].astype(int), frame["samples"].astype(int)
        frame["lower_is_better"] = frame["lower_is_better"] == "True"
        missing = {"row", "row_label", "column_label", "class", "status", "decoder", "note"} - set(frame.columns)
        if missing or frame.empty:
            raise KeyError(", ".join(sorted(missing)) or "no row")
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise CellscaperError(f"{file} is not a table of this version ({reason}); delete it and run again") from error
    return frame


def read_notes(file: Path) -> list[str]:
    """The notes below a table in Markdown as plain text, without the footnotes of single cells (¹, †)."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise CellscaperError(f"{file} is not a readable table in Markdown; delete it and run again") from error
    notes = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    return [_EMPHASIS.sub(r"\1", note) for note in notes if note and note[0] not in "¹²³⁴⁵⁶⁷⁸⁹†"]
