"""µm a pixel image by image: names and tables that say it, files that are not read, and the size of nuclei in each."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cellscaper.datasets import nuclei_under_dots, pairing
from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.datasets.identity import Names, first_few
from cellscaper.datasets.scale import PLAUSIBLE, Evidence, of_cells, says, written
from cellscaper.datasets.units import Placed
from cellscaper.disk.formats.annotated import SaidScale
from cellscaper.disk.formats.annotations import format_of, read_annotated
from cellscaper.disk.formats.reading import read_text, suffix
from cellscaper.disk.formats.text_table import NUMBER, split_lines
from cellscaper.errors import CellscaperError

MOST = 400  # names, tables and other files that are looked at
MANY = 0.8  # share of the images whose names must say a scale
LARGEST = 1_000_000  # bytes of a table of scales
DOTS = 30  # of an image whose nuclei are measured
NEAR = 1.5  # px between the cells of two files that hold the same
LEAST = 6  # images, and two of each scale, of which tissue is compared
APART, CLEAR = 1.7, 3.0  # factor between two groups of images, and in standard deviations within them
NARROW = 0.08  # natural logarithm: standard deviation within groups that counts at least
_TWINS = (".json", ".geojson", ".mat", ".h5ad", ".xml")
_PLACE = re.compile(r"x[\W_]?\d+[\W_]*y[\W_]?\d+|\d+x[\W_]*\d+y", re.I)  # of a tile
_SCALE = re.compile(r"mpp|(µm|μm|um|microns?)(/|per|a)?p(x|ixel)|pixelsize|pixelwidth|micronsperpixel", re.I)
_MAGNIFICATION = re.compile(r"mag|magnification|objective(power)?|objectivemagnification", re.I)


def of_names(images: Sequence[str]) -> list[Evidence]:
    """Evidence of the names of images and their folders, where nearly all say one scale: one for each that differs."""
    sample = images[:: max(1, -(-len(images) // MOST))]
    told: dict[float, list[str]] = {}
    number = 0
    for image in sample:
        found = says(_PLACE.sub("", image))
        number += len(found) == 1
        for value in found:
            told.setdefault(value, []).append(image)
    common = {value: own for value, own in told.items() if len(own) > MANY * len(sample)}
    if common:
        return [
            written(value, f"the names of the images ({own[0]}) say {value:g} µm a pixel")
            for value, own in sorted(common.items())
        ]
    if number <= MANY * len(sample):
        return []
    return [
        written(value, f"the names of {len(own)} of {len(sample)} images (first {own[0]}) say {value:g} µm a pixel")
        for value, own in sorted(told.items())
    ]


def of_tables(folder: FolderFiles, images: Sequence[str], used: Sequence[str]) -> list[Evidence]:
    """Evidence of tables that are not read, with a column of images and one of µm a pixel or a magnification."""
    names = Names(images)
    taken = set(used)
    found: list[Evidence] = []
    tables = [
        name
        for name, path in folder.paths.items()
        if name not in taken and suffix(path) in (".csv", ".tsv", ".txt") and path.stat().st_size <= LARGEST
    ]
    for name in tables[:MOST]:
        try:
            rows = [row for _, row in split_lines(read_text(folder.paths[name]), name).rows]
        except (CellscaperError, OSError):
            continue
        said = _said(rows, names)
        groups: dict[float, list[str]] = {}
        for image, value in said.items():
            groups.setdefault(value, []).append(image)
        found += [
            written(value, f"{name} says {value:.3g} µm a pixel of {len(own)} images, first {own[0]}")
            for value, own in sorted(groups.items())
        ]
    return found


def _said(rows: Sequence[Sequence[str]], names: Names) -> dict[str, float]:
    """Image → µm a pixel by a table with a header; empty if it says none."""
    if len(rows) < 2:
        return {}
    heads = [re.sub(r"[\s_.()\[\]-]", "", field) for field in rows[0]]
    scales = [k for k, head in enumerate(heads) if _SCALE.search(head) or _MAGNIFICATION.fullmatch(head)]
    for at in scales:
        times = _SCALE.search(heads[at]) is None
        found: dict[str, float] = {}
        for row in rows[1:]:
            text = row[at].strip().rstrip("xX×").replace(",", ".") if at < len(row) else ""
            own = next((hit[0] for field in row if len(hit := names.find(field)) == 1), None)
            if own is None or not NUMBER.fullmatch(text) or not (value := float(text)):
                continue
            value = 10 / value if times else value
            if PLAUSIBLE[0] <= value <= PLAUSIBLE[1]:
                found.setdefault(own, value)
        if 2 * len(found) >= len(rows) - 1:
            return found
    return {}


def of_twins(
    folder: FolderFiles, places: Sequence[Placed], cells: Mapping[str, str], used: Sequence[str]
) -> list[Evidence]:
    """Evidence of files that hold the cells of another file once more, and say a scale, as those of CellViT do.

    ``places``: the cells of each image in px, ``cells``: the file that they are read from.
    """
    taken = set(used)
    others = [name for name, path in folder.paths.items() if name not in taken and suffix(path) in _TWINS]
    said: dict[str, SaidScale | None] = {}
    points = {one.name: one.points for one in places}
    for pair in pairing.pairs(list(cells), others)[:MOST]:
        try:
            found = read_annotated(folder.paths[pair.cells], format_of(folder.paths[pair.cells]))
        except (CellscaperError, OSError):
            continue
        if found.scale is not None and _same(found.points, points.get(pair.image, np.zeros((0, 2)))):
            said[pair.cells] = found.scale
    return of_cells(said)


def _same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether most cells of each lie where the other has one."""
    if not len(one) or not len(other) or not np.isfinite(one).all():
        return False
    return all(np.mean(cKDTree(b).query(a)[0] <= NEAR) > 0.8 for a, b in ((one, other), (other, one)))


def two_scales(sample: Mapping[str, NDArray[np.uint8]], points: Mapping[str, NDArray[np.float64]]) -> str | None:
    """The sentence about images of which some show nuclei and distances much larger than the others; None without.

    ``sample``: pixels (H, W, 3) of images, ``points`` (N, 2) y, x px. The size of an image's tissue is the geometric
    mean of the radius of its nuclei and the median distance to the nearest cell. Of 400 random choices each of 6 to 60
    images of BRCA-M2C, 0.2 % and fewer are taken for two scales, and 76 to 100 % where half of the images are enlarged
    twofold.
    """
    sizes: dict[str, float] = {}
    for image, pixels in sample.items():
        own = np.unique(points[image], axis=0)
        if len(own) < DOTS or (radius := nuclei_under_dots.radius([nuclei_under_dots.profile(pixels, own)])) is None:
            continue
        distance = float(np.median(cKDTree(own).query(own, 2)[0][:, 1]))
        sizes[image] = (float(np.log(radius)) + float(np.log(distance))) / 2
    images = sorted(sizes, key=sizes.__getitem__)
    logs = np.array([sizes[image] for image in images])
    best, cut, factor = 0.0, 0, 1.0
    for k in range(2, len(images) - 1) if len(images) >= LEAST else ():
        small, large = float(np.median(logs[:k])), float(np.median(logs[k:]))
        within = np.concatenate([logs[:k] - small, logs[k:] - large])
        surely = (large - small) / max(float(np.sqrt((within**2).sum() / (len(logs) - 2))), NARROW)
        if large - small > np.log(APART) and surely > best:
            best, cut, factor = surely, k, float(np.exp(large - small))
    if best < CLEAR:
        return None
    groups = [[image for image in sample if image in set(own)] for own in (images[:cut], images[cut:])]
    return (
        f"the nuclei and distances in {_few(groups[1])} are {factor:.2g} times as large as in {_few(groups[0])}: are "
        "these images of two magnifications?"
    )


def _few(images: Sequence[str]) -> str:
    return f"{len(images)} images ({first_few(images)})"
