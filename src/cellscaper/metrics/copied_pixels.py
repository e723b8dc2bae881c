"""Pieces of an image whose pixels are those of another, exactly, in any of the eight symmetries.

Blocks of the image on a grid are looked up among all places of the other images. What they have in common is a shift:
for each, the pixels that are equal are counted. Pieces below LEAST pixels are chance. Recoloured copies (another stain)
are no exact copies and are not found: `metrics.nearest_images` judges those.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from cellscaper.views.symmetries import EIGHT

Image = NDArray[np.uint8]
BLOCK = 6  # px: side of the blocks that are looked up
GRID = 4  # px between them
LEAST = 64  # pixels of a piece that counts
FLAT = 12  # grey levels: a block with a smaller range is glass or ink, alike everywhere
SHIFTS = 400  # of an image that are tried, those of the most blocks first
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd: the hash is a polynomial modulo 2^64


@dataclass(frozen=True)
class Piece:
    """The largest copied piece of an image: its number of pixels, the box (top, left, bottom, right) in the image and
    where the box comes from: the number of the source, and the corner in it after the symmetry was applied to it."""

    pixels: int
    box: tuple[int, int, int, int]
    source: int
    symmetry: int
    corner: tuple[int, int]


@dataclass(frozen=True)
class Copied:
    """Of one image: the shares of pixels of its largest copied piece and of all of them, and the largest (or None)."""

    piece: float
    all: float
    largest: Piece | None


def copied_pixels(images: Sequence[Image], sources: Iterable[Image]) -> list[Copied]:
    """What each image (H, W, 3) uint8 copies of the ``sources``, which are read once each, in order."""
    hashes, places = zip(*(_blocks(image) for image in images), strict=True) if images else ((), ())
    wanted = np.concatenate([np.zeros(0, np.uint64), *hashes])
    owner = np.repeat(np.arange(len(images)), [len(one) for one in hashes])
    at = np.concatenate([np.zeros((0, 2), np.int64), *places])
    order = np.argsort(wanted, kind="stable")
    wanted, owner, at = wanted[order], owner[order], at[order]
    best = [Copied(0.0, 0.0, None)] * len(images)
    covered = [np.zeros(image.shape[:2], bool) for image in images]
    for number, source in enumerate(sources):
        for symmetry in EIGHT:
            turned = turn_image(source, symmetry)
            for i, shifts in _shifts(turned, wanted, owner, at).items():
                for dy, dx in shifts:
                    piece = _largest(images[i], turned, dy, dx, covered[i])
                    if piece is not None and piece.pixels > best[i].piece:
                        found = Piece(piece.pixels, piece.box, number, symmetry, piece.corner)
                        best[i] = Copied(float(piece.pixels), 0.0, found)
    return [
        Copied(one.piece / mask.size, float(mask.mean()), one.largest) for one, mask in zip(best, covered, strict=True)
    ]


def turn_image(image: NDArray, symmetry: int) -> NDArray:
    """An image (H, W, …) mirrored or turned: bits as in `views.symmetries.transform`; swapping the axes comes last."""
    image = image[::-1] if symmetry & 1 else image
    image = image[:, ::-1] if symmetry & 2 else image
    return np.ascontiguousarray(image.swapaxes(0, 1) if symmetry & 4 else image)


def _hashes(image: Image) -> NDArray[np.uint64]:
    """(H − BLOCK + 1, W − BLOCK + 1) a hash of the block at each place."""
    with np.errstate(over="ignore"):
        value: NDArray[np.uint64] = np.zeros(image.shape[:2], np.uint64)
        for channel in range(3):
            value = value * _FACTOR + image[..., channel]
        for axis in (0, 1):
            size = value.shape[axis] - BLOCK + 1
            rows: NDArray[np.uint64] = np.zeros_like(value.take(range(size), axis=axis))
            for k in range(BLOCK):
                rows = rows * (_FACTOR + np.uint64(2 * axis)) + value.take(range(k, k + size), axis=axis)
            value = rows
    return value


def _blocks(image: Image) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The hashes (n,) and places (n, 2) of the blocks on the grid that are not flat."""
    if min(image.shape[:2]) < BLOCK:
        return np.zeros(0, np.uint64), np.zeros((0, 2), np.int64)
    hashes = _hashes(image)[::GRID, ::GRID]
    windows = np.lib.stride_tricks.sliding_window_view(image[..., 1], (BLOCK, BLOCK))[::GRID, ::GRID]
    textured = windows.max(axis=(2, 3)).astype(int) - windows.min(axis=(2, 3)) >= FLAT
    return hashes[textured], np.argwhere(textured) * GRID


def _shifts(source: Image, wanted: NDArray[np.uint64], owner: NDArray, at: NDArray) -> dict[int, list[tuple[int, int]]]:
    """For each image the shifts (image minus source) at which blocks agree, the most frequent first."""
    if not len(wanted) or min(source.shape[:2]) < BLOCK:
        return {}
    hashes = _hashes(source)
    flat = hashes.ravel()
    first = np.searchsorted(wanted, flat)
    hits = np.flatnonzero(wanted[np.minimum(first, len(wanted) - 1)] == flat)
    found: dict[int, Counter[tuple[int, int]]] = {}
    for place in hits.tolist():
        y, x = divmod(place, hashes.shape[1])
        row = int(first[place])
        while row < len(wanted) and wanted[row] == flat[place]:
            shift = (int(at[row, 0]) - y, int(at[row, 1]) - x)
            found.setdefault(int(owner[row]), Counter())[shift] += 1
            row += 1
    return {i: [shift for shift, _ in counted.most_common(SHIFTS)] for i, counted in found.items()}


def _largest(image: Image, source: Image, dy: int, dx: int, covered: NDArray[np.bool_]) -> Piece | None:
    """The largest piece of the image that is the source's at this shift; marks all pieces in ``covered``."""
    top, left = max(dy, 0), max(dx, 0)
    bottom, right = min(image.shape[0], source.shape[0] + dy), min(image.shape[1], source.shape[1] + dx)
    if bottom <= top or right <= left:
        return None
    own = image[top:bottom, left:right]
    equal = (own == source[top - dy : bottom - dy, left - dx : right - dx]).all(axis=-1)
    pieces, n = label(equal)
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)
    sizes[0] = 0
    if sizes.max() < LEAST:
        return None
    covered[top:bottom, left:right] |= (sizes >= LEAST)[pieces]
    y, x = np.nonzero(pieces == sizes.argmax())
    box = (int(y.min()) + top, int(x.min()) + left, int(y.max()) + 1 + top, int(x.max()) + 1 + left)
    return Piece(int(sizes.max()), box, 0, 0, (box[0] - dy, box[1] - dx))
