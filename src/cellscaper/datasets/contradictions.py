"""Files of cells that contradict their images: another size, another image's name, another direction of the axes."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cellscaper.datasets.candidates import Candidates
from cellscaper.datasets.discovery import Found
from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.datasets.frames import FRAMES, shift_words
from cellscaper.datasets.identity import Names
from cellscaper.datasets.nuclei_under_dots import darkness, under
from cellscaper.datasets.survey_state import WhatWasRead
from cellscaper.disk.formats.label_mask import ENDINGS as MASKS
from cellscaper.disk.formats.reading import suffix
from cellscaper.disk.formats.table_columns import names_an_image

CLEAR = 0.1  # optical density by which places of another frame must be darker
BRIGHT = 0.3  # optical density below that of the image at which dots lie on bright nuclei
FEWEST = 50  # dots in the images that are looked at
FEW_IMAGES, MOST_DOTS = 4, 500  # images, and dots of each, with which scales and shifts are tried
INSIDE = 0.8  # share of the dots that lie in the images after a shift
_SHIFTS = range(-32, 33, 4)  # px
_SCALES = np.geomspace(0.4, 2.6, 240).tolist()  # factors, 0.8 % apart
MOST_TABLES = 400  # tables whose names of images are looked at

_Points = NDArray[np.float64]


def other_sizes(found: Found, read: WhatWasRead) -> str | None:
    """The sentence about files that say another height and width of their images than these have; None without any."""
    names = Names(list(read.cells))
    wrong: list[tuple[str, str, tuple[int, int], tuple[int, int]]] = []
    told: set[int] = set()
    for image, cells in read.cells.items():
        if id(cells.sizes) in told:
            continue
        told.add(id(cells.sizes))
        for name, size in cells.sizes.items():
            own = names.find(name) if cells.images is not None else [image]
            if size is not None and len(own) == 1 and tuple(size) != tuple(read.sizes[own[0]]):
                wrong.append((own[0], found.cells.get(own[0], ""), size, read.sizes[own[0]]))
    if not wrong:
        return None
    image, file, said, size = wrong[0]
    return (
        f"{_images(len(wrong))} of another size than the file of cells says, first {image}: {size[0]} × {size[1]} px "
        f"(height × width), and {file} is of an image of {said[0]} × {said[1]} px; its places do not fit. Give the "
        "cells of these images, or say --unit px if the places are right"
    )


def other_images(files: FolderFiles, found: Found, read: WhatWasRead, candidates: Candidates) -> str | None:
    """The sentence about files named after one image that say to be of another image of the folder; None without."""
    names = Names(list(read.cells))
    wrong = []
    for image, file in list(found.cells.items())[:MOST_TABLES]:
        cells = read.cells[image]
        if cells.images is not None:
            continue
        called = [] if suffix(files.paths[file]) in MASKS else list(cells.sizes) or _column(candidates, file, names)
        other = [one[0] for entry in called if len(one := names.find(entry)) == 1 and one[0] != image]
        if other:
            wrong.append((file, image, other[0]))
    if not wrong:
        return None
    file, image, other_image = wrong[0]
    return (
        f"{len(wrong)} files of cells say that they are of other images than those that they are named after, first "
        f"{file}, which names {other_image}, not {image}; correct them, or give their pattern with --dots if their own "
        "names are right"
    )


def other_frame(
    points: Mapping[str, _Points], sample: Mapping[str, NDArray[np.uint8]], whose: str = "the dots"
) -> str | None:
    """The sentence about dots on light places whose places in another frame are dark; None if they are not."""
    looked = {image: points[image] for image in sample if len(points.get(image, ()))}
    if sum(map(len, looked.values())) < FEWEST:
        return None
    plain = _mean([under(sample[image], own) for image, own in looked.items()])
    usual = _mean([float(darkness(sample[image][::4, ::4]).mean()) for image in looked])
    if plain < usual - BRIGHT:
        return None  # nuclei are bright: no H&E
    gains = {}
    for words, frame in FRAMES.items():
        moved = {image: frame(own, np.array(sample[image].shape[:2], float)) for image, own in looked.items()}
        inside = [((own >= 0) & (own < sample[image].shape[:2])).all(axis=1).mean() for image, own in moved.items()]
        if np.mean(inside) > 0.95:
            gains[words] = _mean([under(sample[image], own) for image, own in moved.items()]) - plain
    best = max(gains, key=lambda words: gains[words], default="")
    if not best or gains[best] < CLEAR or sum(gain > gains[best] - CLEAR / 2 for gain in gains.values()) > 1:
        best, gain = _searched(looked, sample)
    else:
        gain = gains[best]
    if not best:
        return None
    return (
        f"{whose} do not lie on nuclei, and with {best} they do (darker by {gain:.2f}): correct the files "
        "(columns of tables: --columns y=…,x=…); say --unit px if they are right"
    )


def _searched(points: Mapping[str, _Points], sample: Mapping[str, NDArray[np.uint8]]) -> tuple[str, float]:
    """The scale or shift in words after which the dots lie on dark places, and by how much; no words for none."""
    some = {image: own[:: -(-len(own) // MOST_DOTS)] for image, own in list(points.items())[:FEW_IMAGES]}
    if sum(map(len, some.values())) < 4 * FEWEST:
        return "", 0.0

    scales = [1.0, *(scale for scale in _SCALES if abs(scale - 1) > 0.02)]
    grid = [(float(y), float(x)) for y in _SHIFTS for x in _SHIFTS]
    scaled = _dark(some, sample, np.array(scales), np.zeros((len(scales), 2)))
    shifted = _dark(some, sample, np.ones(len(grid)), np.array(grid))
    plain = scaled[0]
    found_scales: dict[tuple[float, ...], float] = {
        (one,): value for one, value in zip(scales[1:], scaled[1:], strict=True)
    }
    shifts: dict[tuple[float, ...], float] = dict(zip(grid, shifted, strict=True))
    clear: dict[str, float] = {}
    for found, near in ((shifts, 8), (found_scales, 0.05)):
        best = max(found, key=found.__getitem__)
        others = [value for key, value in found.items() if max(np.abs(np.subtract(key, best))) > near]
        if found[best] - plain >= 2 * CLEAR and found[best] - max(others) >= CLEAR:
            words = shift_words(*best) if len(best) == 2 else f"all places {best[0]:.3g} times as large"
            clear[words] = found[best] - plain
    most = max(clear.values(), default=0.0)
    return ", or with ".join(words for words, gain in clear.items() if gain > most - CLEAR / 2), most


def _dark(
    points: Mapping[str, _Points], sample: Mapping[str, NDArray[np.uint8]], scales: _Points, shifts: _Points
) -> list[float]:
    """Mean darkness under the dots after each scale (S,) and shift (S, 2) px; 0 where too many leave their image."""
    means, inside = [], []
    for image, own in points.items():
        picture = sample[image]
        places = np.round(own * scales[:, None, None] + shifts[:, None]).astype(np.int64)  # (S, N, 2)
        held = np.all((places >= 0) & (places < picture.shape[:2]), axis=-1)
        y, x = np.where(held[..., None], places, 0).transpose(2, 0, 1)
        number = held.sum(axis=1)
        total = np.where(held, darkness(picture)[y, x], 0).sum(axis=1, dtype=np.float64)
        means.append(np.where(number > 0, total / np.maximum(number, 1), np.nan))
        inside.append(number / len(own))
    enough = np.mean(inside, axis=0) > INSIDE
    return [_mean(own) if one else 0.0 for own, one in zip(np.transpose(means), enough.tolist(), strict=True)]


def _column(candidates: Candidates, file: str, names: Names) -> Sequence[str]:
    """What a table calls its images; numbers, which may count anything, are no names."""
    column = candidates.image_column(file, names)
    if column is None or not names_an_image(column):
        return ()
    return [value for value in candidates.column(file, column) if not value.isdecimal()]


def _images(number: int) -> str:
    return "1 image is" if number == 1 else f"{number} images are"


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else 0.0
