"""What a reader of another program's file must know of its cells: spellings, doubles, another unit, none at all."""

from collections import Counter

import numpy as np
from scipy.spatial import cKDTree

from cellscaper.disk.formats.class_names import alike, spellings
from cellscaper.disk.formats.counted import counted
from cellscaper.layouts import LayoutSet

FEW_INSIDE, FEWEST = 0.75, 50  # share of the sides within which this many cells or more raise doubts
DOUBLE = 1.0  # px at 20×: two cells of a class that are nearer may be one
SCALE = 0.5  # µm a pixel at 20×


def merged(names: list[str]) -> tuple[list[str], list[str]]:
    """The classes of cells with one spelling each, and a sentence about those that differed in capital letters."""
    number = Counter(names)
    same = spellings(number)
    other = sorted(name for name in number if same[name] != name)
    if not other:
        return names, []
    pairs = ", ".join(f"{name!r} as {same[name]!r}" for name in other)
    said = f"classes that differ in capital letters alone are one: {pairs} (--classes keeps them apart)"
    return [same[name] for name in names], [said]


def of_layouts(layouts: LayoutSet, sized: bool) -> list[str]:
    """Sentences about the layouts of a file; ``sized``: the user said the size, not the file."""
    n = len(layouts.points)
    if not n:
        return ["no cell was read from this file: the result has none"]
    said = [f"classes {', '.join(group)} are alike: one class? --classes can give them one name"
            for group in alike(layouts.classes)]  # fmt: skip
    rows = np.repeat(np.arange(len(layouts)), np.diff(layouts.offsets))
    reach = float((layouts.points / np.maximum(layouts.size[rows], 1)).max())
    if sized and n >= FEWEST and 0 < reach <= FEW_INSIDE:
        said.append(f"all {n} cells lie in the upper left {reach:.0%} of the sides: in µm, or of another scale?")
    out = ((layouts.points < 0) | (layouts.points >= layouts.size[rows])).any(axis=1)
    if out.any():
        first = np.flatnonzero(out)[:3]
        shown = ", ".join("y={:g} x={:g}".format(*layouts.points[i]) for i in first)
        lie = "lies" if out.sum() == 1 else "lie"
        said.append(
            f"{counted(int(out.sum()), 'cells')} of {n} {lie} outside the region (first {shown}): is its size right, "
            "and the order of y and x?"
        )
    doubles = sum(_doubles(layouts, i) for i in range(len(layouts)))
    if doubles:
        lie = "lies" if doubles == 1 else "lie"
        said.append(
            f"{counted(doubles, 'cells')} {lie} within {DOUBLE:g} px (at 20×) of another of the same class: doubles?"
        )
    return said


def _doubles(layouts: LayoutSet, number: int) -> int:
    """Cells of a layout that are very near to an earlier one of their class."""
    one, found = layouts.layout(number), 0
    near = DOUBLE * SCALE / layouts.mpp
    for label in np.unique(one.labels):
        pairs = cKDTree(one.points[one.labels == label]).query_pairs(near, output_type="ndarray")
        found += len(np.unique(pairs[:, 1]))
    return found
