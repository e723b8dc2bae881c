"""The first or last cells of an image's table that do not lie on nuclei, while the rest of them do.

Rows in another unit, with y and x exchanged, or of another image begin where someone joined two tables. On the 120
images of BRCA-M2C, in the order of their tables, of their classes, and at random, nothing is found; a wrong half is
found in 78 to 85 % of the 109 of them with 80 cells and more.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from cellscaper.datasets import misplaced
from cellscaper.datasets.dots_on_nuclei import contrast, few, score, shows_nuclei
from cellscaper.datasets.misplaced import Pixels, Points

FEWEST, ENOUGH = 40, 60  # cells of a part that is judged, and those that are judged at a higher fit
CHANCE, DOUBTFUL = 0.8, 1.8  # a fit of a part of FEWEST and of ENOUGH cells, below which it is off the nuclei
ON = 5.5  # a fit of the rest, from which it is on them
MOST = 3000  # cells of an image that are looked at


def off_part(picture: NDArray[np.uint8], own: Points, sign: float) -> slice | None:
    """The cells (N, 2) y, x px that do not lie on nuclei, if these are the first or the last of them; else None."""
    step = max(1, -(-len(own) // MOST))
    found = sign * contrast(picture, few(own, MOST))
    n = len(found)
    if n < 2 * FEWEST or n != len(few(own, MOST)):
        return None
    cuts = np.arange(FEWEST, n - FEWEST + 1)
    sums, squares = np.cumsum(found), np.cumsum(found**2)
    first, last = sums[cuts - 1] / cuts, (sums[-1] - sums[cuts - 1]) / (n - cuts)
    within = squares[-1] - cuts * first**2 - (n - cuts) * last**2
    apart = np.abs(first - last) / np.sqrt(np.maximum(within, 1e-12) / n * (1 / cuts + 1 / (n - cuts)))
    cut = int(cuts[apart.argmax()])
    for part, rest in ((slice(0, cut), slice(cut, n)), (slice(cut, n), slice(0, cut))):
        limit = DOUBTFUL if part.stop - part.start >= ENOUGH else CHANCE
        if score(found[part]) < limit and score(found[rest]) >= ON:
            return slice(part.start * step, min(part.stop * step, len(own)))
    return None


def sentences(
    judged: Mapping[str, Points], others: Mapping[str, Points], pixels: Pixels, sign: float, name: Callable[[str], str]
) -> tuple[list[str], list[str]]:
    """Sentences about parts that are explained, and about those that nothing explains.

    ``others``: the dots of all images, which a part may be of; ``name``: the file of cells of an image, in words.
    """
    faults, said = [], []
    for image, own in judged.items():
        picture = pixels(image)
        if len(own) < 2 * FEWEST or not (sign < 0 or shows_nuclei(picture)):
            continue
        part = off_part(picture, own, sign)
        if part is None:
            continue
        whose = f"cells {part.start + 1} to {part.stop} of {len(own)} of {name(image)}, in their order there,"
        why = _explained(image, own[part], others, pixels, sign)
        if why is not None:
            faults.append(f"{whose} do not lie on nuclei, and {why}; correct them, or say --unit px if they are right")
        else:
            said.append(f"{whose} lie on nuclei no better than by chance, and the others do: are they of this image?")
    return faults, said


def _explained(image: str, part: Points, others: Mapping[str, Points], pixels: Pixels, sign: float) -> str | None:
    """What puts a part of an image's dots on its nuclei, in words."""
    only = {image: part}
    found = misplaced.framed([image], only, pixels, sign) or misplaced.moved([image], only, pixels, sign)
    if found:
        return f"with {next(iter(found))} they do"
    among = {one: part if one == image else own for one, own in others.items()}
    elsewhere = _same_elsewhere(image, part, others)
    if elsewhere is not None:
        return f"they are those of {elsewhere}"
    found_others = misplaced.of_others([image], among, pixels, sign) if image in among else {}
    return f"those of {found_others[image]} do" if found_others else None


def _same_elsewhere(image: str, part: Points, others: Mapping[str, Points]) -> str | None:
    """Another image that has most of these places, too."""
    rows = {tuple(one) for one in np.round(part, 1).tolist()}
    for other, own in others.items():
        if other != image and len(rows & {tuple(one) for one in np.round(own, 1).tolist()}) > 0.8 * len(rows):
            return other
    return None
