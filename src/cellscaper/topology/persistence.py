"""Persistence diagrams of cell centres.

Discs of radius r grow around all centres at once. A 1-dimensional feature is a hole of their union. Its birth is the
radius at which a loop of discs closes, its death the radius at which the hole is filled. The alpha complex gives the
same diagram from the Delaunay triangulation of the centres (Edelsbrunner & Mücke 1994) without any raster.

The Rips complex instead fills every triangle as soon as its edges are there, so that three centres never make a
hole; its values are distances between centres, not radii. The released TopoFD uses it.

gudhi's alpha complex is built on CGAL: the gudhi wheels are MIT, but this part of them is GPL-3.
"""

import gudhi
import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet


def alpha_diagram(points: NDArray) -> NDArray[np.float64]:
    """1-dimensional diagram of the union of growing discs around ``points`` (N, 2) px.

    Returns (K, 2) float64, birth and death as disc radii in px, 0 < birth < death, all finite, in order of birth
    and then of death. Points that coincide count once; fewer than three different points, or points on one line,
    have no hole: (0, 2).
    """
    points = np.asarray(points, np.float64).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise CellscaperError(f"alpha_diagram: {len(points)} points hold NaN or infinity; expected coordinates in px")
    points = np.unique(points, axis=0)
    if len(points) < 3:
        return np.zeros((0, 2))
    tree = gudhi.AlphaComplex(points=points).create_simplex_tree(output_squared_values=True)
    tree.compute_persistence()
    pairs = np.sqrt(np.asarray(tree.persistence_intervals_in_dimension(1), np.float64).reshape(-1, 2))
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def alpha_diagrams(layouts: LayoutSet, label: int | None = None) -> list[NDArray[np.float64]]:
    """:func:`alpha_diagram` of each layout: of the cells of class ``label``, or of all cells where it is None."""
    return [alpha_diagram(one.points if label is None else one.of_class(label)) for one in layouts]


def rips_diagram(points: NDArray) -> NDArray[np.float64]:
    """1-dimensional diagram of the Rips complex (all edges, all triangles) of ``points`` (N, 2) px.

    Returns (K, 2) float64, birth and death as distances in px, 0 < birth < death, all finite, in order of birth and
    then of death.
    """
    points = np.asarray(points, np.float64).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise CellscaperError(f"rips_diagram: {len(points)} points hold NaN or infinity; expected coordinates in px")
    if len(points) < 4:
        return np.zeros((0, 2))
    from gudhi.sklearn import RipsPersistence  # imports scikit-learn, which alpha complexes do without

    pairs = np.asarray(RipsPersistence(homology_dimensions=1).fit_transform([points])[0], np.float64).reshape(-1, 2)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def rips_diagrams(layouts: LayoutSet, label: int | None = None) -> list[NDArray[np.float64]]:
    """:func:`rips_diagram` of each layout: of the cells of class ``label``, or of all cells where it is None."""
    return [rips_diagram(one.points if label is None else one.of_class(label)) for one in layouts]
