"""Random training crops, made in batches on the host, never as files (docs/methods.md, section 1.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.views.patches import large_enough
from cellscaper.views.symmetries import mirrored

Flips = Literal["both", "horizontal", "none"]
MIRRORED = {"both": (True, True), "horizontal": (False, True), "none": (False, False)}  # y, x


@dataclass(frozen=True)
class CropBatch:
    """n crops of ``region`` × ``region`` px with their M cells, flips applied.

    points (M, 2) float32 px in the crop, y then x; labels (M,) int64; index (M,) int64, the crop of each cell, rising
    layout_index (n,) int64, the row of the LayoutSet each crop was cut from
    corner (n, 2) int64 px, top-left corner in that layout, y then x; flip (n, 2) bool: y mirrored, x mirrored
    """

    points: Tensor
    labels: Tensor
    index: Tensor
    n: int
    region: int
    layout_index: Tensor
    corner: Tensor
    flip: Tensor

    def counts(self, classes: int) -> Tensor:
        """(n, classes) float32 cells of each class in each crop."""
        flat = torch.bincount(self.index * classes + self.labels, minlength=self.n * classes)
        return flat.view(self.n, classes).float()


class CropSampler:
    """Samples crops from the cells of a whole split, kept in memory as flat tensors.

    Crops are cut on the host: there a boolean index costs no wait, and their cells are a few kB.

    Each crop takes a layout (all are equally likely), a window inside it (uniform over corners, which are
    multiples of ``align`` px) and mirrors each axis that ``flips`` names with probability ½: both axes, x alone
    (horizontal) or none. Cells, images and maps flip alike (:func:`cellscaper.views.symmetries.mirrored`).

    Raises CellscaperError for layouts smaller than the region (left out with ``small="skip"``), and if no layout
    remains.
    """

    def __init__(
        self,
        cells: LayoutSet,
        region: int,
        flips: Flips = "both",
        align: int = 1,
        small: Literal["error", "skip"] = "error",
    ):
        if region < 1 or align < 1 or region % align:
            raise CellscaperError(f"crops: region {region} px must be a positive multiple of the alignment {align} px")
        self.region, self.align = region, align
        self._mirrored = torch.tensor(MIRRORED[flips])  # (2,) axes that may be mirrored
        self._rows = torch.from_numpy(np.flatnonzero(large_enough(cells, region, small)))
        self._points = torch.from_numpy(cells.points)
        self._labels = torch.from_numpy(cells.labels).long()
        self._offsets = torch.from_numpy(cells.offsets)
        self._size = torch.from_numpy(cells.size).long()

    def sample(self, n: int, generator: torch.Generator) -> CropBatch:
        """n crops. The numbers drawn do not depend on ``flips``: layouts and windows are the same with any."""
        random = torch.rand((n, 5), generator=generator, dtype=torch.float64)
        row = self._rows[(random[:, 0] * len(self._rows)).long()]  # (n,)
        corners = (self._size[row] - self.region) // self.align + 1  # (n, 2) possible corners along y and x
        corner = (random[:, 1:3] * corners).long() * self.align
        flip = (random[:, 3:] < 0.5) & self._mirrored
        points, labels, index = self._cells(row, corner)
        points = torch.where(flip[index], mirrored(points, self.region), points)
        return CropBatch(points, labels, index, n, self.region, row, corner, flip)

    def _cells(self, row: Tensor, corner: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cells inside the windows, in window coordinates: points (M, 2), labels (M,), index (M,)."""
        begin = self._offsets[row]
        count = self._offsets[row + 1] - begin  # (n,)
        index = torch.repeat_interleave(count)
        first = count.cumsum(0) - count
        cell = torch.arange(len(index)) + (begin - first)[index]
        points = self._points[cell] - corner[index]
        inside = ((points >= 0) & (points < self.region)).all(dim=1)
        return points[inside], self._labels[cell[inside]], index[inside]


def cut_maps(maps: Sequence[Tensor], batch: CropBatch, stride: int = 1) -> Tensor:
    """The windows of a batch from maps of the layouts, flipped alike: (n, C, region/stride, region/stride).

    maps: for each row of the LayoutSet a (C, h, w) tensor of ``stride``-px pixels, e.g. its image or density.

    Raises CellscaperError if a window does not fall on whole pixels inside its map.
    """
    side = batch.region // stride
    windows = []
    rows, corners, flips = batch.layout_index.tolist(), batch.corner.tolist(), batch.flip.tolist()
    for row, (y, x), flip in zip(rows, corners, flips, strict=True):
        window = maps[row][:, y // stride : y // stride + side, x // stride : x // stride + side]
        if y % stride or x % stride or batch.region % stride or window.shape[1:] != (side, side):
            raise CellscaperError(
                f"window y={y} x={x} of {batch.region} px does not fall on whole {stride} px pixels inside map {row} "
                f"of shape {tuple(maps[row].shape)}; draw crops with align={stride} and give maps of the same layouts"
            )
        windows.append(window.flip([axis + 1 for axis in (0, 1) if flip[axis]]) if any(flip) else window)
    return torch.stack(windows)


def to_layouts(batch: CropBatch, cells: LayoutSet) -> LayoutSet:
    """The crops as a LayoutSet, flips applied; ``cells`` is the set they were cut from.

    ``source`` is kept, ``origin`` is the window's corner in the source image. A crop has the columns of its layout and
    ``image`` (int64), the layout's row in ``cells``.
    """
    rows = batch.layout_index.cpu().numpy()
    cuts = torch.bincount(batch.index, minlength=batch.n).cumsum(0)
    return LayoutSet(
        points=batch.points.cpu().numpy(),
        labels=batch.labels.cpu().numpy(),
        offsets=np.concatenate([[0], cuts.cpu().numpy()]),
        size=np.full((batch.n, 2), batch.region),
        classes=cells.classes,
        mpp=cells.mpp,
        source=cells.source[rows],
        origin=cells.origin[rows] + batch.corner.cpu().numpy(),
        columns={**{name: column[rows] for name, column in cells.columns.items()}, "image": rows},
    )
