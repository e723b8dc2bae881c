"""Figures of the report, drawn with matplotlib's Agg canvas: no pyplot, no global state. Image coordinates, y down."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.detection import RADIUS, match
from cellscaper.storage import atomic

# Okabe & Ito's palette, told apart by colour-blind readers too.
CLASS_COLOURS = {
    "lymphocyte": "#0072B2",
    "epithelial": "#D55E00",
    "stromal": "#009E73",
    "connective": "#009E73",
    "neutrophil": "#CC79A7",
    "plasma": "#56B4E9",
    "eosinophil": "#000000",
}
_OTHER_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
_INK, _FRAME = "#222222", "#888888"
_DPI = 150
_FONT = 8.0  # pt
_MARKS = {"hit": "o", "wrong class": "D", "missed": "s", "false positive": "x"}


class Images(Protocol):
    """What the galleries need of images: an ImageSet or a list of (H, W, 3) uint8 arrays."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int, /) -> NDArray: ...


def colour(classes: Sequence[str]) -> list[str]:
    """One colour for each class, always the same for a known name. CellscaperError where the palette is too small."""
    known = [CLASS_COLOURS.get(name) for name in classes]
    left = [c for c in _OTHER_COLOURS if c not in known]
    if known.count(None) > len(left) or len({c for c in known if c}) < len(known) - known.count(None):
        raise CellscaperError(f"no {len(classes)} different colours for the classes {', '.join(classes)}; merge some")
    rest = iter(left)
    return [c or next(rest) for c in known]


# -- figures -----------------------------------------------------------------------------------------------


def layout_gallery(columns: Sequence[tuple[str, LayoutSet]], rows: int, path: Path) -> None:
    """Layouts side by side: a column for each (title, set), a row for each of the first ``rows`` layouts.

    Layout i of every set should have been asked for with the same counts. Cells of each class are counted
    below every panel; a set with fewer layouts leaves its panels empty.
    """
    classes = _same_classes([layouts for _, layouts in columns])
    side = 1.9 if len(columns) <= 6 else 1.6
    rows = min(rows, max(len(layouts) for _, layouts in columns))
    sheet = _Sheet(rows, [title for title, _ in columns], side, below=0.26)
    for r, c, ax in sheet.panels():
        layouts = columns[c][1]
        if r < len(layouts):
            _draw_cells(ax, layouts.layout(r), classes, sheet.side)
            _write_counts(ax, layouts.counts()[r], classes)
        else:
            _write_missing(ax)
    sheet.save(path, _class_handles(classes))


def detection_gallery(
    images: Images,
    reference: LayoutSet,
    detections: Sequence[tuple[str, LayoutSet]],
    path: Path,
    radius: float = RADIUS,
    rows: int = 4,
) -> None:
    """Detected cells on the image: a column for each (title, detections), a row for each of the first images.

    A hit lies within ``radius`` px of its own reference dot of the same class; a detection matched to a dot of
    another class has the wrong class. Shape tells the outcome, colour the class (of the detection; of the dot
    where it was missed).
    """
    classes = _same_classes([reference, *(found for _, found in detections)])
    sheet = _Sheet(min(rows, len(images)), ["reference", *(title for title, _ in detections)], 2.9, below=0.26)
    for r, c, ax in sheet.panels():
        _draw_image(ax, images[r])
        if c == 0:
            _draw_cells(ax, reference.layout(r), classes, sheet.side, halo=True)
            _write_counts(ax, reference.counts()[r], classes)
        else:
            _draw_outcomes(ax, reference.layout(r), detections[c - 1][1].layout(r), classes, radius)
    shapes = [_handle(name, _INK, mark, hollow=True) for name, mark in _MARKS.items()]
    sheet.save(path, _class_handles(classes) + shapes)


def image_gallery(columns: Sequence[tuple[str, Images]], layouts: LayoutSet, path: Path, rows: int = 4) -> None:
    """Layouts and the images painted from them: layout | for each (title, images): image | the same with its dots.

    All have the same index. Give the real images of real layouts as one of the columns to compare with.
    """
    classes = layouts.classes
    titles = ["layout", *(text for title, _ in columns for text in (title, f"{title} + cells"))]
    sheet = _Sheet(min(rows, len(layouts)), titles, 2.2, below=0.26)
    for r, c, ax in sheet.panels():
        layout = layouts.layout(r)
        if c == 0:
            _draw_cells(ax, layout, classes, sheet.side)
            _write_counts(ax, layouts.counts()[r], classes)
            continue
        images = columns[(c - 1) // 2][1]
        if r >= len(images):
            _write_missing(ax)
            continue
        _draw_image(ax, images[r])
        if c % 2 == 0:
            _draw_cells(ax, layout, classes, sheet.side, halo=True)
    sheet.save(path, _class_handles(classes))


def training_curves(logs: Sequence[tuple[str, Path]], path: Path) -> None:
    """Training logs: a panel for each column but ``step``, a line for each (label, CSV file).

    Faint: the logged values; strong: their running mean. The value axis is logarithmic where all values are positive.
    """
    runs = [(label, _read_log(Path(file))) for label, file in logs]
    names = list(dict.fromkeys(name for _, log in runs for name in log.columns if name != "step"))
    across = min(3, max(len(names), 1))
    down = math.ceil(len(names) / across)
    sheet = _Sheet(down, [""] * across, 3.0, below=0.7, aside=0.65)
    for r, c, ax in sheet.panels():
        if r * across + c < len(names):
            _draw_curves(ax, runs, names[r * across + c])
        else:
            ax.set_axis_off()
    lines = zip([label for label, _ in runs], _lines(), strict=False)
    sheet.save(path, [Line2D([], [], color=shade, ls=style, label=label) for label, (shade, style) in lines])


# -- the sheet of panels -----------------------------------------------------------------------------------


class _Sheet:
    """A figure of rows × columns square panels of ``side`` inches, titles above the columns, a legend at the bottom."""

    def __init__(self, rows: int, titles: Sequence[str], side: float, below: float, aside: float = 0.1):
        if rows < 1 or not titles:
            raise CellscaperError(f"a figure of {rows} rows × {len(titles)} columns shows nothing; give it layouts")
        self.side = side
        columns = len(titles)
        wrapped = [textwrap.fill(title, max(8, int(side * 13))) for title in titles]
        top = 0.08 + 0.17 * max(text.count("\n") + 1 for text in wrapped) + 0.04
        self.width = max(aside * (columns + 1) + side * columns, 3.2)
        left = (self.width - side * columns - aside * (columns + 1)) / 2
        self.height = top + rows * (side + below)
        self.figure = Figure(figsize=(self.width, self.height), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(self.figure)
        self._axes: list[list[Axes]] = []
        for r in range(rows):
            bottom = self.height - top - r * (side + below) - side
            places = [(left + aside + c * (side + aside), bottom, side, side) for c in range(columns)]
            self._axes.append([self._add(place) for place in places])
        for ax, text in zip(self._axes[0], wrapped, strict=True):
            ax.set_title(text, fontsize=_FONT + 1, color=_INK, pad=4, linespacing=1.05)

    def _add(self, place: tuple[float, float, float, float]) -> Axes:
        x, y, w, h = place
        ax = self.figure.add_axes((x / self.width, y / self.height, w / self.width, h / self.height))
        ax.tick_params(which="both", labelsize=_FONT - 1, colors=_INK)
        for spine in ax.spines.values():
            spine.set(color=_FRAME, linewidth=0.6)
        return ax

    def panels(self) -> Iterator[tuple[int, int, Axes]]:
        """(row, column, axes) of all panels."""
        return ((r, c, ax) for r, line in enumerate(self._axes) for c, ax in enumerate(line))

    def save(self, path: Path, handles: Sequence[Line2D]) -> None:
        """Add the one legend, in as many rows as it needs, and write a PNG."""
        for across in range(len(handles), 0, -1):
            legend = self.figure.legend(
                handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=0, ncols=across,
                frameon=False, fontsize=_FONT, handletextpad=0.4, columnspacing=1.4, labelcolor=_INK,
            )  # fmt: skip
            box = legend.get_window_extent()
            if across == 1 or box.width <= self.width * _DPI:
                break
            legend.remove()
        with atomic(path) as partial:
            self.figure.savefig(partial, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=0.08)


# -- parts of a panel --------------------------------------------------------------------------------------


def _same_classes(sets: Sequence[LayoutSet]) -> tuple[str, ...]:
    found = {layouts.classes for layouts in sets}
    if len(found) != 1:
        raise CellscaperError(f"one figure needs one list of classes, not {len(found)}: {sorted(found)}")
    return found.pop()


def _frame(ax: Axes, height: int, width: int) -> None:
    """Square pixels, y down, no ticks. A dot at (y, x) lies at the centre of pixel (y, x)."""
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[], aspect="equal")


def _draw_cells(ax: Axes, layout: Layout, classes: Sequence[str], side: float, halo: bool = False) -> None:
    """Cells as dots about 7 px wide (a nucleus is larger; neighbours stay apart), at least 2 pt."""
    _frame(ax, *layout.size)
    width = max(7 * side * 72 / max(layout.size), 2.0)  # pt
    edge: dict[str, Any] = {"edgecolors": "white", "linewidths": 0.7} if halo else {"linewidths": 0}
    palette = np.array(colour(classes))
    order = np.random.default_rng(0).permutation(len(layout))  # no class hides the others
    y, x = layout.points[order].T
    ax.scatter(x, y, s=width**2, c=palette[layout.labels[order]], **edge)


def _draw_image(ax: Axes, image: NDArray) -> None:
    _frame(ax, *image.shape[:2])
    ax.imshow(image, interpolation="nearest", aspect="equal")


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
    _write_below(ax, 0.5, text, "center")


def _write_counts(ax: Axes, counts: NDArray, classes: Sequence[str]) -> None:
    """The number of cells of each class below the panel, each after a dot of its colour."""
    for i, (count, shade) in enumerate(zip(counts, colour(classes), strict=True)):
        at = (i + 0.5 - 0.7 / (len(classes) + 1)) / len(classes)
        _write_below(ax, at, "●", "center", shade, size=_FONT - 3)
        _write_below(ax, at, str(count), "left", shift=4)


def _write_below(
    ax: Axes, at: float, text: str, ha: str, shade: str = _INK, size: float = _FONT - 1, shift: float = 0
) -> None:
    """Text 8 pt below a panel, ``shift`` pt right of the fraction ``at`` of its width."""
    ax.annotate(text, (at, 0), xytext=(shift, -8), xycoords="axes fraction", textcoords="offset points",
                ha=ha, va="center", fontsize=size, color=shade, annotation_clip=False)  # fmt: skip


def _write_missing(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.text(0.5, 0.5, "none", transform=ax.transAxes, ha="center", va="center", fontsize=_FONT, color=_FRAME)


def _handle(label: str, shade: str, mark: str, hollow: bool = False) -> Line2D:
    face = "none" if hollow and mark != "x" else shade
    return Line2D([], [], linestyle="", marker=mark, markersize=5.5, color=shade, markerfacecolor=face,
                  markeredgewidth=1.3 if hollow else 0, label=label)  # fmt: skip


def _class_handles(classes: Sequence[str]) -> list[Line2D]:
    return [_handle(name, shade, "o") for name, shade in zip(classes, colour(classes), strict=True)]


# -- curves ------------------------------------------------------------------------------------------------


def _read_log(path: Path) -> pd.DataFrame:
    try:
        log = pd.read_csv(path).astype(float)
    except (OSError, ValueError) as error:
        raise CellscaperError(f"{path} is not a training log ({str(error).splitlines()[0]}); train again") from error
    if "step" not in log.columns or len(log.columns) < 2:
        found = ", ".join(log.columns)
        raise CellscaperError(f"{path} has columns {found}; a training log has step and a loss; train again")
    return log


def _lines() -> Iterator[tuple[str, Any]]:
    """Colours, then the same colours with other dashes: 24 lines that differ."""
    shades = [c for c in _OTHER_COLOURS if c != "#F0E442"]
    return ((shade, style) for style in ("-", "--", ":", "-.") for shade in shades)


def _draw_curves(ax: Axes, runs: Sequence[tuple[str, pd.DataFrame]], name: str) -> None:
    """One column of all logs against the step, smoothed over a fiftieth of its length."""
    positive = True
    for (_, log), (shade, style) in zip(runs, _lines(), strict=False):
        if name not in log.columns:
            continue
        part = log[["step", name]].dropna()
        smooth = part[name].ewm(halflife=max(len(part) / 50, 1e-6)).mean()
        ax.plot(part["step"], part[name], color=shade, alpha=0.25, linewidth=0.7)
        ax.plot(part["step"], smooth, color=shade, linestyle=style, linewidth=1.4)
        positive = positive and bool((part[name] > 0).all())
    ax.set_yscale("log" if positive else "linear")
    ax.set_title(name, fontsize=_FONT + 1, color=_INK, loc="left")
    ax.set_xlabel("step", fontsize=_FONT, color=_INK)
    ax.grid(color="#DDDDDD", linewidth=0.5)
    ax.spines[["top", "right"]].set_visible(False)
