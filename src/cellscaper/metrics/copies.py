"""Copies: the distance of generated layouts to the nearest training crop, compared with that of real test layouts.

Layout distance: mean over the cells of both layouts of the distance to the nearest cell of the same class in the
other, at most REACH px; 0 for equal layouts, REACH if no cell has a partner in reach. The nearest training crop is
searched among all windows of the training images on a grid of STRIDE px, in all eight symmetries. Smoothed class
densities give a shortlist and the distance decides. The best window is then shifted in steps of 2 px to undo the grid.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial.distance import cdist
from scipy.stats import fisher_exact

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet, crop, evenly_spaced
from cellscaper.metrics.protocol import Column, Comparison, Scores
from cellscaper.run.settings import Settings as Block
from cellscaper.views.pixels import pixels_of
from cellscaper.views.symmetries import EIGHT, inverse, transform

REACH = 16.0  # px
STRIDE = 8  # px between windows
SHORTLIST = 64  # windows for each layout whose distance is computed
SHIFTS = [(dy, dx) for dy in (-4, -2, 0, 2, 4) for dx in (-4, -2, 0, 2, 4) if dy or dx]  # px
_POOL, _BLUR = 4, 2.0  # in bins of STRIDE px: spacing and standard deviation of the descriptor's Gaussians
_BLOCK = 512  # layouts searched at once, a bound on memory


COLUMNS = {
    "copies": Column(
        "copies",
        caveat="copies: the share of generated layouts that lie nearer to a training crop than the nearest 1 % of real "
        "test layouts",
    ),
    "copy_distance": Column("distance to the nearest training crop, px", higher_is_better=True),
}


class Settings(Block):
    """The number of layouts whose nearest training crop is searched."""

    layouts: int = Field(
        200, ge=0, description="layouts of each side whose nearest training crop is searched; 0 for none"
    )


def score(comparison: Comparison, settings: Settings) -> Scores:
    """:func:`copies` of ``settings.layouts`` evenly spaced layouts and as many test windows; {} for 0."""
    if not settings.layouts:
        return {}
    sides = comparison.windows, comparison.made
    real, made = (side[evenly_spaced(len(side), settings.layouts)] for side in sides)
    return copies(real, made, comparison.train)


def layout_distance(one: Layout, two: Layout) -> float:
    """Distance of two layouts of the same size in px, 0…REACH; 0 if both have no cells."""
    a, b = (
        np.column_stack([layout.points, layout.labels * (2 * REACH)]).astype(np.float64) for layout in (one, two)
    )  # classes lie out of reach of each other
    if not len(a) or not len(b):
        return REACH if len(a) or len(b) else 0.0
    apart = np.minimum(cdist(a, b), REACH)
    return float((apart.min(axis=1).sum() + apart.min(axis=0).sum()) / (len(a) + len(b)))


def copies(
    real: LayoutSet, generated: LayoutSet, train: LayoutSet, shortlist: int = SHORTLIST
) -> dict[str, dict[str, float]]:
    """Distances of generated layouts to training crops, compared with the distances of real test layouts.

    Returns ``{"copy_distance": {"median", "p01", "real_median", "real_p01"}`` in px, ``"copies": {"share", "p"}}``:
    the share of generated layouts nearer to a training crop than the nearest 1 % of the real ones, and the one-sided
    p-value of Fisher's exact test that this share is not above the real one. A generator with p < 0.01 copies.
    (Overlapping test patches are not independent: read a p-value near the limit with care.)

    Raises CellscaperError if classes or sizes differ, a side is empty, or no training image holds a window.
    """
    found = [nearest_training(side, train, shortlist) for side in (generated, real)]
    limit = float(np.percentile(found[1], 1))
    below = [int((distances <= limit).sum()) for distances in found]
    table = [[n, len(side) - n] for n, side in zip(below, found, strict=True)]
    median, p01, real_median, real_p01 = (float(np.percentile(side, q)) for side in found for q in (50, 1))
    return {
        "copy_distance": {"median": median, "p01": p01, "real_median": real_median, "real_p01": real_p01},
        "copies": {"share": below[0] / len(found[0]), "p": float(fisher_exact(table, alternative="greater").pvalue)},
    }


@dataclass(frozen=True)
class Neighbour:
    """A training crop near a layout: their distance in px, and the crop in the symmetry that fits the layout."""

    distance: float
    crop: Layout


def nearest_training(layouts: LayoutSet, train: LayoutSet, shortlist: int = SHORTLIST) -> NDArray[np.float64]:
    """Distance (L,) px of each square layout to its crop of `nearest_crops`; errors as in `copies`."""
    return np.array([one.distance for one in nearest_crops(layouts, train, shortlist)])


def nearest_crops(layouts: LayoutSet, train: LayoutSet, shortlist: int = SHORTLIST) -> list[Neighbour]:
    """The nearest training crop that the search finds for each square layout; errors as in `copies`."""
    side = _check(layouts, train)
    nearest: list[Neighbour] = []
    images = [train.layout(i) for i in np.flatnonzero((train.size >= side).all(axis=1)).tolist()]
    windows = [_windows(image, side, train.n_classes) for image in images]
    for start in range(0, len(layouts), _BLOCK):
        block = layouts[start : start + _BLOCK]
        turned = [[turn(layout, symmetry) for symmetry in EIGHT] for layout in block]
        described = np.concatenate([_windows(one, side, train.n_classes)[1] for eight in turned for one in eight])
        candidates = _shortlist(described, windows, shortlist)
        nearest += [_nearest(eight, rows, images, side) for eight, rows in zip(turned, candidates, strict=True)]
    return nearest


def _check(layouts: LayoutSet, train: LayoutSet) -> int:
    if layouts.classes != train.classes:
        raise CellscaperError(f"copies: classes {layouts.classes} against {train.classes} of the training images")
    if not len(layouts):
        raise CellscaperError("copies: no layouts to compare with the training crops; give at least one")
    height, width = layouts.common_size()
    if height != width or not (train.size >= height).all(axis=1).any():
        raise CellscaperError(
            f"copies: layouts of {height}×{width} px, expected squares that fit in a training image "
            f"(the largest is {train.size.max(initial=0)} px); compare smaller layouts"
        )
    return height


def turn(layout: Layout, symmetry: int) -> Layout:
    """A square layout in one of the EIGHT symmetries."""
    return Layout(transform(layout.points, symmetry, layout.size[0]), layout.labels, layout.size)


def _windows(layout: Layout, side: int, classes: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Corners (W, 2) px of the windows of a layout, and their descriptors (W, D).

    A descriptor is the square root of blurred cell counts of each class; the root evens out the noise of counts.
    """
    bins = -(-side // STRIDE)
    corners = [np.arange(0, length - side + 1, STRIDE) for length in layout.size]
    shape = [len(axis) - 1 + bins for axis in corners]
    y, x = pixels_of(layout.points, layout.size).T // STRIDE
    inside = (y < shape[0]) & (x < shape[1])
    counts = np.zeros((classes, *shape), np.float32)
    np.add.at(counts, (layout.labels[inside], y[inside], x[inside]), 1)
    centres = np.arange(0, bins, _POOL) + (_POOL - 1) / 2
    blur = np.exp(-(((np.arange(bins) - centres[:, None]) / _BLUR) ** 2) / 2).astype(np.float32)
    rows = sliding_window_view(counts, bins, axis=1) @ blur.T  # (C, Y, width, D)
    both = sliding_window_view(rows, bins, axis=2) @ blur.T  # (C, Y, X, D, D)
    described = np.sqrt(both.transpose(1, 2, 0, 3, 4).reshape(len(corners[0]) * len(corners[1]), -1))
    return np.stack(np.meshgrid(*corners, indexing="ij"), axis=-1).reshape(-1, 2), described


def _shortlist(described: NDArray, windows: list[tuple[NDArray, NDArray]], length: int) -> NDArray[np.int64]:
    """(L, S, 4) image, y, x, symmetry of the windows with the nearest descriptors; described (L·8, D).

    Each window is listed once, in the symmetry with the nearest descriptor.
    """
    n = len(described) // len(EIGHT)
    best, code = np.zeros((n, 0), np.float32), np.zeros((n, 0), np.int64)  # code: 8 · number of the window + symmetry
    own = (described**2).sum(axis=1)[:, None]
    places = [np.column_stack([np.full(len(corners), i), corners]) for i, (corners, _) in enumerate(windows)]
    start = 0
    for _, other in windows:
        square = ((other**2).sum(axis=1) - 2 * described @ other.T + own).reshape(n, len(EIGHT), -1)  # (L, 8, W)
        number = np.arange(start, start + len(other))
        best = np.concatenate([best, square.min(axis=1)], axis=1)
        code = np.concatenate([code, len(EIGHT) * number + square.argmin(axis=1)], axis=1)
        keep = np.argpartition(best, min(length, best.shape[1]) - 1, axis=1)[:, :length]
        best, code = np.take_along_axis(best, keep, axis=1), np.take_along_axis(code, keep, axis=1)
        start += len(other)
    window, symmetry = np.divmod(code, len(EIGHT))
    return np.concatenate([np.concatenate(places)[window], symmetry[..., None]], axis=2)


def _nearest(eight: list[Layout], candidates: NDArray, images: list[Layout], side: int) -> Neighbour:
    """The nearest of candidate windows (S, 4) to a layout in its eight symmetries; the best window is then shifted."""

    def distance(image: int, y: int, x: int, symmetry: int) -> float:
        return layout_distance(eight[symmetry], crop(images[image], y, x, side, side))

    places = [tuple(row) for row in candidates.tolist()]
    found = [distance(*place) for place in places]
    image, y, x, symmetry = places[int(np.argmin(found))]
    height, width = images[image].size
    for dy, dx in SHIFTS:
        if 0 <= y + dy <= height - side and 0 <= x + dx <= width - side:
            places.append((image, y + dy, x + dx, symmetry))
            found.append(distance(*places[-1]))
    image, y, x, symmetry = places[int(np.argmin(found))]
    window = crop(images[image], y, x, side, side)
    return Neighbour(min(found), replace(turn(window, inverse(symmetry)), source=window.source, origin=window.origin))
