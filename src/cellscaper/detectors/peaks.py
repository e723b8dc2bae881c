"""From a detector's maps to cells (docs/methods.md, section 8.1): tiles of large images, regions, their centres."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from cellscaper.detectors.data import channels_first, to_input
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.progress import Progress
from cellscaper.views.decoding import Cells, centroids
from cellscaper.views.pixels import pixels_of

Chosen = TypeVar("Chosen")  # the settings of a detector
TILE = 1024  # px; larger images are cut into tiles of this side
OVERLAP = (
    320  # px; half of it exceeds the reach of U-Net (depth 4: about 110 px) and MCSpatNet (about 140 px) around a pixel
)


def cells_from_probabilities(probability: NDArray[np.floating], min_area: float) -> Cells:
    """One cell at the centroid of each connected region of one class: points (N, 2) px, labels (N,).

    probability (C + 1, H, W), channel 0 background; each pixel has its most probable class. Regions below
    ``min_area`` px² are dropped.
    """
    best = probability.argmax(0)
    points, labels = [np.zeros((0, 2))], [np.zeros(0)]
    for label in range(len(probability) - 1):
        points.append(_centres(best == label + 1, min_area))
        labels.append(np.full(len(points[-1]), label))
    return np.concatenate(points).astype(np.float32), np.concatenate(labels).astype(np.uint8)


def cells_from_detection(maps: NDArray[np.floating], threshold: float, min_area: float) -> Cells:
    """One cell at the centroid of each connected region above ``threshold``: points (N, 2) px, labels (N,).

    maps (1 + C, H, W): probability of a cell, then of each class. A cell has the most probable class at its centre.
    """
    points = _centres(maps[0] > threshold, min_area).astype(np.float32)
    y, x = pixels_of(points, maps.shape[1:]).T
    return points, maps[1:, y, x].argmax(0).astype(np.uint8)


def _centres(mask: NDArray[np.bool_], min_area: float) -> NDArray[np.float64]:
    """Centroids (N, 2) of the 4-connected regions of at least ``min_area`` px²."""
    regions, n = ndimage.label(mask)
    large = np.bincount(regions.ravel(), minlength=n + 1)[1:] >= min_area
    return centroids(regions, n)[large]


def detect(
    maps: Callable[[nn.Module, Tensor], Tensor],
    cells: Callable[[NDArray[np.floating], Chosen], Cells],
    model: nn.Module,
    image: NDArray[np.uint8] | Tensor,
    settings: Chosen,
    device: torch.device | str = "cpu",
) -> Cells:
    """Cells of one image (H, W, 3) uint8, points (N, 2) px and labels (N,), by a detector's ``maps`` and ``cells``."""
    return cells(image_maps(partial(maps, model), image, device), settings)


def found_in(
    layouts: LayoutSet,
    images: Iterable[NDArray[np.uint8]],
    find: Callable[[NDArray[np.uint8]], Cells],
    what: str = "images",
    quiet: bool = False,
) -> LayoutSet:
    """The cells that ``find`` sees in the image of each layout, with the layouts' sizes, sources and columns."""
    found = []
    with Progress(len(layouts), what, quiet=quiet) as progress:
        for one, image in zip(layouts, images, strict=True):
            found.append(Layout(*find(image), one.size, one.source))
            progress.update()
    return LayoutSet.build(found, layouts.classes, layouts.mpp, layouts.columns)


@torch.inference_mode()
def image_maps(
    maps: Callable[[Tensor], Tensor],
    image: NDArray[np.uint8] | Tensor,
    device: torch.device | str = "cpu",
    tile: int = TILE,
    overlap: int = OVERLAP,
) -> NDArray[np.float32]:
    """Maps (K, H, W) of one image (H, W, 3) uint8, in one pass up to ``tile`` px a side.

    ``maps`` takes network inputs (1, 3, h, w) to (1, K, h, w). A larger image is cut into tiles that share
    ``overlap`` px (``tile − overlap`` a multiple of the network's halvings); each gives its inner part. The result
    equals that of one pass except for group normalisation and auto-context, which then see a tile, not the image.
    """
    pixels = channels_first(image)
    whole = None
    for rows, inner_rows in _tiles(pixels.shape[1], tile, overlap):
        for columns, inner_columns in _tiles(pixels.shape[2], tile, overlap):
            part = maps(to_input(pixels[None, :, rows, columns].to(device)))[0].float()
            whole = part.new_empty(len(part), *pixels.shape[1:]) if whole is None else whole
            inside = part[:, inner_rows.start - rows.start :, inner_columns.start - columns.start :]
            height, width = inner_rows.stop - inner_rows.start, inner_columns.stop - inner_columns.start
            whole[:, inner_rows, inner_columns] = inside[:, :height, :width]
    assert whole is not None  # an image has at least one tile
    return whole.cpu().numpy()


def _tiles(length: int, tile: int, overlap: int) -> Iterator[tuple[slice, slice]]:
    """(tile, its inner part) along one axis; the inner parts cover ``length`` once."""
    start = 0
    while True:
        stop = min(start + tile, length)
        first = start + overlap // 2 if start else 0
        last = stop - overlap // 2 if stop < length else length
        yield slice(start, stop), slice(first, last)
        if stop == length:
            return
        start += tile - overlap
