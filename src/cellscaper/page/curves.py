"""How cells lie in real tissue, as curves for a page: quantiles over windows, and no position of any cell."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.cross_class import nearest_neighbours, own_distances
from cellscaper.metrics.ripley import k_rings, l_functions
from cellscaper.views.patches import sliding_windows

RADII = tuple(range(3, 91, 3))  # px: of L
STEPS = tuple(range(0, 61, 2))  # px: of distances to the nearest neighbour
FEW = 10  # cells of a class: a window with fewer says nothing of the class
LEAST = 20  # windows that a curve is made of at least
QUANTILES = {"low": 0.05, "middle": 0.5, "high": 0.95}

Curve = dict[str, list[float]]
Curves = dict[str, Any]  # JSON, see real_curves


def real_curves(cells: LayoutSet, region: int, name: str) -> Curves:
    """Curves of the ``region`` px windows, half a window apart, of real layouts; ``name`` tells the reader whose.

    ``pairs``: for each unordered pair of classes "a-b" L(r) - r px at RADII; ``nearest``: for each class, and "any" for
    all cells, the share of cells whose nearest neighbour of the class is at most STEPS px away. Each is a map of the
    QUANTILES over windows with at least FEW cells of each class, or null if fewer than LEAST windows have them.
    ``counts``: the mean number of cells of each class.

    Raises CellscaperError if no layout is as large as the region.
    """
    windows = sliding_windows(cells, region, region // 2, small="skip")
    each = list(_windows(windows))
    curves = [_curves(window) for window in each]
    return {
        "name": name,
        "windows": len(windows),
        "counts": windows.counts().mean(axis=0).round().astype(int).tolist(),
        **{
            kind: {key: _quantiles([one[kind][key] for one in curves]) for key in keys}
            for kind, keys in (("pairs", _pairs(cells.classes)), ("nearest", (*cells.classes, "any")))
        },
    }


def checked(curves: Curves, classes: Sequence[str]) -> Curves:
    """The curves, if they have these classes; CellscaperError if not."""
    if set(curves["pairs"]) != set(_pairs(classes)):
        raise CellscaperError(f"the curves of real tissue are not of the classes {', '.join(classes)}; make them again")
    return curves


def _pairs(classes: Sequence[str]) -> list[str]:
    return [f"{one}-{two}" for i, one in enumerate(classes) for two in classes[i:]]


def _windows(windows: LayoutSet) -> Iterator[LayoutSet]:
    for i in range(len(windows)):
        yield windows[i : i + 1]


def _curves(window: LayoutSet) -> dict[str, dict[str, NDArray[np.float64] | None]]:
    """Of one window: each curve, or None if it has too few cells for it."""
    enough = window.counts()[0] >= FEW
    classes = window.classes
    half = int(window.size.min()) // 2
    radii = np.array([r for r in RADII if r <= half])
    lengths = l_functions(k_rings(window, int(radii[-1])), radii) - radii
    pairs: dict[str, NDArray[np.float64] | None] = {}
    for i, one in enumerate(classes):
        for j in range(i, len(classes)):
            pairs[f"{one}-{classes[j]}"] = lengths[i, j] if enough[i] and enough[j] else None
    nearest = {
        name: _shares(own_distances(window, label)) if enough[label] else None for label, name in enumerate(classes)
    }
    far = nearest_neighbours(window)[0]
    return {"pairs": pairs, "nearest": {**nearest, "any": _shares(far) if len(far) >= FEW else None}}


def _shares(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """(len(STEPS),) share of the distances that are at most each step."""
    return (distances[:, None] <= np.array(STEPS)).mean(axis=0)


def _quantiles(curves: Sequence[NDArray[np.float64] | None]) -> Curve | None:
    found = [one for one in curves if one is not None]
    if len(found) < LEAST:
        return None
    return {key: np.quantile(found, share, axis=0).round(3).tolist() for key, share in QUANTILES.items()}
