"""Columns that can mean two things, decided by the images: the places of cells are dark, since nuclei are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cellscaper.datasets.nuclei_under_dots import under
from cellscaper.datasets.table_search import Columns, Tables

CLEAR = 0.1  # optical density by which one meaning must be darker than the other
Read = Callable[[str, Columns], NDArray[np.float64]]  # (image, columns) → points (N, 2) y, x px


def decided(tables: Tables, images: Mapping[str, NDArray[np.uint8]], read: Read) -> Tables:
    """The tables with the darker of two meanings: corners or centres of boxes, y or x first."""
    if tables.corner and isinstance(tables.columns, Mapping):
        other = {**tables.columns, **tables.corner}
        gain = _gain(tables.columns, other, images, read)
        if gain > CLEAR:
            said = "y and x are corners of boxes, since the images are darker in the middle of the boxes: it is taken"
            return replace(tables, columns=other, said=(*tables.said, said))
        if gain < -CLEAR:
            return tables
        names = ",".join(f"{field}={name}" for field, name in other.items())
        said = f"y and x are taken as the centres of boxes; if they are corners, give --columns {names!r}"
        return replace(tables, said=(*tables.said, said))
    if tables.either and not isinstance(tables.columns, Mapping):
        swapped = tuple({"y": "x", "x": "y"}.get(name, name) for name in tables.columns)
        if _gain(tables.columns, swapped, images, read) > CLEAR:
            how = "no header, and both orders of y and x fit the images: these are darker with x first"
            return replace(tables, columns=swapped, how=how)
        if _gain(tables.columns, swapped, images, read) < -CLEAR:
            how = "no header, and both orders of y and x fit the images: these are darker with y first"
            return replace(tables, how=how)
    return tables


def _gain(one: Columns, other: Columns, images: Mapping[str, NDArray[np.uint8]], read: Read) -> float:
    """By how much the images are darker at the places of other columns."""
    values: Sequence[float] = [
        under(pixels, read(image, other)) - under(pixels, read(image, one)) for image, pixels in images.items()
    ]
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else 0.0
