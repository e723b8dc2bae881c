"""The cells of an image of any size: maps in tiles, cells in parts of the joined maps.

A pixel has the maps of the one tile whose inner part holds it. Cells are read from these joined maps, part by part,
with ``MARGIN`` px of the neighbouring parts, and a part keeps the cells whose centres it owns. Two parts see the same
maps around their common border, so that a cell there is found once, as in one pass over the whole image.

In memory are the image and the maps of two strips of tiles across its shorter side.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from cellscaper.detectors.data import channels_first, to_input
from cellscaper.detectors.peaks import OVERLAP, TILE
from cellscaper.views.decoding import Cells

MARGIN = 64  # px beyond a part that reading its cells may look at; regions and peaks are smaller
Maps = Callable[[torch.Tensor], torch.Tensor]  # (1, 3, h, w) network inputs → (1, K, h, w)
ReadCells = Callable[[NDArray[np.floating]], Cells]  # (K, h, w) → points (N, 2) and labels (N,)


class Part(NamedTuple):
    """A part of one axis: the px that are looked at, and those among them that the part owns."""

    seen: slice
    own: slice


def parts(length: int, side: int, overlap: int) -> list[Part]:
    """Parts of ``side`` px, each sharing ``overlap`` px with the next; what they own covers 0 … length − 1 once.

    They begin at multiples of ``side − overlap``, which must be a multiple of the network's halvings.
    """
    found, start = [], 0
    while True:
        stop = min(start + side, length)
        first = start + overlap // 2 if start else 0
        last = stop - overlap // 2 if stop < length else length
        found.append(Part(slice(start, stop), slice(first, last)))
        if stop == length:
            return found
        start += side - overlap


def number_of_tiles(size: Sequence[int], tile: int = TILE, overlap: int = OVERLAP) -> int:
    """Calls of the network for an image of ``size`` (height, width) px."""
    height, width = (len(parts(length, tile, overlap)) for length in size[:2])
    return height * width


@torch.inference_mode()
def cells_of_image(
    maps: Maps,
    read_cells: ReadCells,
    image: NDArray[np.uint8],
    device: torch.device | str = "cpu",
    advance: Callable[[int], object] = lambda n: None,
    tile: int = TILE,
    overlap: int = OVERLAP,
) -> Cells:
    """Cells of an image (H, W, 3) uint8: points (N, 2) px and labels (N,); ``advance(1)`` is called after each tile.

    The result is that of one pass where the image is one tile. Beyond that it differs only where the network takes
    statistics over its whole input (group normalisation, auto-context): then they are a tile's.
    """
    axis = int(image.shape[1] > image.shape[0])  # strips lie one behind the other along the longer side
    found: list[Cells] = []
    above: NDArray[np.float32] | None = None  # the last MARGIN px of what was joined so far
    strips = _strips(maps, image, axis, device, advance, tile, overlap)
    own, current = next(strips)
    while True:
        after = next(strips, None)
        below = [] if after is None else [np.take(after[1], range(min(MARGIN, after[1].shape[1 + axis])), 1 + axis)]
        joined = np.concatenate([*([] if above is None else [above]), current, *below], axis=1 + axis)
        first = own.start - (0 if above is None else above.shape[1 + axis])
        found += _cells_of_strip(read_cells, joined, axis, first, own, tile)
        if after is None:
            points, labels = zip(*found, strict=True)
            return np.concatenate(points), np.concatenate(labels)
        end = own.stop - first  # of this strip in `joined`
        above = np.take(joined, range(max(end - MARGIN, 0), end), 1 + axis)
        own, current = after


def _strips(
    maps: Maps,
    image: NDArray[np.uint8],
    axis: int,
    device: torch.device | str,
    advance: Callable[[int], object],
    tile: int,
    overlap: int,
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """The joined maps (K, …) of strips across the shorter side, with what each owns of the longer one."""
    across = parts(image.shape[1 - axis], tile, overlap)
    for along in parts(image.shape[axis], tile, overlap):
        pieces = []
        for other in across:
            rows, columns = (other, along) if axis else (along, other)
            pixels = channels_first(image[rows.seen, columns.seen])
            part = maps(to_input(pixels[None].to(device)))[0].float().cpu().numpy()
            pieces.append(part[:, _inside(rows), _inside(columns)])
            advance(1)
        yield along.own, np.concatenate(pieces, axis=2 - axis)


def _inside(part: Part) -> slice:
    """What a part owns, counted from its beginning."""
    return slice(part.own.start - part.seen.start, part.own.stop - part.seen.start)


def _cells_of_strip(
    read_cells: ReadCells, joined: NDArray[np.float32], axis: int, first: int, own: slice, side: int
) -> list[Cells]:
    """The cells that a strip owns, in px of the image; ``joined`` are its maps and more, from ``first`` on."""
    found = []
    for part in parts(joined.shape[2 - axis], side + 2 * MARGIN, 2 * MARGIN):
        seen = joined[:, part.seen] if axis else joined[:, :, part.seen]
        points, labels = read_cells(seen)
        shift = np.zeros(2)
        shift[axis], shift[1 - axis] = first, part.seen.start
        places = points.astype(np.float64) + shift
        along, across = places[:, axis], places[:, 1 - axis]
        keep = (along >= own.start) & (along < own.stop) & (across >= part.own.start) & (across < part.own.stop)
        found.append((places[keep].astype(np.float32), labels[keep]))
    return found
