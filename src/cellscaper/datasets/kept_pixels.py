"""Pixels of the images of a folder: decoded once, and kept as long as all of them together are small."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellscaper.datasets.images import read_rgb

MOST = 512 << 20  # bytes that are kept


class KeptPixels:
    """Gives the pixels (H, W, 3) uint8 of an image by its name; CellscaperError as :func:`images.read_rgb`."""

    def __init__(self, paths: Mapping[str, Path]):
        self._paths = paths
        self._kept: dict[str, NDArray[np.uint8]] = {}
        self._bytes = 0

    def __call__(self, image: str) -> NDArray[np.uint8]:
        if image in self._kept:
            return self._kept[image]
        pixels = read_rgb(self._paths[image])
        if self._bytes + pixels.nbytes <= MOST:
            self._kept[image] = pixels
            self._bytes += pixels.nbytes
        return pixels
