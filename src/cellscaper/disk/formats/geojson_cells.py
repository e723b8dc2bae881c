"""Cells in a GeoJSON file of any program, read by meaning: points and outlines (their centroids) with their classes.

Tiles, TMA cores, parents and regions around cells are no cells. A class is the ``classification`` of QuPath, or another
property that names few classes for many cells. Files of cellscaper itself are read strictly (``add_features``).
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from cellscaper.disk.formats import outlines
from cellscaper.disk.formats.annotated import Gathered, nowhere
from cellscaper.disk.formats.class_members import (
    CLASS_KEYS,
    class_member,
    class_name,
    object_in,
    other_members,
)
from cellscaper.disk.formats.class_names import UNCLASSIFIED, plain_key
from cellscaper.disk.formats.facts import Cells
from cellscaper.disk.formats.outlines import Shape
from cellscaper.disk.formats.reading import found

_NO_CELLS = {  # QuPath's other objects, in small letters without signs
    "tile": "tiles", "pathtileobject": "tiles", "tmacore": "TMA cores", "tmacoreobject": "TMA cores",
    "root": "root objects", "pathrootobject": "root objects",
}  # fmt: skip
LINES = "lines with open ends (no cells)"
WITHIN = "detections inside cells (their nuclei, or spots in them)"
_WHOLE_CELLS = ("cell", "pathcellobject")
_DETECTIONS = ("detection", "pathdetectionobject")
_CELLS = (*_WHOLE_CELLS, *_DETECTIONS)
_NEAR = 3.0  # px from the centre of a cell that may have no outline


def features(data: Any) -> list[Any]:
    """The features of a FeatureCollection, a list of features or a single feature; ValueError for anything else."""
    if isinstance(data, dict):
        data = data["features"] if data["type"] == "FeatureCollection" else [data]
    if not isinstance(data, list):
        raise ValueError("expected a FeatureCollection")
    return data


def add_features(cells: Cells, listed: list[Any]) -> None:
    """Add the points of a file that cellscaper wrote; ValueError with the number of the first invalid feature."""
    for i, feature in enumerate(listed):
        try:
            properties, (x, y) = feature["properties"], feature["geometry"]["coordinates"]
            cells.add(y, x, properties["classification"]["name"], properties.get("layout", 0))
        except (TypeError, LookupError, AttributeError) as error:
            raise ValueError(f"feature {i} lacks {error}") from error
        except ValueError as error:
            raise ValueError(f"feature {i}: {error}") from error


@dataclass(frozen=True, eq=False)
class _Feature:
    """One feature: its number, what kind of object it is, properties, the shapes of its geometry."""

    number: int
    kind: str
    properties: dict[str, object]
    shapes: list[Shape]


def read_features(listed: list[Any]) -> Gathered:
    """The cells of another program's features; ValueError with the number of the first that cannot be read."""
    out = Gathered()
    read: list[_Feature] = []
    for i, feature in enumerate(listed):
        try:
            one = _feature(i, feature, out)
        except ValueError as error:
            raise ValueError(f"feature {i}: {error}") from error
        if one is not None:
            read.append(one)
    if not read and out.left[LINES] and out.left[LINES] == len(listed):
        raise ValueError(f"all {len(listed)} features are lines with open ends, expected points or outlines")
    read = _without_parts(_without_parents(read, out.left), out)
    apart = any(len(one.shapes) > 1 and outlines.spread(one.shapes) > outlines.SPREAD for one in read)
    whole = [(one, shape) for one in read for shape in _cells_of(one, apart)]
    large = outlines.regions([shape for _, shape in whole]) if not any(one.kind in _CELLS for one in read) else set()
    if large:
        out.left["regions around cells"] += len(large)
    key = class_member([one.properties for one in read])
    several = sum(len(one.shapes) > 1 for one in read)
    if apart:
        out.notes.append(f"{several} features have several parts far from each other: each part is a cell")
    if key not in (None, "classification"):
        others = other_members(key, [one.properties for one in read])
        shown = (
            f"; it could be {' or '.join(map(repr, others[:3]))}: name the right one 'classification'" if others else ""
        )
        out.notes.append(f"the class is the property {key!r}, no feature has a classification{shown}")
    numbers = [one.properties.get("layout") for one, _ in whole]
    layouts = len(set(map(str, numbers))) > 1 and all(type(number) is int for number in numbers)
    for k, (one, shape) in enumerate(whole):
        if k in large:
            continue
        try:
            name = class_name(one.properties.get(key)) if key is not None else UNCLASSIFIED
            out.add(shape.y, shape.x, name, one.number, f"layout {numbers[k]}" if layouts else None)
        except ValueError as error:
            raise ValueError(f"feature {one.number}: {error}") from error
    return out


def _feature(number: int, feature: Any, out: Gathered) -> _Feature | None:
    """A feature with a shape; None for one that is left out, which is counted."""
    feature = object_in(feature)
    if not isinstance(feature, dict):
        raise ValueError(f"it is {found(feature)}, expected an object with geometry and properties")
    properties = object_in(feature.get("properties"))
    if properties is None:
        properties = {}
    if not isinstance(properties, dict):
        raise ValueError(f"properties are {found(properties)}, expected an object")
    properties = _flat(properties)
    kind = properties.get("objectType") or properties.get("object_type") or feature.get("id")
    plain = plain_key(str(kind))
    if plain in _NO_CELLS:
        out.left[_NO_CELLS[plain]] += 1
        return None
    if "geometry" not in feature:
        raise ValueError(f"it has no member geometry, only {', '.join(map(str, list(feature)[:5])) or 'nothing'}")
    geometry = _with_places(object_in(feature["geometry"]), out, number)
    if geometry is None:
        return None
    shapes = _shapes(geometry)
    if not shapes:
        out.leave(LINES if _has_line(geometry) else "features without a geometry", f"feature {number}")
        return None
    shapes = [shape for shape in shapes if shape.area > 0 or shape.is_point]
    if not shapes:
        out.leave(outlines.FLAT, f"feature {number}")
        return None
    return _Feature(
        number, plain if plain in (*_CELLS, "annotation", "pathannotationobject") else "", properties, shapes
    )


def _flat(properties: dict[str, Any]) -> dict[str, Any]:
    """Properties with the members of the objects among them (``attributes``, ``metadata``), but those of classes."""
    flat = dict(properties)
    for key, value in properties.items():
        if isinstance(value, dict) and plain_key(key) not in (*CLASS_KEYS, "measurements"):
            flat = {**value, **flat}
    return flat


def _with_places(geometry: Any, out: Gathered, number: int) -> Any:
    """A geometry without the points that have no place (NaN, null); None if it is left out, which is counted."""
    kind, places = (geometry.get("type"), geometry.get("coordinates")) if isinstance(geometry, dict) else (None, None)
    if kind not in ("Point", "MultiPoint", "Polygon", "MultiPolygon") or not isinstance(places, list):
        return {} if geometry is None else geometry
    if kind == "MultiPoint":
        kept = [place for place in places if not _lost(place)]
        for _ in range(len(places) - len(kept)):
            out.leave("points without a place", f"in feature {number}")
        return {**geometry, "coordinates": kept} if kept or not places else None
    if places and _lost(places):
        out.leave("features without a place", f"feature {number}")
        return None
    return geometry


def _lost(places: Any) -> bool:
    """Whether a coordinate of a list of any depth is missing."""
    return any(_lost(one) for one in places) if isinstance(places, list) else nowhere(places)


def _has_line(geometry: Any) -> bool:
    if isinstance(geometry, dict) and isinstance(geometry.get("geometries"), list):
        return any(_has_line(one) for one in geometry["geometries"])
    return isinstance(geometry, dict) and str(geometry.get("type")).endswith("LineString")


def _shapes(geometry: Any) -> list[Shape]:
    """The points and outlines of a geometry; empty for none, and for lines that are not closed."""
    if geometry is None or geometry == {}:
        return []
    if not isinstance(geometry, dict):
        raise ValueError(f"the geometry is {found(geometry)}, expected an object with type and coordinates")
    kind = geometry.get("type")
    if kind == "GeometryCollection" and isinstance(geometry.get("geometries"), list):
        return [shape for one in geometry["geometries"] for shape in _shapes(one)]
    if kind not in ("Point", "MultiPoint", "Polygon", "MultiPolygon", "LineString", "MultiLineString"):
        raise ValueError(f"the geometry is a {str(kind)[:40]}, expected points or outlines")
    places = geometry.get("coordinates")
    if places is not None and not isinstance(places, list):
        raise ValueError(f"the coordinates of its geometry are {found(places)}, expected a list")
    if not places:
        return []
    if kind == "Point":
        return [outlines.point(places)]
    if kind == "MultiPoint":
        return [outlines.point(place) for place in places]
    rings = {"Polygon": [places[:1]], "LineString": [[places]]}.get(kind) or (
        [[line] for line in places] if kind == "MultiLineString" else places
    )
    if kind in ("LineString", "MultiLineString"):
        if strange := [line for (line,) in rings if not isinstance(line, list)]:
            raise ValueError(f"a line of its geometry is {found(strange[0])}, expected corners x, y")
        rings = [[line] for (line,) in rings if len(line) > 3 and line[0] == line[-1]]
    made = []
    for part in rings:
        if not isinstance(part, list):
            raise ValueError(f"a part of its geometry is {found(part)}, expected rings of x, y")
        shape = outlines.outline(part[0]) if part else None
        if shape is not None:
            made.append(shape)
    return made


def _cells_of(one: _Feature, apart: bool) -> list[Shape]:
    if all(shape.is_point for shape in one.shapes):
        return one.shapes  # points
    return outlines.cells(one.shapes, apart)


def _without_parts(read: list[_Feature], out: Gathered) -> list[_Feature]:
    """Without the detections inside QuPath's cells, if most detections of the file are such.

    If only the detections have a class, they are kept.
    """
    cells = [one for one in read if one.kind in _WHOLE_CELLS]
    parts = [one for one in read if one.kind in _DETECTIONS and len(one.shapes) == 1]
    if not cells or not parts or (any(map(_classified, parts)) and not any(map(_classified, cells))):
        return read
    whole = [shape for one in cells for shape in one.shapes]
    tree = cKDTree([(shape.x, shape.y) for shape in whole])
    places = np.array([(one.shapes[0].x, one.shapes[0].y) for one in parts])
    distance, index = tree.query(places, k=min(3, len(whole)))
    within = set()
    for part, place, far, near in zip(
        parts, places, distance.reshape(len(parts), -1), index.reshape(len(parts), -1), strict=True
    ):
        outlined = [whole[k] for k in near if whole[k].area]
        if far[0] <= _NEAR or any(outlines.inside(one.corners, place[None]).any() for one in outlined):
            within.add(part.number)
    if 2 * len(within) < len(parts):
        return read
    for number in sorted(within):
        out.leave(WITHIN, f"feature {number}")
    return [one for one in read if one.number not in within]


def _classified(one: _Feature) -> bool:
    try:
        return class_name(one.properties.get("classification")) != UNCLASSIFIED
    except ValueError:
        return True


def _without_parents(read: list[_Feature], left: Counter[str]) -> list[_Feature]:
    """Without the annotations around cells, where the file says which objects are cells; points are cells always."""
    if not any(one.kind in _CELLS for one in read):
        return read
    kept = []
    for one in read:
        if one.kind.endswith(("annotation", "annotationobject")) and any(shape.area for shape in one.shapes):
            left["annotations around cells"] += 1
        else:
            kept.append(one)
    return kept
