"""What a reader of another program's file must know of its cells: spellings, doubles, another unit, none at all."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray
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


def cornered(points: NDArray, sizes: NDArray) -> list[str]:
    """The sentence about cells (N, 2) y, x px that fill only a corner of their regions (N, 2), if they do."""
    if len(points) < FEWEST:
        return []
    reach = float((points / np.maximum(sizes, 1)).max())
    if not 0 < reach <= FEW_INSIDE:
        return []
    return [f"all {len(points)} cells lie in the upper left {reach:.0%} of the sides: in µm, or of another scale?"]


def of_layouts(layouts: LayoutSet, named: bool) -> list[str]:
    """Sentences about the layouts of a file; ``named``: the user names the classes."""
    if not len(layouts.points):
        return ["no cell was read from this file: the result has none"]
    said = [f"classes {', '.join(group)} are alike: one class? --classes can give them one name"
            for group in alike(() if named else layouts.classes)]  # fmt: skip
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
