"""What a reader of another program's file must know of its cells: spellings, doubles, another unit, none at all."""

from collections import Counter
from collections.abc import Mapping

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
    same = spellings(Counter(names))
    return [same[name] for name in names], of_spellings(same)


def of_spellings(same: Mapping[str, str]) -> list[str]:
    """The sentence about classes that are read under another spelling; ``same``: each class → the one it is read as."""
    pairs = ", ".join(f"{name!r} as {one!r}" for name, one in sorted(same.items()) if one != name)
    if not pairs:
        return []
    return [f"classes that differ in capital letters alone are one: {pairs} (--classes keeps them apart)"]


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
    doubles = sum(doubled(one.points, one.labels, DOUBLE * SCALE / layouts.mpp) for one in layouts)
    if doubles:
        lie = "lies" if doubles == 1 else "lie"
        said.append(
            f"{counted(doubles, 'cells')} {lie} within {DOUBLE:g} px (at 20×) of another of the same class: doubles?"
        )
    return said


def doubled(points: NDArray, labels: NDArray, near: float) -> int:
    """Cells, points (N, 2) y, x px and labels (N,), within ``near`` px of an earlier cell of their class."""
    found = 0
    for label in np.unique(labels):
        pairs = cKDTree(points[labels == label]).query_pairs(near, output_type="ndarray")
        found += len(np.unique(pairs[:, 1]))
    return found
