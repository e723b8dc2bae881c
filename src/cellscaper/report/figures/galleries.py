"""Galleries: layouts, detections and painted images side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.detection import RADIUS, match
from cellscaper.report.figures.palette import INK, class_handles, colour, mark_handle
from cellscaper.report.figures.panels import (
    Arrays,
    draw_cells,
    draw_image,
    same_classes,
    write_below,
    write_counts,
    write_missing,
)
from cellscaper.report.figures.sheet import Sheet

_MARKS = {"hit": "o", "wrong class": "D", "missed": "s", "false positive": "x"}


def layout_gallery(columns: Sequence[tuple[str, LayoutSet]], rows: int) -> Figure:
    """Layouts side by side: a column for each (title, set), a row for each of the first ``rows`` layouts.

    Layouts i of all sets should have the same requested counts. Below each panel stands the number of cells of each
    class. The panels of a set with fewer layouts are empty.
    """
    classes = same_classes([layouts for _, layouts in columns])
    side = 1.9 if len(columns) <= 6 else 1.6
    rows = min(rows, max(len(layouts) for _, layouts in columns))
    sheet = Sheet(rows, [title for title, _ in columns], side, below=0.26)
    for r, c, ax in sheet.panels():
        layouts = columns[c][1]
        if r < len(layouts):
            draw_cells(ax, layouts.layout(r), classes, sheet.side)
            write_counts(ax, layouts.counts()[r], classes)
        else:
            write_missing(ax)
    return sheet.finish(class_handles(classes))


def layout_sheet(layouts: LayoutSet, columns: int = 4) -> Figure:
    """The layouts of one set in rows, with their counts; panels grow with the layouts, up to 9 inches side by side."""
    columns = min(columns, len(layouts))
    rows = -(-len(layouts) // columns)
    side = float(np.clip(1.9 * layouts.size.max() / 256, 1.9, 9 / columns))
    sheet = Sheet(rows, [""] * columns, side, below=0.26)
    for r, c, ax in sheet.panels():
        i = r * columns + c
        if i < len(layouts):
            draw_cells(ax, layouts.layout(i), layouts.classes, sheet.side)
            write_counts(ax, layouts.counts()[i], layouts.classes)
        else:
            ax.set_axis_off()
    return sheet.finish(class_handles(layouts.classes))


def detection_gallery(
    images: Arrays,
    reference: LayoutSet,
    detections: Sequence[tuple[str, LayoutSet]],
    radius: float = RADIUS,
    rows: int = 4,
) -> Figure:
    """Detected cells on the image: a column for each (title, detections), a row for each of the first images.

    A hit lies within ``radius`` px of its own reference dot of the same class; a detection matched to a dot of
    another class has the wrong class. The shape of a mark tells the outcome; its colour is the class of the
    detection, or of the dot that was missed.
    """
    classes = same_classes([reference, *(found for _, found in detections)])
    sheet = Sheet(min(rows, len(images)), ["reference", *(title for title, _ in detections)], 2.9, below=0.26)
    for r, c, ax in sheet.panels():
        draw_image(ax, images[r])
        if c == 0:
            draw_cells(ax, reference.layout(r), classes, sheet.side, halo=True)
            write_counts(ax, reference.counts()[r], classes)
        else:
            _draw_outcomes(ax, reference.layout(r), detections[c - 1][1].layout(r), classes, radius)
    shapes = [mark_handle(name, INK, mark, hollow=True) for name, mark in _MARKS.items()]
    return sheet.finish(class_handles(classes) + shapes)


def image_gallery(columns: Sequence[tuple[str, Arrays]], layouts: LayoutSet, rows: int = 4) -> Figure:
    """Layouts and their painted images: layout | for each (title, images): image | the same image with its dots.

    Row i shows layout i and image i of each column. A column may hold real images to compare with.
    """
    classes = layouts.classes
    titles = ["layout", *(text for title, _ in columns for text in (title, f"{title} + cells"))]
    sheet = Sheet(min(rows, len(layouts)), titles, 2.2, below=0.26)
    for r, c, ax in sheet.panels():
        layout = layouts.layout(r)
        if c == 0:
            draw_cells(ax, layout, classes, sheet.side)
            write_counts(ax, layouts.counts()[r], classes)
            continue
        images = columns[(c - 1) // 2][1]
        if r >= len(images):
            write_missing(ax)
            continue
        draw_image(ax, images[r])
        if c % 2 == 0:
            draw_cells(ax, layout, classes, sheet.side, halo=True)
    return sheet.finish(class_handles(classes))


def painted_gallery(columns: Sequence[tuple[str, Arrays]], rows: int = 4) -> Figure:
    """Images side by side, a column for each (title, images); the images of a row show different cells.

    All panels have the scale of the smallest image: larger ones show their middle.
    """
    side = min(min(images[r].shape[:2]) for _, images in columns for r in range(min(rows, len(images))))
    sheet = Sheet(min(rows, max(len(images) for _, images in columns)), [title for title, _ in columns], 1.9, below=0.1)
    for r, c, ax in sheet.panels():
        images = columns[c][1]
        if r >= len(images):
            write_missing(ax)
            continue
        y, x = ((length - side) // 2 for length in images[r].shape[:2])
        draw_image(ax, images[r][y : y + side, x : x + side])
    return sheet.finish([])


def _outcomes(
    reference: Layout, found: Layout, n_classes: int, radius: float
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """Points (N, 2) and labels (N,) by outcome. Cells are matched within their class first, as the scores are."""
    taken, hit = np.zeros(len(reference), bool), np.zeros(len(found), bool)
    for label in range(n_classes):
        own, other = np.flatnonzero(reference.labels == label), np.flatnonzero(found.labels == label)
        pairs = match(reference.points[own], found.points[other], radius)
        taken[own[pairs[:, 0]]], hit[other[pairs[:, 1]]] = True, True
    own, other = np.flatnonzero(~taken), np.flatnonzero(~hit)
    pairs = match(reference.points[own], found.points[other], radius)
    taken[own[pairs[:, 0]]] = True
    wrong = np.zeros(len(found), bool)
    wrong[other[pairs[:, 1]]] = True
    return {
        "hit": (found.points[hit], found.labels[hit]),
        "wrong class": (found.points[wrong], found.labels[wrong]),
        "missed": (reference.points[~taken], reference.labels[~taken]),
        "false positive": (found.points[~hit & ~wrong], found.labels[~hit & ~wrong]),
    }


def _draw_outcomes(ax: Axes, reference: Layout, found: Layout, classes: Sequence[str], radius: float) -> None:
    palette = np.array(colour(classes))
    outcomes = _outcomes(reference, found, len(classes), radius)
    for name, (points, labels) in outcomes.items():
        y, x = points.T
        for edge, width in (("white", 2.6), (palette[labels], 1.3)):
            face: dict[str, Any] = {"c": edge} if _MARKS[name] == "x" else {"facecolors": "none", "edgecolors": edge}
            ax.scatter(x, y, s=30 if _MARKS[name] in "ox" else 24, marker=_MARKS[name], linewidths=width, **face)
    text = " · ".join(f"{len(points)} {name}" for name, (points, _) in outcomes.items())
    write_below(ax, 0.5, text, "center")
