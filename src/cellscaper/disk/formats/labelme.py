"""Shapes of LabelMe: points, polygons, rectangles by two corners and circles by centre and edge, with their labels."""

from pathlib import PurePosixPath
from typing import Any

from cellscaper.disk.formats import outlines
from cellscaper.disk.formats.annotated import Gathered
from cellscaper.disk.formats.reading import found


def is_labelme(data: Any) -> bool:
    """Whether a JSON value has the look of LabelMe's."""
    return isinstance(data, dict) and isinstance(data.get("shapes"), list)


def read_labelme(data: Any) -> Gathered:
    """The cells of a file of LabelMe; ValueError with the number of the first shape that cannot be read."""
    out, shapes, names = Gathered(), [], []
    for number, one in enumerate(data["shapes"]):
        try:
            if not isinstance(one, dict):
                raise ValueError(f"it is {found(one)}, expected an object")
            kind = one.get("shape_type") or "polygon"
            if kind in ("line", "linestrip"):
                out.leave(f"shapes of LabelMe's kind {kind!r} (no cells)", f"shape {number}")
                continue
            made = _shapes(kind, one["points"])
            if not made:
                out.leave("shapes without a point", f"shape {number}")
        except (TypeError, LookupError, ValueError) as error:
            raise ValueError(f"shape {number}: {error}") from error
        for shape in made:
            if not (shape.area or shape.is_point):
                out.leave(outlines.FLAT, f"shape {number}")
                continue
            shapes.append(shape)
            names.append((one.get("label"), number))
    large = outlines.regions(shapes)
    if large:
        out.left["regions around cells"] += len(large)
    for k, (shape, (name, number)) in enumerate(zip(shapes, names, strict=True)):
        if k not in large:
            try:
                out.add(shape.y, shape.x, name, number)
            except ValueError as error:
                raise ValueError(f"shape {number}: {error}") from error
    out.sizes = _size(data)
    return out


def _shapes(kind: str, places: Any) -> list[outlines.Shape]:
    """The shapes of one entry: each place of the kinds ``point`` and ``points`` is a cell, the others are one outline.

    An entry without places has no shape.
    """
    if not isinstance(places, list):
        raise ValueError(f"its points are {found(places)}, expected a list")
    if kind in ("point", "points"):
        return [outlines.point(place) for place in places]
    shape = _outline(kind, places) if places else None
    return [] if shape is None else [shape]


def _outline(kind: str, places: list[Any]) -> outlines.Shape | None:
    if kind == "circle":  # its centre and a place on its edge
        return outlines.point(places[0])
    if kind in ("rectangle", "mask"):
        if len(places) != 2:
            return outlines.outline(places)
        (a, b), (c, d) = ((corner.x, corner.y) for corner in map(outlines.point, places))
        return outlines.outline([[a, b], [c, b], [c, d], [a, d]])
    if kind in ("polygon", "ellipse", "rotation"):
        return outlines.outline(places)
    raise ValueError(f"it is a {str(kind)[:40]}, expected a point, polygon, rectangle or circle")


def _size(data: Any) -> dict[str, tuple[int, int] | None]:
    """The image that the file names, with its height and width."""
    name, size = data.get("imagePath"), (data.get("imageHeight"), data.get("imageWidth"))
    if not isinstance(name, str) or not name:
        return {}
    known = all(isinstance(side, int) and not isinstance(side, bool) and 0 < side < 2**31 for side in size)
    return {PurePosixPath(name.replace("\\", "/")).name: size if known else None}
