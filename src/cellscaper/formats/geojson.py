"""GeoJSON as QuPath writes and opens it (File → Import objects from file).

A FeatureCollection with a point a cell: ``objectType: detection``, ``classification: {name, color: [r, g, b]}``,
coordinates x, y in px. ``properties.layout`` is the number of the layout; the member ``cellscaper`` of the collection
holds head and facts (:mod:`cellscaper.formats.facts`). Reading takes points, point lists and outlines (their
centroids) of any program, from a FeatureCollection, a list of features or a single feature.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cellscaper.formats.facts import (
    Append,
    Cells,
    Given,
    assemble,
    decimals,
    dump,
    facts,
    head,
    parse,
    read_text,
    reading,
)
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.report.palette import rgb
from cellscaper.storage import atomic


@contextmanager
def write(path: Path, classes: Sequence[str], mpp: float) -> Iterator[Append]:
    """Yield a function that appends one layout."""
    looks = [dump({"name": name, "color": list(shade)}) for name, shade in zip(classes, rgb(classes), strict=True)]
    said: list[dict[str, Any]] = []
    with atomic(path) as partial, open(partial, "w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        comma = ""

        def append(layout: Layout, columns: Mapping[str, Any]) -> None:
            nonlocal comma
            for (y, x), label in zip(decimals(layout.points), layout.labels.tolist(), strict=True):
                file.write(
                    f'{comma}\n{{"type": "Feature", "geometry": {{"type": "Point", "coordinates": [{x}, {y}]}}, '
                    f'"properties": {{"objectType": "detection", "classification": {looks[label]}, '
                    f'"layout": {len(said)}}}}}'
                )
                comma = ","
            said.append(facts(layout, columns))

        yield append
        own = {**head(classes, mpp), "layouts": said}
        file.write(f'\n], "cellscaper": {dump(own)}}}\n')


def read(path: Path, given: Given) -> LayoutSet:
    """The layouts of a GeoJSON file; CellscaperError where it is none."""
    text = read_text(path)
    with reading(path, "GeoJSON of classified points"):
        data = parse(text)
        own = data.get("cellscaper") if isinstance(data, dict) else None
        cells = Cells([], [], [])
        for i, feature in enumerate(_features(data)):
            try:
                _add(cells, feature)
            except (TypeError, LookupError, AttributeError) as error:
                raise ValueError(f"feature {i} lacks {error}") from error
            except ValueError as error:
                raise ValueError(f"feature {i}: {error}") from error
        return assemble(path, cells, own, None if own is None else own["layouts"], given)


def _features(data: Any) -> list[Any]:
    if isinstance(data, dict):
        data = data["features"] if data["type"] == "FeatureCollection" else [data]
    if not isinstance(data, list):
        raise ValueError("expected a FeatureCollection")
    return data


def _add(cells: Cells, feature: Any) -> None:
    properties = feature["properties"]
    named = properties["classification"]
    name = named.get("name") or ": ".join(named["names"])  # QuPath's derived classes
    for x, y in _places(feature["geometry"]):
        cells.add(y, x, name, properties.get("layout", 0))


def _places(geometry: Any) -> list[tuple[Any, Any]]:
    """x, y of each point; of outlines the centroid."""
    kind, found = geometry["type"], geometry["coordinates"]
    if kind == "Point":
        return [(found[0], found[1])]
    if kind == "MultiPoint":
        return [(place[0], place[1]) for place in found]
    if kind == "Polygon":
        return [_centroid(found[0])]
    if kind == "MultiPolygon":
        return [_centroid(max((part[0] for part in found), key=len))]
    raise ValueError(f"a {str(kind)[:40]}, expected points or outlines")


def _centroid(ring: Any) -> tuple[float, float]:
    """Centroid of the area inside a ring; the mean of its corners where it has none."""
    corners = np.array([[float(place[0]), float(place[1])] for place in ring])
    here = corners - corners[0]
    cross = here[:-1, 0] * here[1:, 1] - here[1:, 0] * here[:-1, 1]
    if abs(cross.sum()) < 1e-9:
        centre = corners.mean(axis=0)
    else:
        centre = corners[0] + ((here[:-1] + here[1:]) * cross[:, None]).sum(axis=0) / (3 * cross.sum())
    return float(centre[0]), float(centre[1])
