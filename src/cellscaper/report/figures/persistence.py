"""Holes of layouts: growing discs, the circles where holes die, persistence diagrams and landscapes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import Delaunay

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.landscapes import landscapes
from cellscaper.report.figures.palette import FAINT, INK, class_handles, colour, mark_handle
from cellscaper.report.figures.panels import dot_width, frame, name_axes, same_classes, write_below
from cellscaper.report.figures.sheet import Sheet
from cellscaper.topology.persistence import alpha_diagram

TOTAL = "all cells"
HOLES = 3  # circles drawn in a panel
_SAMPLES = 400  # of a landscape


def persistence_gallery(rows: Sequence[tuple[str, LayoutSet]]) -> Figure:
    """The first layout of each (title, set), a row each: holes of each class and of all cells, diagrams, landscapes.

    A layout panel shows the union of discs at one radius, the same down the column: halfway through the life of the
    longest hole of the first row that has one. Circles mark the HOLES longest holes: each is the largest disc that
    fits into its hole, so its radius is the hole's death. Diagrams and landscapes λ1 are in px of disc radius.
    """
    classes = same_classes([layouts for _, layouts in rows])
    short = [title for title, layouts in rows if not len(layouts)]
    if short:
        raise CellscaperError(f"there is no layout of {', '.join(short)} whose holes could be drawn; sample again")
    layouts = [one.layout(0) for _, one in rows]
    points = [[*(one.of_class(k) for k in range(len(classes))), one.points] for one in layouts]
    diagrams = [[alpha_diagram(cells) for cells in line] for line in points]
    radii = [_halfway(column) for column in zip(*diagrams, strict=True)]
    shades, limits = [*colour(classes), INK], _limits(diagrams)
    side = 1.9 if len(classes) <= 4 else 1.5
    sheet = Sheet(len(rows), _titles(classes, radii), side, below=0.3, aside=0.3, names=[title for title, _ in rows])
    for r, c, ax in sheet.panels():
        if c <= len(classes):
            _draw_holes(ax, layouts[r], points[r][c], diagrams[r][c], radii[c], shades[c], side)
        elif c == len(classes) + 1:
            _draw_diagrams(ax, diagrams[r], shades, limits[0])
        else:
            _draw_landscapes(ax, diagrams[r], shades, limits)
    marks = [
        mark_handle(TOTAL, INK, "D", hollow=True),
        mark_handle("discs of radius r", FAINT, "o"),
        mark_handle(f"{HOLES} longest holes: largest disc that fits, r = death", INK, "o", hollow=True),
    ]
    return sheet.finish([*class_handles(classes), *marks])


def death_centres(points: NDArray, deaths: NDArray) -> NDArray[np.float64]:
    """Where holes die: centres (K, 2) of the circles of radius ``deaths`` (K,) through three of ``points`` (N, 2).

    A hole of the alpha complex dies with a Delaunay triangle, at its circumradius. Deaths are from
    :func:`~cellscaper.topology.persistence.alpha_diagram` of the same points; equal ones take different triangles.
    """
    if not len(deaths):
        return np.zeros((0, 2))
    corners = np.unique(np.asarray(points, np.float64), axis=0)
    triangles = corners[Delaunay(corners).simplices]  # (T, 3, 2)
    centres = _circumcentres(triangles)
    error = np.abs(np.linalg.norm(centres - triangles[:, 0], axis=1) - np.asarray(deaths, float)[:, None])  # (K, T)
    error[np.isnan(error)] = np.inf
    return centres[linear_sum_assignment(np.minimum(error, 1e6))[1]]


def _circumcentres(triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 2) centres of the circles through the corners of triangles (T, 3, 2); NaN where these lie on a line."""
    first = triangles[:, 0]
    edges = triangles[:, 1:] - first[:, None]  # (T, 2, 2)
    determinant = np.linalg.det(edges)
    squares = (edges**2).sum(axis=2) / 2  # (T, 2)
    y = squares[:, 0] * edges[:, 1, 1] - squares[:, 1] * edges[:, 0, 1]
    x = squares[:, 1] * edges[:, 0, 0] - squares[:, 0] * edges[:, 1, 0]
    determinant = np.where(determinant == 0, np.nan, determinant)
    return first + np.stack([y, x], axis=1) / determinant[:, None]


def _longest(diagram: NDArray) -> NDArray[np.float64]:
    """The HOLES pairs (K, 2) that live longest."""
    return diagram[np.argsort(diagram[:, 0] - diagram[:, 1], kind="stable")[:HOLES]]


def _halfway(diagrams: Sequence[NDArray]) -> float:
    """The radius in the middle of the life of the longest hole, in the first diagram with holes; 0 if none has any."""
    return next((float(_longest(one)[0].mean()) for one in diagrams if len(one)), 0.0)


def _limits(diagrams: Sequence[Sequence[NDArray]]) -> tuple[float, float]:
    """Where the axes of all rows end: of birth, death and radius; of λ1."""
    pairs = np.concatenate([one for line in diagrams for one in line])
    return 1.05 * pairs[:, 1].max(initial=1), 1.05 * (pairs[:, 1] - pairs[:, 0]).max(initial=1) / 2


def _titles(classes: Sequence[str], radii: Sequence[float]) -> list[str]:
    """Titles of the columns; no line breaks at the spaces in "r = 9 px"."""
    names = zip([*classes, TOTAL], radii, strict=True)
    discs = [f"{name}, r\xa0=\xa0{radius:.0f}\xa0px" if radius else name for name, radius in names]
    return [*discs, "death over birth,\xa0px", "landscape λ1 over\xa0r,\xa0px"]


def _draw_holes(
    ax: Axes, layout: Layout, points: NDArray, diagram: NDArray, radius: float, shade: str, side: float
) -> None:
    """Discs around ``points``, the longest holes of their ``diagram``, all other cells faint."""
    frame(ax, *layout.size)
    longest = _longest(diagram)
    _draw_circles(ax, points, np.full(len(points), radius), facecolors=FAINT, edgecolors="none")
    width = dot_width(layout.size, side)
    for cells, colours in ((layout.points, "#BBBBBB"), (points, shade)):
        ax.scatter(cells[:, 1], cells[:, 0], s=width**2, c=colours, linewidths=0)
    centres = death_centres(points, longest[:, 1])
    _draw_circles(ax, centres, longest[:, 1], facecolors="none", edgecolors=shade, linewidths=1.2)
    ax.scatter(centres[:, 1], centres[:, 0], s=14, marker="+", c=shade, linewidths=1)
    write_below(ax, 0.5, f"{len(points)} cells, {len(diagram)} holes", "center")


def _draw_circles(ax: Axes, centres: NDArray, radii: NDArray, **style: object) -> None:
    """Circles at ``centres`` (K, 2) y, x with ``radii`` (K,), all in px."""
    width = 2 * radii
    circles = EllipseCollection(width, width, np.zeros(len(radii)), units="xy", offsets=centres[:, ::-1],
                                transOffset=ax.transData, **style)  # fmt: skip
    ax.add_collection(circles, autolim=False)


def _draw_diagrams(ax: Axes, diagrams: Sequence[NDArray], shades: Sequence[str], reach: float) -> None:
    """Death over birth, a dot for each hole of a class, a hollow diamond for each of all cells."""
    ax.axline((0, 0), slope=1, color=INK, linewidth=0.8, zorder=1)
    *of_classes, total = diagrams
    ax.plot(total[:, 0], total[:, 1], "D", color=INK, mfc="none", markersize=3.2, mew=0.6, alpha=0.7)
    for one, shade in zip(of_classes, shades, strict=False):
        ax.plot(one[:, 0], one[:, 1], "o", color=shade, markersize=3.6, mew=0, alpha=0.8)
    ax.set(xlim=(0, reach), ylim=(0, reach))
    name_axes(ax, "")


def _draw_landscapes(ax: Axes, diagrams: Sequence[NDArray], shades: Sequence[str], limits: tuple[float, float]) -> None:
    """λ1 of each class over the disc radius; dashed, of all cells."""
    axis = np.linspace(0, limits[0], _SAMPLES)
    for i, (values, shade) in enumerate(zip(landscapes(diagrams, axis), shades, strict=True)):
        ax.plot(axis, values, color=shade, linewidth=1.2, linestyle="--" if i == len(shades) - 1 else "-")
    ax.set(xlim=(0, limits[0]), ylim=(0, limits[1]))
    name_axes(ax, "")
