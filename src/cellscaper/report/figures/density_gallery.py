"""Density maps beside layouts (SD, Fig. 3 and 4)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cellscaper.density.maps import FEWEST
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet, crop
from cellscaper.report.figures.palette import FONT, FRAME, INK, colour, tint
from cellscaper.report.figures.panels import Arrays, dot_width, draw_cells, frame, same_classes, write_counts
from cellscaper.report.figures.sheet import Sheet

_ACROSS = 8  # panels side by side, if one example does not need more
_UNIT = "density of the class, 1 = 0.99 quantile of the training maps"


@dataclass(frozen=True)
class DensityRow:
    """A row of the gallery: n layouts, and maps (n, C, h, w) in 0…1 that cover each of them exactly."""

    title: str
    layouts: LayoutSet
    maps: NDArray[np.float32]

    def __post_init__(self) -> None:
        expected = (len(self.layouts), self.layouts.n_classes)
        if self.maps.ndim != 4 or self.maps.shape[:2] != expected:
            raise CellscaperError(
                f"density of {self.title!r} has shape {self.maps.shape}, expected {expected[0]} layouts × "
                f"{expected[1]} classes × h × w; sample again"
            )


def density_gallery(rows: Sequence[DensityRow]) -> Figure:
    """A row for each experiment or estimator: a few of its layouts, each followed by the map of every class.

    The examples are spread evenly over the layouts of a row. If all rows have layouts of the same counts, these stand
    below each other. Each map has the colour of its class; the cells of the class are white dots on it.
    """
    if not rows:
        raise CellscaperError("a density figure of 0 rows shows nothing; give it --layouts or --fitted")
    classes = same_classes([row.layouts for row in rows])
    each = 1 + len(classes)
    examples = min(n_examples(len(classes)), *(len(row.layouts) for row in rows))
    sheet = Sheet(len(rows), ["layout", *classes] * examples, 1.65, below=0.26, names=[row.title for row in rows])
    for r, c, ax in sheet.panels():
        i = int(np.linspace(0, len(rows[r].layouts) - 1, examples).round()[c // each])
        layout, part = rows[r].layouts.layout(i), c % each
        if part == 0:
            draw_cells(ax, layout, classes, sheet.side)
            write_counts(ax, rows[r].layouts.counts()[i], classes)
        else:
            _draw_map(ax, rows[r].maps[i, part - 1], layout, part - 1, colour(classes)[part - 1], sheet.side)
    _add_scales(sheet, classes)
    return sheet.finish([])


def n_examples(classes: int) -> int:
    """How many layouts with their maps fit side by side."""
    return max(_ACROSS // (1 + classes), 1)


def fitted_windows(
    cells: LayoutSet, maps: Arrays, stride: int, scale: float, region: int, n: int
) -> tuple[LayoutSet, NDArray[np.float32]]:
    """Up to ``n`` windows of real images with the maps fitted to them: layouts and (n, C, h, w) in 0…1.

    ``maps`` holds (C, h, w) for each layout of ``cells``, ``stride`` px a pixel, ``scale`` the value that becomes 1.
    Windows of ``region`` px are cut from the middle of the images that are large enough. The shown windows are spread
    evenly over the windows with at least FEWEST cells of every class, or over all windows if none has so many.
    """
    large = np.flatnonzero((cells.size >= region).all(axis=1))
    if len(maps) != len(cells) or not len(large) or region % stride:
        raise CellscaperError(
            f"{len(maps)} density maps of {stride} px pixels, {len(cells)} training images, {len(large)} of them at "
            f"least {region} px wide and high: expected a map for each image, of whole pixels; fit_density again on "
            "these cells"
        )
    corner = (cells.size[large] - region) // 2 // stride  # (M, 2) pixels of the map
    windows = [crop(cells.layout(row), y * stride, x * stride, region, region)
               for row, (y, x) in zip(large.tolist(), corner.tolist(), strict=True)]  # fmt: skip
    layouts = LayoutSet.build(windows, cells.classes, cells.mpp)
    full = np.flatnonzero((layouts.counts() >= FEWEST).all(axis=1))
    rows = full if len(full) else np.arange(len(large))
    rows = rows[np.linspace(0, len(rows) - 1, min(n, len(rows))).round().astype(int)]
    side = region // stride
    cut = [maps[int(large[row])][:, y : y + side, x : x + side]
           for row, (y, x) in zip(rows, corner[rows].tolist(), strict=True)]  # fmt: skip
    return layouts[rows], np.clip(np.stack(cut) / scale, 0, 1).astype(np.float32)


def _draw_map(ax: Axes, density: NDArray, layout: Layout, label: int, shade: str, side: float) -> None:
    """The map of one class with its cells on top."""
    height, width = layout.size
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    ax.imshow(density, cmap=tint(shade), vmin=0, vmax=1, extent=extent, interpolation="nearest")
    frame(ax, height, width)
    y, x = layout.of_class(label).T
    ax.scatter(x, y, s=dot_width(layout.size, side) ** 2, facecolors="white", edgecolors=INK, linewidths=0.5)


def _add_scales(sheet: Sheet, classes: Sequence[str]) -> None:
    """The legend: for each class a dot and its colours from 0 to 1, in one line below the panels."""
    step = min(1.5, (sheet.width - 0.2) / len(classes))  # inches
    left = (sheet.width - step * len(classes)) / 2
    for i, (name, shade) in enumerate(zip(classes, colour(classes), strict=True)):
        place = ((left + (i + 0.12) * step) / sheet.width, -0.3 / sheet.height)
        ax = sheet.figure.add_axes((*place, 0.76 * step / sheet.width, 0.1 / sheet.height), label="scale")
        ax.imshow(np.linspace(0, 1, 64)[None], cmap=tint(shade), vmin=0, vmax=1, aspect="auto", extent=(0, 1, 0, 1))
        ax.set(yticks=[], xticks=[0, 1], xticklabels=["0", "1"])
        ax.tick_params(labelsize=FONT - 1, colors=INK, length=2, pad=1)
        ax.spines[:].set(color=FRAME, linewidth=0.6)
        ax.set_title(f"● {i} {name}", fontsize=FONT, color=INK, pad=2)
        ax.title.set_color(shade)
    sheet.figure.text(0.5, -0.62 / sheet.height, _UNIT, fontsize=FONT, color=INK, ha="center", va="center")
