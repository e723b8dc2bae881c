"""Cells of binarised maps, and how their places depend on the pixels.

A cell is a 4-connected component of the pixels above the threshold (on grids with 1×1 markers each such pixel), as
in the decoder ``components``; markers that touch are one cell. Its place is the centroid of the map over the
component and the pixels around it (its bounding box, one pixel wider, without other components),

    c = Σ m q / Σ m,    m = the map within 0…1,

so that the derivative of the place by the map at pixel q is (q − c) / Σ m.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cellscaper.topology.alpha import AlphaHoles

TIES = np.random.default_rng(0).random(4096)  # order of cells with equal sums, so that no place is favoured


@dataclass(frozen=True)
class Cells:
    """Cells of M layers (H, W).

    points (N, 2) float64, y then x in pixels, layer after layer; first (M + 1,): layer i has the rows
    first[i]:first[i + 1]; mass (N,): Σ m of each.
    pixel (K,), cell (K,): the pixels that each place depends on, flat indices of (M, H, W), cell after cell;
    offset (K, 2): their position minus the place; own (K,): whether they are above the threshold.
    """

    points: NDArray[np.float64]
    first: NDArray[np.int64]
    mass: NDArray[np.float64]
    pixel: NDArray[np.int64]
    cell: NDArray[np.int64]
    offset: NDArray[np.float64]
    own: NDArray[np.bool_]


@dataclass(frozen=True)
class CellHoles:
    """Cells (n, 2) of a layer, pixels, and their holes, pixels; losses compare the diagrams divided by ``scale``.

    If the scale is the largest distance on the map, ``void`` (2,) is the place with that distance to any cell.
    """

    points: NDArray[np.float64]
    holes: AlphaHoles
    scale: float = 1.0
    void: NDArray[np.float64] | None = None

    @property
    def diagram(self) -> NDArray[np.float64]:
        return self.holes.diagram / self.scale


def find_cells(
    maps: NDArray[np.float32],
    threshold: float,
    single: bool = False,
    intra: bool = True,
    inter: bool = False,
    limit: NDArray[np.integer] | None = None,
) -> Cells:
    """Cells of the layers of maps (B, C, H, W) in unit range.

    Layers are, sample after sample, the C channels (``intra``) and then their maximum (``inter``). ``single``: each
    pixel above the threshold is a cell. A layer keeps at most ``limit`` (M,) cells: those with the largest sum of the
    map over their component; equal sums have a fixed random order. NaN counts as background.
    """
    height, width = maps.shape[2:]
    batch, classes = maps.shape[:2]
    mask = np.empty((batch, classes + inter, height, width), bool)
    np.greater(maps, threshold, out=mask[:, :classes])
    if inter:
        np.logical_or.reduce(mask[:, :classes], axis=1, out=mask[:, classes])
        mask = mask if intra else mask[:, classes:].copy()
    layers = mask.shape[1]
    above = np.flatnonzero(mask)
    label = np.arange(len(above)) if single else _components(above, height, width)
    above, label, first = _kept(maps, above, label, batch * layers, limit)
    n = int(first[-1])
    pixel, cell = _around(above, label, n, height, width)
    own = mask.ravel()[pixel]
    if own.sum() > len(above):  # boxes with pixels of other cells
        at = np.minimum(np.searchsorted(above, pixel), len(above) - 1)
        mine = (above[at] == pixel) & (label[at] == cell)
        free = mine | ~own
        pixel, cell, own = pixel[free], cell[free], mine[free]
    m = np.nan_to_num(np.clip(_values(maps, pixel, layers), 0, 1).astype(np.float64))
    mass = np.bincount(cell, m, n).astype(np.float64)
    row = pixel // width
    x, y = pixel - row * width, row - row // height * height
    points = np.stack([np.bincount(cell, m * y, n) / mass, np.bincount(cell, m * x, n) / mass], axis=1)
    offset = np.stack([y - points[cell, 0], x - points[cell, 1]], axis=1)
    return Cells(points, first, mass, pixel, cell, offset, own)


def _components(above: NDArray[np.int64], height: int, width: int) -> NDArray[np.int64]:
    """Number of the 4-connected component of each pixel of ``above``, sorted flat indices of (M, height, width)."""
    size = len(above)
    right = np.flatnonzero((np.diff(above) == 1) & (above[1:] % width != 0))
    below = np.searchsorted(above, above + width)
    below[below == size] = 0
    down = np.flatnonzero((above[below] == above + width) & (above // width % height != height - 1))
    i, j = np.concatenate([right, down]), np.concatenate([right + 1, below[down]])
    graph = coo_array((np.ones(len(i), np.int8), (i, j)), shape=(size, size))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _kept(
    maps: NDArray[np.float32],
    above: NDArray[np.int64],
    label: NDArray[np.int64],
    layers: int,
    limit: NDArray[np.integer] | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pixels and labels of the components that are kept, numbered layer after layer; the first label of each layer."""
    size, count = maps.shape[2] * maps.shape[3], int(label.max(initial=-1)) + 1
    layer = np.zeros(count, np.int64)
    layer[label] = above // size
    number = np.bincount(layer, minlength=layers)
    order = np.argsort(layer, kind="stable")
    if limit is not None and (number > limit).any():
        support = np.bincount(label, _values(maps, above, layers // len(maps)), count)
        order = np.lexsort((np.resize(TIES, count), -support, layer))
        place = np.arange(count) - (np.cumsum(number) - number)[layer[order]]
        order = order[place < limit[layer[order]]]
        number = np.minimum(number, limit)
    renamed = np.full(count, -1)
    renamed[order] = np.arange(len(order))
    label = renamed[label]
    kept = label >= 0
    return above[kept], label[kept], np.concatenate([[0], np.cumsum(number)])


def _around(
    above: NDArray[np.int64], label: NDArray[np.int64], n: int, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Flat pixels, and the number of the cell, of each cell's box, one pixel wider and cut at the map's border."""
    if n == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    order = np.argsort(label, kind="stable")
    start = np.searchsorted(label[order], np.arange(n))
    pixel = above[order]
    y = pixel // width  # counts through all layers
    x = pixel - y * width
    base = y[start] // height * height
    top = np.maximum(np.minimum.reduceat(y, start) - 1, base)
    rows = np.minimum(np.maximum.reduceat(y, start) + 2, base + height) - top
    left = np.maximum(np.minimum.reduceat(x, start) - 1, 0)
    columns = np.minimum(np.maximum.reduceat(x, start) + 2, width) - left
    area = rows * columns
    cell = np.repeat(np.arange(n), area)
    step = np.arange(len(cell)) - np.repeat(np.cumsum(area) - area, area)
    row = step // columns[cell]
    return (top * width + left)[cell] + row * width + step - row * columns[cell], cell


def _values(maps: NDArray[np.float32], pixel: NDArray[np.int64], layers: int) -> NDArray[np.float32]:
    """Values at flat indices ``pixel`` (K,) of (B, layers, H, W): channels, their maximum, or both in this order."""
    classes, size = maps.shape[1], maps.shape[2] * maps.shape[3]
    layer = pixel // size
    sample = layer // layers
    place, channel = pixel - layer * size, layer - sample * layers
    if layers == 1 < classes:
        channel = channel + classes
    first = sample * (classes * size) + place  # in the first channel
    flat = maps.reshape(-1)
    found = flat[first + np.minimum(channel, classes - 1) * size]
    joint = channel == classes
    for k in range(classes - 1 if joint.any() else 0):
        found[joint] = np.maximum(found[joint], flat[first[joint] + k * size])
    return found
