"""Errors of the cell counts (TC; papers.md section 9). Both in cells a layout, 0 is best."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError


def count_errors(reference: NDArray, generated: NDArray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Count errors of L layouts against the layouts they were made to match, row by row.

    reference, generated (L, C) cells of each class. Returns ``{"cce": {class: mean |c_real - c_syn|},
    "tce": {"total": mean |Σ c_real - Σ c_syn|}}``. Raises CellscaperError where the shapes are not (L ≥ 1, C).
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
