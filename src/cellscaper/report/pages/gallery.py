"""The gallery page: real and generated layouts of the same counts side by side, one HTML file with its data inside."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout
from cellscaper.metrics.copies import Neighbour
from cellscaper.report.figures.palette import colour
from cellscaper.report.figures.persistence import death_centres
from cellscaper.report.pages.data_uri import data_uri
from cellscaper.topology.persistence import alpha_diagram

HOLES = 5  # of each class
LARGEST = 10 << 20  # bytes of the page
_SHORTEST = 0.1  # px: the life of a hole that is shown
_MAP, _IMAGE = 96, 320  # px: the longest side of density maps and images in the page


@dataclass(frozen=True)
class Panel:
    """One layout; if it has them, its H&E image (H, W, 3), density maps (C, h, w) in 0…1 and nearest training crop."""

    title: str
    layout: Layout
    image: NDArray[np.uint8] | None = None
    density: NDArray[np.float32] | None = None
    near: Neighbour | None = None


@dataclass(frozen=True)
class Group:
    """Layouts of the same counts; a real one stands first."""

    title: str
    panels: list[Panel] = field(default_factory=list)


def gallery_page(title: str, groups: Sequence[Group], classes: Sequence[str]) -> str:
    """The page. CellscaperError if there is no layout, or if the page would be larger than LARGEST."""
    if not any(group.panels for group in groups):
        raise CellscaperError("a gallery without a layout shows nothing; run a table of layouts")
    shades = colour(classes)
    data = {
        "classes": [{"name": name, "colour": shade} for name, shade in zip(classes, shades, strict=True)],
        "groups": [
            {"title": group.title, "panels": [_panel(panel, shades) for panel in group.panels]} for group in groups
        ],
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    template = files("cellscaper.report.pages").joinpath("gallery.html").read_text(encoding="utf-8")
    page = template.replace("__TITLE__", title).replace("__DATA__", text)
    if len(page.encode()) > LARGEST:
        raise CellscaperError(
            f"the gallery has {len(page) / 2**20:.1f} MB, expected at most {LARGEST >> 20} MB; show fewer layouts"
        )
    return page


def _panel(panel: Panel, shades: Sequence[str]) -> dict[str, object]:
    layout = panel.layout
    near = panel.near
    return {
        "title": panel.title,
        "size": list(layout.size),
        "cells": cells(layout),
        "counts": np.bincount(layout.labels, minlength=len(shades)).tolist(),
        "holes": holes(layout, len(shades)),
        "image": None if panel.image is None else _jpeg(panel.image),
        "density": None
        if panel.density is None
        else [_map(one, shade) for one, shade in zip(panel.density, shades, strict=True)],
        "near": None
        if near is None
        else {
            "distance": round(near.distance, 2),
            "cells": cells(near.crop),
            "source": f"{near.crop.source} y {near.crop.origin[0]}, x {near.crop.origin[1]}",
        },
    }


def cells(layout: Layout) -> list[int]:
    """y, x in half pixels and class of each cell, one after the other."""
    rounded = np.rint(layout.points * 2).astype(np.int64)
    return np.column_stack([rounded, layout.labels.astype(np.int64)]).reshape(-1).tolist()


def holes(layout: Layout, classes: int) -> list[list[list[float]]]:
    """The HOLES longest-lived holes of each class, then of all cells: y, x of the death circle, death, birth in px."""
    found = []
    for points in [*(layout.of_class(k) for k in range(classes)), layout.points]:
        diagram = alpha_diagram(points)
        diagram = diagram[diagram[:, 1] - diagram[:, 0] > _SHORTEST]
        longest = diagram[np.argsort(diagram[:, 0] - diagram[:, 1], kind="stable")[:HOLES]]
        rows = np.column_stack([death_centres(points, longest[:, 1]), longest[:, ::-1]])
        found.append(np.round(rows, 1).tolist())
    return found


def _jpeg(image: NDArray[np.uint8]) -> str:
    shown = Image.fromarray(image)
    shown.thumbnail((_IMAGE, _IMAGE), Image.Resampling.LANCZOS)
    return data_uri(shown, "JPEG", quality=82)


def _map(values: NDArray[np.float32], shade: str) -> str:
    """A density map as a PNG in the colour of its class, the more opaque the denser."""
    pixels = np.empty((*values.shape, 4), np.uint8)
    pixels[..., :3] = np.rint(np.array(to_rgb(shade)) * 255)
    pixels[..., 3] = np.rint(np.clip(values, 0, 1) * 230)
    shown = Image.fromarray(pixels)
    shown.thumbnail((_MAP, _MAP), Image.Resampling.BOX)
    return data_uri(shown, "PNG", optimize=True)
