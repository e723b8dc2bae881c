"""The cells of a file of another program, and what was left out of it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.formats.class_names import tidy
from cellscaper.disk.formats.facts import number


@dataclass(frozen=True, eq=False)
class Annotated:
    """The cells of one file.

    points  (N, 2) float64 y, x in ``unit``: "px", "um" (µm) or "fraction" (of height and width)
    names   (N) the class of each cell as written, without blanks around it
    entries (N,) int64, the number of each cell's entry in the file
    images  (N) the image of each cell as written, None where the file belongs to one image
    sizes   images that the file describes, in order, with height and width in px, or None where it does not say
    left    what was left out, with its number
    notes   sentences about what was read by its meaning
    """

    points: NDArray[np.float64]
    names: list[str]
    entries: NDArray[np.int64]
    images: list[str] | None = None
    sizes: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unit: str = "px"

    def of(self, chosen: NDArray[np.int64]) -> "Annotated":
        """The cells of these indices, with the facts of the file."""
        return Annotated(
            self.points[chosen],
            [self.names[i] for i in chosen],
            self.entries[chosen],
            None if self.images is None else [self.images[i] for i in chosen],
            self.sizes,
            self.left,
            self.notes,
            self.unit,
        )


class Gathered:
    """Cells that a reader adds one by one; ``left`` counts what it leaves out, by reason."""

    def __init__(self, unit: str = "px") -> None:
        self.points: list[tuple[float, float]] = []
        self.names: list[str] = []
        self.entries: list[int] = []
        self.images: list[str] = []
        self.sizes: dict[str, tuple[int, int] | None] = {}
        self.left: Counter[str] = Counter()
        self.notes: list[str] = []
        self.unit = unit

    def add(self, y: Any, x: Any, name: Any, entry: int, image: str | None = None) -> None:
        """Add one cell; ValueError if a coordinate is no number."""
        place = number(y, "y"), number(x, "x")
        if isinstance(name, dict | list):
            raise ValueError(f"class is {str(name)[:40]!r}, expected a name")
        self.points.append(place)
        self.names.append(tidy(name))
        self.entries.append(entry)
        if image is not None:
            self.images.append(image)

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
        )
