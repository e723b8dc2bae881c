"""The dataset readers by name. Imported where chosen, so that editing one reader reruns its datasets only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from cellscaper.datasets.record import Record
from cellscaper.errors import CellscaperError


class Reader(Protocol):
    """What each file in ``datasets/`` offers."""

    def classes(self, settings: dict[str, Any]) -> tuple[str, ...]: ...
    def mpp(self, settings: dict[str, Any]) -> float: ...
    def fetch(self, settings: dict[str, Any], destination: Path) -> Path: ...
    def files(self, settings: dict[str, Any], root: Path) -> list[Path]: ...
    def read(self, settings: dict[str, Any], root: Path) -> Iterator[Record]: ...


def reader(name: str) -> Reader:
    """The module that reads datasets of this kind; CellscaperError for an unknown one."""
    if name == "brca_m2c":
        from cellscaper.datasets import brca_m2c

        return brca_m2c
    if name == "lizard":
        from cellscaper.datasets import lizard

        return lizard
    if name == "dots":
        from cellscaper.datasets import dots

        return dots
    if name == "phantom":
        from cellscaper.datasets import phantom

        return phantom
    raise CellscaperError(f"dataset reader {name!r}: expected brca_m2c, lizard, dots or phantom")
