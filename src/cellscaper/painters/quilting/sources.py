"""Training images as sources of patches: where patches may be cut, and how the cells lie around each."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from cellscaper.layouts import Layout
from cellscaper.painters.quilting.patch import Patch, turned_image, turned_offsets
from cellscaper.views.pixels import pixels_of
from cellscaper.views.symmetries import EIGHT

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Candidate:
    """A patch of a source: its centre y, x px and one of the EIGHT symmetries."""

    source: "Source"
    y: int
    x: int
    symmetry: int

    def pixels(self, radius: int) -> Image:
        """(2 · radius + 1, 2 · radius + 1, 3), turned."""
        return turned_image(self.window(radius), self.symmetry)

    def window(self, radius: int) -> Image:
        """The same as the source has it."""
        y, x = self.y, self.x
        return self.source.pixels[y - radius : y + radius + 1, x - radius : x + radius + 1]

    def cells(self, reach: float) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """The cells within ``reach`` px: (N, 2) px from the centre, turned with the patch, and their labels."""
        rows = self.source.near((self.y, self.x), reach)
        offsets = self.source.points[rows] - np.array([self.y, self.x], np.float32)
        return turned_offsets(offsets, self.symmetry), self.source.labels[rows]


@dataclass(frozen=True)
class Places:
    """Centres (n, 2) of patches, their descriptions (n, D) and the squared norms of these (n,)."""

    centres: NDArray[np.int64]
    described: NDArray[np.float32]
    squares: NDArray[np.float32]

    def costs(self, wanted: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 8) squared distance to the eight rows (8, D) of `Patch.in_eight`."""
        return self.squares[:, None] - 2 * self.described @ wanted.T + np.square(wanted[0]).sum()


class Source:
    """A training image (H, W, 3) with its cells.

    cell, free   the shapes of patches around a cell and of patches without one in the middle
    step         px between the centres of the latter
    clear        px from any cell to the centre of the latter
    """

    def __init__(self, pixels: Image, layout: Layout, cell: Patch, free: Patch, step: int, clear: float):
        self.pixels, self.points, self.labels = pixels, layout.points, layout.labels
        self._size, self._cell, self._free, self._step, self._clear = layout.size, cell, free, step, clear
        self._tree = cKDTree(self.points) if len(self.points) else None

    def near(self, centre: tuple[float, float], reach: float) -> list[int]:
        """The rows of the cells within ``reach`` px, in order."""
        return sorted(self._tree.query_ball_point(centre, reach)) if self._tree is not None else []

    def recoloured(self, pixels: Image) -> "Source":
        """The same places in other pixels."""
        other = object.__new__(Source)
        other.__dict__.update(self.__dict__, pixels=pixels)
        return other

    @cached_property
    def of_class(self) -> dict[int, Places]:
        """Patches around the cells of each class that the image holds wholly."""
        pixels = pixels_of(self.points, self._size)
        whole = self._holds(pixels, self._cell.radius)
        return {
            label: self._describe(self._cell, pixels[whole & (self.labels == label)])
            for label in np.unique(self.labels[whole]).tolist()
        }

    @cached_property
    def free(self) -> Places:
        """Patches on a grid with no cell within ``clear`` px of the centre, or with the rarest ones if all have one."""
        radius = self._free.radius
        axes = [np.arange(radius, length - radius, self._step) for length in self._size]
        centres = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
        if self._tree is not None and len(centres):
            away = self._tree.query(centres)[0]
            centres = centres[away >= min(self._clear, np.quantile(away, 0.9))]
        return self._describe(self._free, centres)

    def _holds(self, centres: NDArray[np.int64], radius: int) -> NDArray[np.bool_]:
        inside = (centres >= radius) & (centres < np.array(self._size) - radius)
        return inside[:, 0] & inside[:, 1]

    @cached_property
    def _cones(self) -> NDArray[np.float32]:
        """(C, H, W): for each class cones around its cells, as in `Patch.describe`, whole pixels apart."""
        cones = np.zeros((self._cell.classes, *self._size), np.float32)
        y, x = pixels_of(self.points, self._size).T
        for label in np.unique(self.labels).tolist():
            empty = np.ones(self._size, bool)
            own = self.labels == label
            empty[y[own], x[own]] = False
            cones[label] = (1 - distance_transform_edt(empty) / self._cell.reach).clip(0)
        return cones

    def _describe(self, patch: Patch, centres: NDArray[np.int64]) -> Places:
        y = centres[:, 0, None, None] + patch.samples[:, None]
        x = centres[:, 1, None, None] + patch.samples[None]
        described = np.moveaxis(self._cones[:, y, x], 0, 1) * patch.weight
        described = described.reshape(len(centres), -1)
        return Places(centres, described, np.square(described).sum(axis=1))


def best(
    found: list[tuple[Source, Places]], wanted: NDArray[np.float32], keep: int
) -> tuple[list[Candidate], NDArray[np.float32]]:
    """The ``keep`` candidates whose descriptions are nearest, and their costs; fewer if there are fewer.

    wanted: (8, D) of `Patch.in_eight`.
    """
    costs = [places.costs(wanted).reshape(-1) for _, places in found]
    flat = np.concatenate(costs).round(4)  # differences below are rounding errors of the product
    starts = np.cumsum([0, *map(len, costs)])
    chosen = np.argpartition(flat, keep)[:keep] if len(flat) > keep else np.arange(len(flat))
    chosen = np.sort(chosen)
    candidates = []
    for row in chosen.tolist():
        number = int(np.searchsorted(starts, row, side="right")) - 1
        source, places = found[number]
        place, symmetry = divmod(row - int(starts[number]), len(EIGHT))
        y, x = places.centres[place].tolist()
        candidates.append(Candidate(source, y, x, symmetry))
    return candidates, flat[chosen].clip(0)
