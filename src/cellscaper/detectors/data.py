"""Training crops of images with cells, shared by all detectors."""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cellscaper.detectors.augmentation import stain_jitter, stain_numbers, transpose_some
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.transfer import to_device
from cellscaper.views.crops import CropSampler, cut_maps
from cellscaper.views.pixels import pixels_of

Pairs = tuple[Iterable[NDArray[np.uint8] | Tensor], LayoutSet]
GLASS = 255  # value around images that are smaller than a crop


def channels_first(image: NDArray[np.uint8] | Tensor) -> Tensor:
    """Image (H, W, 3), array or tensor on the CPU → a new tensor (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(image), -1, 0)))


def to_input(images: Tensor) -> Tensor:
    """RGB (…, 3, H, W), uint8 or float on 0…255 → the networks' input on −1…1."""
    return images.float() / 127.5 - 1


def cell_pixels(layout: Layout) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """y and x (N,) of the pixels that hold the centres of the cells."""
    y, x = pixels_of(layout.points, layout.size).T
    return y, x


def dot_owners(layout: Layout, radius: float) -> NDArray[np.int32]:
    """For each pixel (H, W) the number of the cell whose disc it belongs to, from 1; 0 for none.

    A disc holds the pixels whose centres, at whole coordinates, are at most ``radius`` px from the cell.
    Where discs overlap, the pixel belongs to the nearest cell, at equal distance to the first. Squared distances are
    compared in 1/1024 px², so that float32's rounding of a mirrored layout does not change its map.
    """
    reach = np.arange(-int(radius) - 1, int(radius) + 2)
    shift = np.stack(np.meshgrid(reach, reach, indexing="ij"), -1).reshape(-1, 2)
    pixel = pixels_of(layout.points, layout.size)[:, None] + shift  # (N, K, 2)
    distance = np.rint(1024 * ((pixel - layout.points[:, None].astype(np.float64)) ** 2).sum(-1))
    inside = (distance <= 1024 * radius**2) & (pixel >= 0).all(-1) & (pixel < layout.size).all(-1)
    cell = np.nonzero(inside)[0]
    pixel = pixel[inside]
    order = np.lexsort((-cell, -distance[inside]))  # the nearest last: the last assignment stays
    owners = np.zeros(layout.size, np.int32)
    owners[tuple(pixel[order].T)] = cell[order] + 1
    return owners


class Crops(NamedTuple):
    """n crops on the host: images (n, 3, crop, crop) uint8, the cell that owns each pixel, (n, crop, crop) int32, and
    the random numbers of their stains."""

    images: Tensor
    owners: Tensor
    stains: Tensor

    def on(self, device: torch.device, strength: float = 1.0) -> tuple[Tensor, Tensor]:
        """Network inputs (n, 3, crop, crop), with stains changed by ``strength``, and the owners as int64."""
        images, owners = to_device(self.images, device), to_device(self.owners, device)
        return to_input(stain_jitter(images, strength * self.stains)), owners.long()


class TrainingData:
    """Real and, if given, generated images with their cells, in memory; samples augmented crops.

    ``labels`` (N,) int64 are the classes of all cells, real ones first: cell n is owner n + 1 in the maps of a batch,
    0 is no cell. ``images`` (3, H, W) uint8 and ``layouts`` belong to all pairs, in the same order; the first
    ``real_images`` of them are real.

    crop         side of a crop, px; smaller images stand on white glass
    dot_radius   px by which a dot is dilated
    synthetic_fraction   probability of each crop to be synthetic; 0 without synthetic pairs
    Raises CellscaperError if images and layouts do not fit each other.
    """

    def __init__(
        self, real: Pairs, synthetic: Pairs | None, crop: int, dot_radius: float, synthetic_fraction: float = 0.0
    ):
        pools = [_Pool(*real, crop, dot_radius)]
        self._fraction = 0.0
        if synthetic is not None:
            pools.append(_Pool(*synthetic, crop, dot_radius, first=len(pools[0].cells.labels)))
            self._fraction = synthetic_fraction
            if not 0 <= self._fraction <= 1:
                raise CellscaperError(
                    f"detector: synthetic_fraction {self._fraction}, expected a fraction from 0 to 1; correct it"
                )
        self._pools = pools
        self.classes = pools[0].cells.n_classes
        self.labels = torch.from_numpy(np.concatenate([pool.cells.labels for pool in pools])).long()
        self.images = [image for pool in pools for image in pool.images]
        self.real_images = len(pools[0].images)
        self.layouts = [layout for pool in pools for layout in pool.cells]

    def draw(self, n: int, generator: torch.Generator) -> Crops:
        """n crops on the host."""
        chosen = int((torch.rand(n, generator=generator) < self._fraction).sum())
        parts = [pool.draw(m, generator) for pool, m in zip(self._pools, (n - chosen, chosen), strict=False) if m]
        images, owners = (torch.cat(part) for part in zip(*parts, strict=True))
        images, owners = transpose_some(images, owners, generator)
        return Crops(images, owners[:, 0], stain_numbers(n, generator))


class _Pool:
    """Images and owner maps of one kind, and the sampler of their crops; cell numbers begin after ``first`` cells."""

    def __init__(
        self,
        images: Iterable[NDArray[np.uint8] | Tensor],
        cells: LayoutSet,
        crop: int,
        dot_radius: float,
        first: int = 0,
    ):
        self.cells = cells
        self.images = [channels_first(image) for image in images]
        sizes = [tuple(image.shape[1:]) for image in self.images]
        if sizes != [tuple(size) for size in cells.size.tolist()]:
            raise CellscaperError(
                f"detector: {len(sizes)} images and {len(cells)} layouts differ in number or size; "
                "give the layouts of the same images in the same order"
            )
        self._padded = [_at_least(image, crop, GLASS) for image in self.images]
        self._owners = []
        for offset, layout in zip(cells.offsets[:-1].tolist(), cells, strict=True):
            owners = torch.from_numpy(dot_owners(layout, dot_radius))
            self._owners.append(_at_least(torch.where(owners > 0, owners + first + offset, 0)[None], crop, 0))
        self._sampler = CropSampler(replace(cells, size=np.maximum(cells.size, crop)), crop)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n crops: images (n, 3, crop, crop) uint8 and owners (n, 1, crop, crop) int32."""
        batch = self._sampler.sample(n, generator)
        return cut_maps(self._padded, batch), cut_maps(self._owners, batch)


def _at_least(image: Tensor, side: int, value: int) -> Tensor:
    """An image (C, H, W), filled up to ``side`` with rows and columns of ``value`` at the bottom and at the right."""
    height, width = image.shape[1:]
    if height >= side and width >= side:
        return image
    return F.pad(image, (0, max(side - width, 0), 0, max(side - height, 0)), value=value)
