"""The nearest training crop of each crop of an image, in the features of a fixed network (`features.lite0`).

The distance of generated images is compared with that of real test images: a painter that invents lies as far from the
training images as real tissue of other patients, one that copies lies nearer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.metrics.copied_pixels import Image, turn_image
from cellscaper.run.progress import Progress
from cellscaper.views.symmetries import EIGHT

Maps = Callable[[Image], NDArray[np.float32]]
LOW = 1  # per cent: a crop copies if it lies nearer than this share of the real ones


@dataclass(frozen=True)
class Nearest:
    """A crop (image, y, x) and its nearest training crop (image, y, x), px; the symmetry that turns the image onto the
    training image; their distance."""

    crop: tuple[int, int, int]
    training: tuple[int, int, int]
    symmetry: int
    distance: float


class TrainingCrops:
    """The features of all crops of ``side`` px of training images, ``stride`` px of the network apart.

    ``maps``: the features (F, h, w) of an image. Features are in units of their standard deviation over these crops.
    CellscaperError if no image holds a crop.
    """

    def __init__(self, images: Sequence[Image], maps: Maps, side: int, stride: int):
        self.maps, self.side, self.stride = maps, side, stride
        self._cells = side // stride
        found, places = [], []
        with Progress(len(images), "training images: features") as progress:
            for number, image in enumerate(images):
                if min(image.shape[:2]) >= side:
                    features, at = self._crops(image, 1)
                    found.append(features)
                    places.append(np.column_stack([np.full(len(at), number), at]))
                progress.update()
        if not found:
            raise CellscaperError(f"no training image holds a crop of {side} px; choose smaller crops")
        every = np.concatenate(found)
        self._scale = every.std(axis=0) + 1e-6
        self._features = every / self._scale
        self._squares = np.square(self._features).sum(axis=1)
        self._places = np.concatenate(places)

    def _crops(self, image: Image, step: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Mean features (n, F) and corners (n, 2) px of the crops, ``step`` pixels of the map apart."""
        maps = self.maps(image)
        rows, columns = (length // self.stride for length in image.shape[:2])
        windows = sliding_window_view(maps[:, :rows, :columns], (self._cells, self._cells), axis=(1, 2))
        means = windows[:, ::step, ::step].mean(axis=(3, 4), dtype=np.float64)
        corners = np.argwhere(np.ones(means.shape[1:], bool)) * step * self.stride
        return means.reshape(len(maps), -1).T, corners

    def nearest(self, images: Sequence[Image], what: str) -> list[Nearest]:
        """The nearest training crop of each crop side by side in each image, over the eight symmetries."""
        found = []
        with Progress(len(images), f"{what}: nearest training crops") as progress:
            for number, image in enumerate(images):
                found += self._nearest(number, image)
                progress.update()
        return found

    def _nearest(self, number: int, image: Image) -> list[Nearest]:
        height, width = (length // self.side * self.side for length in image.shape[:2])
        best: dict[tuple[int, int], Nearest] = {}
        for symmetry in EIGHT:
            turned = turn_image(image[:height, :width], symmetry)
            features, corners = self._crops(turned, self._cells)
            features = features / self._scale
            squares = self._squares - 2 * features @ self._features.T + np.square(features).sum(axis=1)[:, None]
            rows = squares.argmin(axis=1)
            for corner, row, squared in zip(corners, rows, squares[np.arange(len(rows)), rows], strict=True):
                place = _turned_back(tuple(corner.tolist()), symmetry, self.side, (height, width))
                distance = float(np.sqrt(max(squared, 0.0)))
                if place not in best or distance < best[place].distance:
                    at: tuple[int, int, int] = tuple(self._places[row].tolist())
                    best[place] = Nearest((number, *place), at, symmetry, distance)
        return list(best.values())


def _turned_back(corner: tuple[int, ...], symmetry: int, side: int, size: tuple[int, int]) -> tuple[int, int]:
    """The corner in an image of ``size`` of a square whose corner in the turned image is known."""
    y, x = corner[::-1] if symmetry & 4 else corner
    return (size[0] - side - y if symmetry & 1 else y), (size[1] - side - x if symmetry & 2 else x)


def nearness(made: Sequence[Nearest], real: Sequence[Nearest]) -> dict[str, dict[str, float]]:
    """Scores of the distances of ``made`` crops beside those of ``real`` crops.

    ``nearest_crop``: median, that of the real crops, and their ratio; ``near_copies``: the share of crops that lie
    nearer to a training crop than the nearest LOW per cent of the real ones.
    """
    own, theirs = (np.array([one.distance for one in side]) for side in (made, real))
    median, real_median = float(np.median(own)), float(np.median(theirs))
    return {
        "nearest_crop": {"median": median, "real_median": real_median, "ratio": median / real_median},
        "near_copies": {"share": float((own < np.percentile(theirs, LOW)).mean())},
    }
