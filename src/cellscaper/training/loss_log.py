"""The log of a training's losses while it runs: a CSV file, and TensorBoard events."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cellscaper.disk.files import write_text


class LossLog:
    """The losses of a training as CSV and, with a folder ``events``, for TensorBoard.

    The saved state of a training holds all rows, so both are written anew from ``rows`` (step, then values by
    ``names``) at the start. The old files may be lost, or hold rows of steps that will be repeated after a kill.
    """

    def __init__(self, csv: Path | None, events: Path | None, rows: Sequence[Sequence[float]], names: Sequence[str]):
        self._csv, self._written, self._events = csv, 0, None
        if csv is not None:
            csv.unlink(missing_ok=True)
        if events is not None:
            from torch.utils.tensorboard import SummaryWriter

            shutil.rmtree(events, ignore_errors=True)
            self._events = SummaryWriter(str(events))
        self.write(rows, names)

    def write(self, rows: Sequence[Sequence[float]], names: Sequence[str]) -> None:
        """Append the rows that are not written yet; the first rows of the CSV come with its header."""
        new, first = rows[self._written :], self._written == 0
        if not new:
            return
        if self._csv is not None:
            lines = [",".join([f"{row[0]:.0f}", *(f"{value:.6g}" for value in row[1:])]) for row in new]
            if first:
                write_text(self._csv, "\n".join([",".join(["step", *names]), *lines, ""]))
            else:
                with open(self._csv, "a", encoding="utf-8") as file:
                    file.write("\n".join([*lines, ""]))
        if self._events is not None:
            for row in new:
                for name, value in zip(names, row[1:], strict=True):
                    self._events.add_scalar(name, value, int(row[0]))
        self._written = len(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._events is not None:
            self._events.close()
