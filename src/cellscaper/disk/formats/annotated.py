"""The cells of a file of another program, and what was left out of it."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.formats.class_names import tidy
from cellscaper.disk.formats.counted import are, counted
from cellscaper.disk.formats.facts import number

WITHOUT_PLACE = "cells without a place"  # NaN, null
_IN_CELLS = ("Subcellular spot", "Subcellular cluster")  # QuPath's classes of these objects
SCALES = (0.02, 20)  # µm a pixel of microscopes


def nowhere(value: Any) -> bool:
    """Whether a coordinate is missing: null or NaN."""
    return value is None or (isinstance(value, float) and value != value)


@dataclass(frozen=True)
class SaidScale:
    """µm a pixel by the words of a file; ``exact`` is False where only a magnification is known."""

    mpp: float
    words: str
    exact: bool


def said_scale(mpp: float, words: str, exact: bool = True) -> SaidScale | None:
    """The scale that a file says; None for one of no microscope."""
    return SaidScale(mpp, words, exact) if SCALES[0] < mpp < SCALES[1] else None


@dataclass(frozen=True, eq=False)
class Annotated:
    """The cells of one file.

    points  (N, 2) float64 y, x in ``unit``: "px", "um" (µm) or "fraction" (of height and width)
    names   (N) the class of each cell as written, without blanks around it
    entries (N,) int64, the number of each cell's entry in the file
    images  (N) the image of each cell as written, None where the file belongs to one image
    sizes   images that the file describes, in order, with height and width in px, or None where it does not say
    left    what was left out, with its number; first: the first entry of some reasons, as ``feature 3``
    notes   sentences about what was read by its meaning
    scale   of the px of the points, where the file says it
    """

    points: NDArray[np.float64]
    names: list[str]
    entries: NDArray[np.int64]
    images: list[str] | None = None
    sizes: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unit: str = "px"
    first: dict[str, str] = field(default_factory=dict)
    scale: SaidScale | None = None

    def of(self, chosen: NDArray[np.int64]) -> "Annotated":
        """The cells of these indices, with the facts of the file."""
        return replace(
            self,
            points=self.points[chosen],
            names=[self.names[i] for i in chosen],
            entries=self.entries[chosen],
            images=None if self.images is None else [self.images[i] for i in chosen],
        )

    def left_out(self) -> list[str]:
        """A sentence for each reason to leave cells out: the number, and the first entry."""
        return [
            f"{counted(number, what)} {are(number)} left out"
            + (f", first {self.first[what]}" if what in self.first else "")
            for what, number in self.left.items()
        ]


class Gathered:
    """Cells that a reader adds one by one; ``left`` counts what it leaves out, by reason."""

    def __init__(self, unit: str = "px") -> None:
        self.points: list[tuple[float, float]] = []
        self.names: list[str] = []
        self.entries: list[int] = []
        self.images: list[str] = []
        self.sizes: dict[str, tuple[int, int] | None] = {}
        self.left: Counter[str] = Counter()
        self.first: dict[str, str] = {}
        self.scale: SaidScale | None = None
        self.notes: list[str] = []
        self.unit = unit

    def add(self, y: Any, x: Any, name: Any, entry: int, image: str | None = None) -> None:
        """Add one cell, or leave it out if it has no place (NaN, null); ValueError if a coordinate is no number."""
        if nowhere(y) or nowhere(x):
            self.leave(WITHOUT_PLACE, f"entry {entry}")
            return
        if isinstance(name, str) and name.startswith(_IN_CELLS):
            self.leave("spots and clusters inside cells (QuPath's subcellular objects)", f"entry {entry}")
            return
        place = number(y, "y"), number(x, "x")
        if isinstance(name, dict | list):
            raise ValueError(f"class is {str(name)[:40]!r}, expected a name")
        self.points.append(place)
        self.names.append(tidy(name))
        self.entries.append(entry)
        if image is not None:
            self.images.append(image)

    def leave(self, reason: str, entry: str) -> None:
        """Leave one entry out; ``entry`` names it, as ``feature 3``."""
        self.left[reason] += 1
        self.first.setdefault(reason, entry)

    def done(self) -> Annotated:
        """All that was added."""
        if self.images and len(self.images) != len(self.points):
            raise ValueError("some of its cells name an image and others do not")
        return Annotated(
            np.array(self.points, np.float64).reshape(-1, 2),
            self.names,
            np.array(self.entries, np.int64),
            self.images if self.images or (self.sizes and not self.points) else None,
            self.sizes,
            dict(self.left),
            tuple(self.notes),
            self.unit,
            dict(self.first),
            self.scale,
        )
