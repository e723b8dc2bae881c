"""The log of a training's losses while it runs: a CSV file, and TensorBoard events."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from cellscaper.disk.files import write_text


def as_text(row: Sequence[float]) -> list[str]:
    """The cells of a row (step, then values); a value that is not a number is an empty cell."""
    return [f"{row[0]:.0f}", *("" if math.isnan(value) else f"{value:.6g}" for value in row[1:])]


class LossLog:
    """The losses of a training as CSV and, with a folder ``events``, for TensorBoard.

    The saved state of a training holds all rows, so both are written anew from ``rows`` (step, then values by
    ``names``) at the start. The old files may be lost, or hold rows of steps that will be repeated after a kill.
    """

    def __init__(self, csv: Path | None, events: Path | None, rows: Sequence[Sequence[float]], names: Sequence[str]):
        self._csv, self._folder = csv, events
        self._events: Any = None
        self._begin(names)
        self.write(rows, names)

    def _begin(self, names: Sequence[str]) -> None:
        """Begin both files anew."""
        self._names, self._written = list(names), 0
        if self._csv is not None:
            self._csv.unlink(missing_ok=True)
        if self._folder is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._events = SummaryWriter(str(self._folder))

    def write(self, rows: Sequence[Sequence[float]], names: Sequence[str]) -> None:
        """Append the rows that are not written yet; the first rows of the CSV come with its header.

        With other names than before all rows are written anew.
        """
        if list(names) != self._names:
            self._begin(names)
        new, first = rows[self._written :], self._written == 0
        if not new:
            return
        if self._csv is not None:
            lines = [",".join(as_text(row)) for row in new]
            if first:
                write_text(self._csv, "\n".join([",".join(["step", *names]), *lines, ""]))
            else:
                with open(self._csv, "a", encoding="utf-8") as file:
                    file.write("\n".join([*lines, ""]))
        if self._events is not None:
            for row in new:
                for name, value in zip(names, row[1:], strict=True):
                    if not math.isnan(value):
                        self._events.add_scalar(name, value, int(row[0]))
        self._written = len(rows)

    def close(self) -> None:
        if self._events is not None:
            self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
