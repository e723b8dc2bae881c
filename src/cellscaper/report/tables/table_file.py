"""The CSV of a built table (see :func:`cellscaper.report.tables.build.build`): make_tables writes it, pages read it."""

from pathlib import Path

import pandas as pd

from cellscaper.errors import CellscaperError
from cellscaper.report.tables.gains import GAIN_COLUMNS

_NUMBERS = ("mean", "sd", "paper", "paper_sd", "difference")
_TEXTS = ("row", "row_label", "column_label", "class", "status", "note")


def to_csv(frame: pd.DataFrame) -> str:
    """The long form as CSV, numbers in full."""
    return frame.to_csv(index=False, lineterminator="\n")


def read_table(file: Path) -> pd.DataFrame:
    """A table's CSV in the long form of `report.tables.build.build`; CellscaperError for anything else."""
    try:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
        for name in (*_NUMBERS, *(one for one in GAIN_COLUMNS if one in frame)):
            frame[name] = pd.to_numeric(frame[name].mask(frame[name] == ""))
        frame["n"], frame["samples"] = frame["n"].astype(int), frame["samples"].astype(int)
        frame["lower_is_better"] = frame["lower_is_better"] == "True"
        missing = {*_TEXTS, "detector" if "detector" in frame else "decoder"} - set(frame.columns)
        if missing or frame.empty:
            raise KeyError(", ".join(sorted(missing)) or "no row")
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise CellscaperError(f"{file} is not a table of this version ({reason}); delete it and run again") from error
    return frame
