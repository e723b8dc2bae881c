"""F1 of detectors against the distance within which a detection counts."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cellscaper.disk.count_file import DETECTION, ImageCounts
from cellscaper.errors import CellscaperError
from cellscaper.metrics.detection import ratios
from cellscaper.report.figures.palette import line_styles
from cellscaper.report.figures.panels import name_axes
from cellscaper.report.figures.sheet import Sheet


def radius_curves(
    rows: Sequence[tuple[str, str]],
    detectors: Sequence[str],
    counts: Mapping[tuple[str, str, str], ImageCounts],
    protocol: str = "paper",
) -> Figure:
    """A row of panels for each detector, a panel for each class, their mean and detection, a line for each (label,
    experiment): pooled F1, mean over seeds, at every threshold that was counted.

    CellscaperError if a detector has no counts of one of the experiments.
    """
    missing = [(name, one) for _, name in rows for one in detectors if (name, one, protocol) not in counts]
    if missing:
        raise CellscaperError(f"there are no counts of {missing[0][0]} by {missing[0][1]}; score its detections")
    first = counts[rows[0][1], detectors[0], protocol]
    titles = [*first.classes, "mean", DETECTION]
    sheet = Sheet(len(detectors), titles, 2.0, below=0.45, aside=0.42, names=[f"{one}: F1" for one in detectors])
    for r, c, ax in sheet.panels():
        for (_, name), (shade, style) in zip(rows, line_styles(), strict=False):
            one = counts[name, detectors[r], protocol]
            f1 = ratios(one.counts.sum(axis=1), protocol)["f1"]  # (S, R, C + 2)
            ax.plot(one.radii, f1[..., c].mean(axis=0), color=shade, linestyle=style, linewidth=1.3)
        ax.set_xticks([radius for radius in first.radii if radius % 1 == 0])
        ax.set_ylim(0, None if np.isnan(ax.get_ylim()).any() else min(1.0, 1.05 * ax.get_ylim()[1]))
        name_axes(ax, "within, px")
    lines = zip([label for label, _ in rows], line_styles(), strict=False)
    return sheet.finish([Line2D([], [], color=shade, ls=style, label=label) for label, (shade, style) in lines])
