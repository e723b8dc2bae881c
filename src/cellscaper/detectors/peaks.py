"""From the U-Net's probability maps to cells (papers.md section 8)."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from cellscaper.decoding import Cells, centroids
from cellscaper.detectors.unet import channels_first, to_input

TILE = 1024  # px; larger images are cut into tiles of this side
OVERLAP = 256  # px; half of it is more than the U-Net sees around a pixel (depth 4: about 110 px)


def cells_from_probabilities(probability: NDArray[np.floating], settings: Mapping[str, Any]) -> Cells:
    """One cell at the centroid of each connected region of one class: points (N, 2) px, labels (N,).

    probability (C + 1, H, W), channel 0 background; each pixel has its most probable class.
    settings: ``min_area`` px²; smaller regions are dropped.
    """
    best = probability.argmax(0)
    points, labels = [np.zeros((0, 2))], [np.zeros(0)]
    for label in range(len(probability) - 1):
        regions, n = ndimage.label(best == label + 1)
        large = np.bincount(regions.ravel(), minlength=n + 1)[1:] >= settings["min_area"]
        points.append(centroids(regions, n)[large])
        labels.append(np.full(large.sum(), label))
    return np.concatenate(points).astype(np.float32), np.concatenate(labels).astype(np.uint8)


def detect(
    model: nn.Module, image: NDArray[np.uint8] | Tensor, settings: Mapping[str, Any], device: torch.device | str = "cpu"
) -> Cells:
    """Cells of one image (H, W, 3) uint8: points (N, 2) px, y then x, and labels (N,); settings: ``min_area`` px²."""
    return cells_from_probabilities(probabilities(model, image, device), settings)


@torch.inference_mode()
def probabilities(
    model: nn.Module,
    image: NDArray[np.uint8] | Tensor,
    device: torch.device | str = "cpu",
    tile: int = TILE,
    overlap: int = OVERLAP,
) -> NDArray[np.float32]:
    """Class probabilities (C + 1, H, W) of one image (H, W, 3) uint8, in one pass up to ``tile`` px a side.

    A larger image is cut into tiles that share ``overlap`` px (``tile − overlap`` a multiple of 2^depth);
    each gives its inner part. That equals one pass but for the group normalisation, whose statistics are
    then a tile's and not the image's.
    """
    pixels = channels_first(image)
    whole = None
    for rows, inner_rows in _tiles(pixels.shape[1], tile, overlap):
        for columns, inner_columns in _tiles(pixels.shape[2], tile, overlap):
            part = model(to_input(pixels[None, :, rows, columns].to(device)))[0].float().softmax(0)
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
