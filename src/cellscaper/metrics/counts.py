"""Errors of the cell counts (TC; docs/methods.md, section 9.2). Both in cells a layout, 0 is best."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.protocol import Column, Comparison, Scores
from cellscaper.run.settings import Settings as Block
from cellscaper.views.decoding import components, released_counts
from cellscaper.views.rasters import rasterise, to_unit

COLUMNS = {"cce": Column("CCE"), "tce": Column("TCE")}


class Settings(Block):
    """Nothing to choose."""


def score(comparison: Comparison, settings: Settings) -> Scores:
    """Count errors of the generated layouts; the decoder's protocol counts both sides."""
    made, decoder = comparison.made, comparison.decoder
    return count_errors(reference_counts(comparison), generated_counts(made, decoder), made.classes)


def reference_counts(comparison: Comparison) -> NDArray[np.int64]:
    """(L, C) cells of the real layouts, counted by the decoder's protocol.

    paper and released: connected components of the raster on both sides (docs/methods.md, section 6.2), so that
    touching cells merge. Peaks, requested counts and placed points: the dots themselves.
    """
    real, grid = comparison.real, comparison.grid
    if comparison.decoder in ("peaks", "requested", "points") or grid is None:
        return real.counts()
    counts = np.zeros((len(real), real.n_classes), np.int64)
    for i, layout in enumerate(real):
        points, labels = torch.from_numpy(layout.points), torch.from_numpy(layout.labels).long()
        maps = rasterise(points, labels, torch.zeros(len(layout), dtype=torch.long), 1, real.n_classes, grid)
        _, found = components(to_unit(maps[0], grid).numpy(), grid, comparison.threshold)
        counts[i] = np.bincount(found, minlength=real.n_classes)
    return counts


def generated_counts(made: LayoutSet, decoder: str) -> NDArray[np.int64]:
    """(L, C) cells of generated layouts; the released code counts the background as a cell of every class."""
    if decoder != "released":
        return made.counts()
    return np.stack([released_counts(layout.labels, made.n_classes) for layout in made])


def count_errors(reference: NDArray, generated: NDArray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Count errors of L generated layouts against their reference layouts, row by row.

    reference, generated (L, C) cells of each class. Returns ``{"cce": {class: mean |c_real - c_syn|},
    "tce": {"total": mean |Σ c_real - Σ c_syn|}}``. Raises CellscaperError for other shapes than (L ≥ 1, C).
    """
    reference, generated = np.asarray(reference, np.int64), np.asarray(generated, np.int64)
    if reference.shape != generated.shape or reference.shape != (len(reference), len(classes)) or not len(reference):
        raise CellscaperError(
            f"count errors: counts of shape {reference.shape} and {generated.shape}; "
            f"expected the same layouts on both sides and {len(classes)} classes"
        )
    difference = generated - reference
    by_class = np.abs(difference).mean(axis=0)
    total = np.abs(difference.sum(axis=1)).mean()
    return {
        "cce": {name: float(value) for name, value in zip(classes, by_class, strict=True)},
        "tce": {"total": float(total)},
    }
