"""Colours, letters and marks that all figures share."""

import colorsys
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.lines import Line2D

from cellscaper.errors import CellscaperError

# Okabe & Ito's palette: colour-blind readers can tell the colours apart, too.
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
INK, FRAME, FAINT = "#222222", "#888888", "#DDDDDD"
FONT = 8.0  # pt


def colour(classes: Sequence[str]) -> list[str]:
    """One colour for each class, always the same for a known name. CellscaperError if the palette is too small."""
    known = [CLASS_COLOURS.get(name) for name in classes]
    left = [c for c in _OTHER_COLOURS if c not in known]
    if known.count(None) > len(left) or len({c for c in known if c}) < len(known) - known.count(None):
        raise CellscaperError(
            f"there are no {len(classes)} different colours for the classes {', '.join(classes)}; merge some classes"
        )
    rest = iter(left)
    return [c or next(rest) for c in known]


def rgb(classes: Sequence[str]) -> list[tuple[int, int, int]]:
    """:func:`colour` as 0…255, for the files of other programs; evenly spaced hues where the palette is too small."""
    try:
        shades = [to_rgb(shade) for shade in colour(classes)]
    except CellscaperError:
        shades = [colorsys.hsv_to_rgb(i / len(classes), 0.8, 0.8) for i in range(len(classes))]
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in shades]


def tint(shade: str) -> LinearSegmentedColormap:
    """A colour map from white over a colour to the same colour at half its lightness; the colour names the class."""
    red, green, blue = to_rgb(shade)
    dark = to_hex((red / 2, green / 2, blue / 2))
    return LinearSegmentedColormap.from_list(f"white_{shade}", [(0.0, "white"), (0.6, shade), (1.0, dark)])


def line_styles() -> Iterator[tuple[str, Any]]:
    """Colours, then the same colours with other dashes: 56 lines that differ, then the first ones again."""
    shades = [c for c in _OTHER_COLOURS if c != "#F0E442"]
    dashes = ("-", "--", ":", "-.", (0, (6, 1)), (0, (1, 3)), (0, (4, 1, 1, 1, 1, 1)), (0, (9, 2, 3, 2)))
    return cycle([(shade, style) for style in dashes for shade in shades])


def mark_handle(label: str, shade: str, mark: str, hollow: bool = False) -> Line2D:
    """A legend entry: one mark, filled or as an outline."""
    face = "none" if hollow and mark != "x" else shade
    return Line2D([], [], linestyle="", marker=mark, markersize=5.5, color=shade, markerfacecolor=face,
                  markeredgewidth=1.3 if hollow else 0, label=label)  # fmt: skip


def class_handles(classes: Sequence[str]) -> list[Line2D]:
    """Legend entries: a dot for each class after the number of its channel."""
    shades = colour(classes)
    return [mark_handle(f"{k} {name}", shades[k], "o") for k, name in enumerate(classes)]
