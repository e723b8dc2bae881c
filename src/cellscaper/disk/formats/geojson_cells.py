"""Cells in a GeoJSON file of any program: points, point lists and outlines (their centroids), with their classes."""

from typing import Any

import numpy as np

from cellscaper.disk.formats.facts import Cells


def features(data: Any) -> list[Any]:
    """The features of a FeatureCollection, a list of features or a single feature; ValueError for anything else."""
    if isinstance(data, dict):
        data = data["features"] if data["type"] == "FeatureCollection" else [data]
    if not isinstance(data, list):
        raise ValueError("expected a FeatureCollection")
    return data


def add_features(cells: Cells, found: list[Any], unclassified: str | None = None) -> None:
    """Add the cells of all features; ValueError with the number of the first invalid feature.

    ``unclassified`` is the class of features without a class; without it, such features are an error.
    """
    for i, feature in enumerate(found):
        try:
            _add(cells, feature, unclassified)
        except (TypeError, LookupError, AttributeError) as error:
            raise ValueError(f"feature {i} lacks {error}") from error
        except ValueError as error:
            raise ValueError(f"feature {i}: {error}") from error


def _add(cells: Cells, feature: Any, unclassified: str | None) -> None:
    properties = feature["properties"]
    if unclassified is not None and not (properties or {}).get("classification"):
        name = unclassified
    else:
        named = properties["classification"]
        name = named.get("name") or ": ".join(named["names"])  # QuPath's derived classes
    for x, y in _places(feature["geometry"]):
        cells.add(y, x, name, (properties or {}).get("layout", 0))


def _places(geometry: Any) -> list[tuple[Any, Any]]:
    """x, y of each point, or of the centroid of each outline."""
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
    """Centroid of the area inside a ring, or the mean of its corners if the area is 0."""
    corners = np.array([[float(place[0]), float(place[1])] for place in ring])
    here = corners - corners[0]
    cross = here[:-1, 0] * here[1:, 1] - here[1:, 0] * here[:-1, 1]
    if abs(cross.sum()) < 1e-9:
        centre = corners.mean(axis=0)
    else:
        centre = corners[0] + ((here[:-1] + here[1:]) * cross[:, None]).sum(axis=0) / (3 * cross.sum())
    return float(centre[0]), float(centre[1])
