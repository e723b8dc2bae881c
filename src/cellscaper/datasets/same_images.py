"""The same image under two names: equal files, equal pixels, and pictures that look alike though saved anew."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellscaper.datasets.identity import first_few

SIDE = 16  # boxes along each side of a thumbnail
_COARSE = 4  # boxes along each side of what is compared first
_MEAN, _MOST = 2.0, 12.0  # grey levels by which two thumbnails of one picture differ: JPEG and resizing stay below
_PLAIN = 4.0  # grey levels of spread below which a thumbnail shows nothing


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mean colours (SIDE, SIDE, 3) of boxes of an image (H, W, 3)."""
    rows, columns = (np.linspace(0, side, SIDE + 1).astype(int)[:-1] for side in pixels.shape[:2])
    if min(pixels.shape[:2]) < SIDE:
        return np.zeros((SIDE, SIDE, 3), np.float32)
    step = max(1, min(pixels.shape[:2]) // 2000)  # of large images, a part of the pixels
    if step > 1:
        return thumbnail(pixels[::step, ::step])
    sums = np.add.reduceat(np.add.reduceat(pixels, rows, axis=0, dtype=np.float32), columns, axis=1)
    area = np.diff([*rows, pixels.shape[0]])[:, None] * np.diff([*columns, pixels.shape[1]])[None]
    return (sums / area[..., None]).astype(np.float32)


def same(paths: Mapping[str, Path], thumbnails: Mapping[str, NDArray[np.float32]],
         sizes: Mapping[str, tuple[int, int]]) -> list[tuple[str, str, bool]]:  # fmt: skip
    """Pairs of images that show the same picture, and whether their files are equal; one pair for each later image.

    ``sizes``: height and width px. Pictures of other sides, and those that show nothing, are not compared by pixels.
    """
    found = [(first, image, True) for image, first in _equal(paths, list(thumbnails))]
    done = {image for _, image, _ in found}
    names = [name for name, one in thumbnails.items() if name not in done and float(one.std()) >= _PLAIN]
    if len(names) > 1:
        whole = np.stack([thumbnails[name] for name in names])
        box = SIDE // _COARSE
        coarse = whole.reshape(len(names), _COARSE, box, _COARSE, box, 3).mean(axis=(2, 4)).reshape(len(names), -1)
        order = np.argsort(coarse.mean(axis=1), kind="stable")
        level = coarse.mean(axis=1)[order]
        seen: set[int] = set()
        for at, i in enumerate(order.tolist()):
            near = order[at + 1 : np.searchsorted(level, level[at] + _MEAN, "right")]
            near = near[np.abs(coarse[near] - coarse[i]).mean(axis=1) <= _MEAN]
            apart = np.abs(whole[near] - whole[i])
            near = near[(apart.mean(axis=(1, 2, 3)) <= _MEAN) & (apart.max(axis=(1, 2, 3), initial=0) <= _MOST)]
            for k in near.tolist():
                if k not in seen and _same_shape(sizes[names[i]], sizes[names[k]]):
                    seen.add(k)
                    found.append((*sorted((names[i], names[k])), False))
    return sorted(found)


def told(pairs: list[tuple[str, str, bool]], where: Mapping[str, str]) -> list[str]:
    """The sentences about images that are there twice, those in test and another split first. ``where``: splits."""
    across: list[str] = []
    inside: list[str] = []
    for one, other, equal in pairs:
        text = f"{one} and {other}" + ("" if equal else " (saved anew)")
        sides = {where.get(one), where.get(other)}
        (across if "test" in sides and len(sides) > 1 and None not in sides else inside).append(text)
    said = []
    if across:
        said.append(
            f"{_twice(len(across))} in test and in another split: {first_few(across)}; scores will be too good: keep "
            "one of the two"
        )
    if inside:
        said.append(f"{_twice(len(inside))}: {first_few(inside)}; the cells count twice: keep one of the two")
    return said


def _twice(number: int) -> str:
    return "1 picture is there under two names" if number == 1 else f"{number} pictures are there under two names"


def _equal(paths: Mapping[str, Path], images: list[str]) -> list[tuple[str, str]]:
    """(image, an earlier one with the same bytes) of the images whose files are equally large."""
    by_size: dict[int, list[str]] = {}
    for image in images:
        by_size.setdefault(paths[image].stat().st_size, []).append(image)
    known: dict[bytes, str] = {}
    found = []
    for own in by_size.values():
        for image in own if len(own) > 1 else ():
            first = known.setdefault(sha256(paths[image].read_bytes()).digest(), image)
            if first != image:
                found.append((image, first))
    return found


def _same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether the sides of two images are in the same proportion."""
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) < 0.01
