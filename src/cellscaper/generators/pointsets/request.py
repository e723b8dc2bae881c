"""A request to a generator of layouts, checked before anything is computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.constraints import LARGEST_SIDE, Area, most, too_close


@dataclass(frozen=True, eq=False)
class Request:
    """One kind of layout.

    counts (C,) new cells of each class; size (height, width) px; ``min_distance`` px between any two cells
    mask   (height, width) bool: the nearest pixel of a new cell must be True; None: cells may lie everywhere
    fixed  (M, 2) float32 and fixed_labels (M,): cells that are there already
    spread (C, height, width) or (1, …) float, relative density of new cells of each class; None: even

    Raises CellscaperError for an impossible request, in the words of the command line.
    """

    counts: NDArray[np.int64]
    size: tuple[int, int]
    min_distance: float = 0.0
    mask: NDArray[np.bool_] | None = None
    fixed: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    fixed_labels: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    spread: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        height, width = self.size
        if not (0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE):
            raise CellscaperError(f"size {height}×{width} px: expected sides of 1 to {LARGEST_SIDE} px")
        if (self.counts < 0).any():
            raise CellscaperError(f"counts {self.counts.tolist()}: expected no negative number")
        if not self.counts.sum():
            raise CellscaperError("no cells are asked for; give at least one class a count above 0")
        if not 0 <= self.min_distance < 1e6:
            raise CellscaperError(f"--min-distance {self.min_distance:g}: expected px from 0")
        if self.mask is not None and self.mask.shape != self.size:
            shape = "×".join(map(str, self.mask.shape))
            raise CellscaperError(f"the mask has {shape} px, the region {height}×{width} (height × width)")
        if self.mask is not None and not self.mask.any():
            raise CellscaperError("the mask allows no pixel (all are 0); allowed pixels are those above 0")
        self._check_fixed()
        room = most(self.area, self.min_distance, self.fixed)
        if self.counts.sum() > room:
            what = f"{self.counts.sum()} cells at least {self.min_distance:g} px apart"
            beside = f" beside {len(self.fixed)} given ones" if len(self.fixed) else ""
            raise CellscaperError(
                f"{what} do not fit into {self.area.pixels} px²{beside}: at most {room} do; "
                "ask for fewer, a smaller --min-distance or more room"
            )
        self._check_spread()

    @cached_property
    def area(self) -> Area:
        """Where new cells may lie; one Area for all layouts, which keeps its distance transform."""
        return Area(self.size) if self.mask is None else Area(self.size, self.mask, corner=0.5)

    def _check_fixed(self) -> None:
        outside = np.flatnonzero(~Area(self.size).holds(self.fixed))
        if len(outside):
            y, x = self.fixed[outside[0]]
            raise CellscaperError(
                f"given cell {outside[0]} at y={y:g} x={x:g} lies outside the {self.size[0]}×{self.size[1]} px "
                f"(height × width); {len(outside)} of {len(self.fixed)} do; give the right --size"
            )
        pairs = too_close(self.fixed, self.min_distance)
        if len(pairs):
            gaps = np.hypot(*(self.fixed[pairs[:, 0]].astype(float) - self.fixed[pairs[:, 1]]).T)
            i, j = pairs[gaps.argmin()]
            raise CellscaperError(
                f"given cells {i} and {j} are {gaps.min():.3g} px apart ({len(pairs)} such pairs), closer than "
                f"--min-distance {self.min_distance:g}; lower it or remove one of each pair"
            )

    def _check_spread(self) -> None:
        if self.spread is None:
            return
        if self.spread.ndim != 3 or self.spread.shape[0] not in (1, len(self.counts)) or not self.spread.size:
            raise CellscaperError(
                f"--spread has the shape {self.spread.shape}: expected (height, width) or one map for each of "
                f"{len(self.counts)} classes"
            )
        if not np.isfinite(self.spread).all() or (self.spread < 0).any():
            raise CellscaperError("--spread holds negative values, NaN or infinity; densities are 0 or more")


def class_counts(wanted: Mapping[str, float], classes: Sequence[str], option: str) -> NDArray[np.float64]:
    """(C,) the number for each class, 0 for classes that are not named; CellscaperError for an unknown class."""
    for name in wanted:
        if name not in classes:
            near = get_close_matches(name, classes, 1, 0.4)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise CellscaperError(f"{option}: unknown class {name!r}{hint} The model has {', '.join(classes)}")
    return np.array([wanted.get(name, 0) for name in classes], np.float64)
