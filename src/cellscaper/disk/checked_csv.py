"""Checksums in CSV files between stages, a column ``check``: a changed digit on disk must not reach a table."""

import csv
import io
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cellscaper.errors import CellscaperError

if TYPE_CHECKING:
    import pandas as pd

CHECK = "check"


def row_checks(rows: Sequence[Sequence[str]]) -> list[str]:
    """For each row 8 hex digits of its fields as written, its place and the number of rows, which show a lost row."""
    return [f"{zlib.crc32(json.dumps([i, len(rows), *row]).encode()):08x}" for i, row in enumerate(rows)]


def verify(path: Path, rows: Sequence[Sequence[str]], found: Sequence[str]) -> None:
    """CellscaperError, naming the line, if the checksums of a file are not those of its rows."""
    for i, (wanted, given) in enumerate(zip(row_checks(rows), found, strict=True)):
        if wanted != given:
            raise CellscaperError(f"{path} line {i + 2} is damaged (its check is wrong); delete it and make it again")


def without_checks(path: Path, frame: "pd.DataFrame") -> "pd.DataFrame":
    """A file's table, all text as written, without its checksums; CellscaperError if they are wrong.

    A file without checksums was made by hand and is accepted.
    """
    if CHECK not in frame.columns:
        return frame
    plain = frame.drop(columns=CHECK)
    verify(path, plain.to_numpy().tolist(), frame[CHECK].tolist())
    return plain


def with_checks(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """CSV text of a table and its checksums."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, CHECK])
    writer.writerows([*row, check] for row, check in zip(rows, row_checks(rows), strict=True))
    return text.getvalue()
