"""The functions that the file of each dataset reader in ``datasets/`` defines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from cellscaper.datasets.record import Record


class Reader(Protocol):
    """A reader's module. ``settings`` are an instance of its class ``Settings``.

    A data set that nothing can download says in ``BY_HAND`` how a person does; a run without its path leaves it out.
    """

    Settings: type

    def classes(self, settings: Any) -> tuple[str, ...]:
        """Class names; channel k of a layout is class k."""

    def mpp(self, settings: Any) -> float:
        """µm a pixel of the records."""

    def fetch(self, settings: Any, destination: Path) -> Path:
        """The dataset's folder, downloaded or unpacked to ``destination`` if necessary."""

    def files(self, settings: Any, root: Path) -> list[Path]:
        """All existing files that :meth:`read` reads, sorted."""

    def read(self, settings: Any, root: Path) -> Iterator[Record]:
        """One Record an image; CellscaperError names the file and line of bad input."""
