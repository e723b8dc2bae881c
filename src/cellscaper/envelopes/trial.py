"""Cells against null models: the functions of the data and of simulated layouts, and the test of all together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellscaper.envelopes.nulls import Cells, Simulated
from cellscaper.envelopes.ranks import Tested, global_test
from cellscaper.envelopes.region import Region
from cellscaper.envelopes.statistics import Floats, Function, Geometry, Radii, functions, measure
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet

SMALLEST = 8  # px: the least radius that is worth a test


@dataclass(frozen=True, eq=False)
class Data:
    """The cells under test: one entry for each layout, the classes, and the radii at which they are compared.

    ``left_out`` cells lay outside the mask. ``classes`` are those of the file, with cells or without.
    """

    layouts: list[Cells]
    classes: tuple[str, ...]
    mpp: float
    radii: Radii
    left_out: int

    @property
    def counts(self) -> NDArray[np.int64]:
        """(L, C) cells of each class in each layout."""
        return np.stack([np.bincount(one.labels, minlength=len(self.classes)) for one in self.layouts])


@dataclass(frozen=True, eq=False)
class Trial:
    """The data against one null model: ``observed`` values (R,) of each function, and the test."""

    null: str
    n: int
    functions: list[Function]
    observed: list[Floats]
    tested: Tested


def prepare(layouts: LayoutSet, limit: int, mask: NDArray[np.bool_] | None) -> Data:
    """The cells of all layouts, or of the only one inside ``mask`` (height, width); radii up to ``limit`` px.

    The radii end where less than a quarter of a region overlaps with itself when it is moved by the radius.
    CellscaperError without cells, for a mask of another size, and for regions that are too small or too thin.
    """
    if mask is not None and (len(layouts) != 1 or mask.shape != layouts.common_size()):
        sizes = ", ".join(f"{height}×{width}" for height, width in layouts.size[:3].tolist())
        raise CellscaperError(
            f"--mask has {'×'.join(map(str, mask.shape))} px, the {len(layouts)} layouts {sizes} (height × width); "
            "expected one layout of the same size (choose it with --layout)"
        )
    if mask is not None and not mask.any():
        raise CellscaperError("--mask allows no pixel (all are 0); allowed pixels are those above 0")
    found, left_out = [], 0
    whole = bool((layouts.points == np.floor(layouts.points)).all())
    for one in layouts:
        region = Region(one.size, limit, mask, whole)
        inside = region.holds(one.points)
        left_out += int((~inside).sum())
        found.append(Cells(one.points[inside], one.labels[inside], region))
    found = [one for one in found if len(one.points)]
    if sum(len(one.points) for one in found) < 2:
        where = f" inside the mask; {left_out} lie outside" if left_out else ""
        raise CellscaperError(f"there are fewer than two cells{where}; a test needs at least two")
    if limit < SMALLEST:
        raise CellscaperError(f"--radius {limit}: expected at least {SMALLEST} px")
    largest = min(one.region.largest_radius() for one in found)
    if largest < SMALLEST:
        what = "the mask is too thin or too scattered" if mask is not None else "the region is too small"
        raise CellscaperError(
            f"{what}: moved by more than {largest} px it overlaps with less than a quarter of itself; expected at "
            f"least {SMALLEST} px"
        )
    return Data(found, layouts.classes, layouts.mpp, Radii.up_to(largest), left_out)


def compare(
    data: Data, null: str, simulated: Iterable[Simulated], level: float, advance: Callable[[], None] = lambda: None
) -> Trial:
    """Measure the data and each set of simulated layouts, and test all functions together at ``level``.

    ``advance`` is called after each set. CellscaperError if the counts allow no function.
    """
    wanted = functions(data.counts)
    if not wanted:
        raise CellscaperError("no class has two cells and no layout has two classes; there is nothing to compare")
    geometry = [Geometry(one.points, one.region, data.radii) for one in data.layouts]
    labels = [one.labels for one in data.layouts]
    rows = [measure(geometry, labels, wanted, data.radii, len(data.classes))]
    for layouts in simulated:
        moved = [
            here if points is one.points else Geometry(points, one.region, data.radii)
            for here, one, (points, _) in zip(geometry, data.layouts, layouts, strict=True)
        ]
        rows.append(measure(moved, [own for _, own in layouts], wanted, data.radii, len(data.classes)))
        advance()
    values = [np.stack([row[i] for row in rows]) for i in range(len(wanted))]
    tested = global_test(values, [one.statistic for one in wanted], level)
    return Trial(null, len(rows) - 1, wanted, rows[0], tested)


def title(one: Function, classes: Sequence[str]) -> str:
    """``epithelial – lymphocyte``, for neighbours and mixing with an arrow: the second around the first."""
    if one.second < 0:
        return f"{classes[one.first]} → all"
    return f"{classes[one.first]} {'→' if one.statistic == 'neighbours' else '–'} {classes[one.second]}"


def departure(trial: Trial, which: int, data: Data) -> str:
    """Where the data leave the envelope of a function; empty where they do not.

    ``above 8–24 px (at 5 of 9); below 60 px``: above it at 5 of the 9 distances from 8 to 24 px.
    """
    one, outside = trial.functions[which], trial.tested.envelopes[which].outside
    names: Mapping[int, str] = {1: "above", -1: "below"}
    if one.second < 0:
        return ", ".join(f"{data.classes[k]} {names[int(side)]}" for k, side in enumerate(outside) if side)
    ends = data.radii.middles if one.statistic == "pair correlation" else data.radii.ends
    parts = []
    for side in (1, -1):
        at = np.flatnonzero(outside == side)
        if len(at):
            span = f"{ends[at[0]]:g}" if len(at) == 1 else f"{ends[at[0]]:g}–{ends[at[-1]]:g}"
            some = f" (at {len(at)} of {at[-1] - at[0] + 1})" if len(at) <= at[-1] - at[0] else ""
            parts.append(f"{names[side]} {span} px{some}")
    return "; ".join(parts)
