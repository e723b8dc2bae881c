"""µm a pixel of a folder by all evidence there is: headers, names and texts say it, tissue lets it be guessed.

Each piece of evidence is an interval. Where the intervals have a scale in common, this is the scale: 0.5 if it is among
them, since then nothing is rescaled, else the usual scale in the middle. Where they have none in common, the folder
does not tell its scale.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.disk.formats.annotated import SCALES, SaidScale
from cellscaper.disk.formats.reading import read_text
from cellscaper.errors import CellscaperError

NEIGHBOUR = 8.3  # µm: median distance of a nucleus to the nearest one (BRCA-M2C: 16 to 17 px of 0.5 µm)
NUCLEUS = 2.9  # µm: median radius at which the darkness of nuclei falls half-way (BRCA-M2C; small in lymphocytes)
DENSE, SPARSE = 2.0, 1.7  # factors: how far below and above a guess by neighbours the scale may lie
NUCLEI = 2.2  # factor: how far from a guess by nuclei the scale may lie
WRITTEN = 1.25  # factor: how exactly headers, names and texts say a scale
FAR = 1.5  # factor beyond these intervals at which a scale that is given is doubted
USUAL = (0.25, 0.5, 1.0)  # µm a pixel at 40×, 20×, 10×
PLAUSIBLE = (0.08, 4.0)  # µm a pixel of images in which nuclei can be seen
FEWEST = 50  # cells with a neighbour for a guess
_TEXTS = (".txt", ".md", ".rst", ".json", ".yaml", ".yml", ".xml", ".csv", ".ini", ".toml", "")
_LONGEST = 100_000  # bytes of a text that is looked into
_UM = r"(?:µm|μm|um|microns?|micromet(?:er|re)s?)"
_FIRM = "(?:genomics|xenium|visium|chromium|multiome)"  # 10x is a firm there
_SAYS = (  # (pattern, whether the number is a magnification)
    (re.compile(rf"(\d*\.\d+|\d+)\s*{_UM}\s*(?:/|per|a)\s*(?:px|pix(?:el)?)", re.I), False),
    (re.compile(r"\bmpp\W{0,4}(\d*\.\d+|\d+)", re.I), False),
    (re.compile(r"(\d*[._p]\d+)\s*mpp\b", re.I), False),
    (re.compile(r"pixel[\W_]*(?:size|width|spacing)\D{0,20}?(\d*\.\d+)(?!\d*\s*(?:nm|mm))", re.I), False),
    (re.compile(rf"resolution\W{{0,3}}(\d*\.\d+)\s*{_UM}", re.I), False),
    (re.compile(rf"(?<![\d.a-z])(60|40|20|10|5|2\.5)\s?[x×](?![a-z\d])(?!\W*{_FIRM})", re.I), True),
    (re.compile(r"(?<![a-z\d])[x×](60|40|20|10|5)(?!\d|\.\d)", re.I), True),
    (re.compile(r"magnification\D{0,20}(60|40|20|10|5|2\.5)\b", re.I), True),
    (re.compile(r"\bmag\W{1,4}(60|40|20|10|5|2\.5)\b", re.I), True),
)


@dataclass(frozen=True)
class Evidence:
    """An interval of µm a pixel with its middle, and the words for it; ``written``: someone wrote it down."""

    low: float
    middle: float
    high: float
    words: str
    written: bool = False


@dataclass(frozen=True)
class Scale:
    """µm a pixel and the words for it; ``certain`` is False where evidence disagrees: then 0.5 stands, unrescaled."""

    mpp: float
    words: str
    certain: bool


def of_microscope(mpp: float, where: str) -> float:
    """µm a pixel that a user gives; CellscaperError with ``where`` it comes from for a scale of no microscope."""
    if not SCALES[0] < mpp < SCALES[1]:
        raise CellscaperError(
            f"{where} {mpp:g}: expected µm a pixel of a microscope, above {SCALES[0]:g} and below {SCALES[1]:g}, for "
            "example 0.5 at 20×; correct it"
        )
    return mpp


def written(mpp: float, words: str) -> Evidence:
    """Evidence that a header, a name or a text says."""
    return Evidence(mpp / WRITTEN, mpp, mpp * WRITTEN, words, True)


def of_neighbours(distance: float) -> Evidence:
    """Evidence of the median distance in px from a cell to the nearest other."""
    middle = NEIGHBOUR / distance
    words = f"the median distance to the nearest cell is {distance:.1f} px, in tissue about {NEIGHBOUR:g} µm"
    return Evidence(middle / DENSE, middle, middle * SPARSE, words)


def of_nuclei(radius: float) -> Evidence:
    """Evidence of the radius in px of the dark spots under the dots."""
    middle = NUCLEUS / radius
    words = f"the nuclei under the dots have a radius of {radius:.1f} px, in tissue about {NUCLEUS:g} µm"
    return Evidence(middle / NUCLEI, middle, middle * NUCLEI, words)


def of_headers(values: Sequence[float | None]) -> list[Evidence]:
    """Evidence of the resolution in images' headers: one for all, or one for each that differs."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return []
    found = [known[0]]
    for value in known:
        if value > found[-1] * WRITTEN:
            found.append(value)
    return [written(value, f"the image files say {value:.3g} µm a pixel") for value in found]


def of_cells(said: Mapping[str, SaidScale | None]) -> list[Evidence]:
    """Evidence of what files of cells say, by their names: one for all, or one for each that differs."""
    found: dict[float, str] = {}
    for name, one in said.items():
        if one is not None and all(not 1 / WRITTEN <= one.mpp / value <= WRITTEN for value in found):
            found[one.mpp] = f"{name} says {one.mpp:.3g} µm a pixel ({one.words})"
    return [written(value, words) for value, words in sorted(found.items())]


def of_texts(folder: FolderFiles, used: Sequence[str]) -> list[Evidence]:
    """Evidence of the name of the folder, and of small texts beside its images."""
    found: dict[float, str] = {}
    for value in says(folder.root.name):
        found.setdefault(value, f"the folder's name {folder.root.name!r} says {value:g} µm a pixel")
    taken = set(used)
    for name, path in folder.paths.items():
        ending = "." + name.rpartition(".")[2].lower() if "." in name.rsplit("/", 1)[-1] else ""
        if name in taken or ending not in _TEXTS:
            continue
        try:
            text = read_text(path) if path.stat().st_size <= _LONGEST else ""
        except (CellscaperError, OSError):
            continue
        if ending in (".yaml", ".yml") and "reader: dots" in text:
            continue  # a configuration that check wrote: a guess is no evidence
        for value in says(text):
            found.setdefault(value, f"{name} says {value:g} µm a pixel")
    return [written(value, words) for value, words in sorted(found.items())]


def says(text: str) -> list[float]:
    """The scales of a microscope that a text says, in µm a pixel: 40× is 0.25."""
    found: list[float] = []
    for pattern, magnification in _SAYS:
        for told in pattern.findall(text.replace("_", " ") if magnification else text):
            number = float(told.replace("p", ".").replace("_", "."))
            value = 10 / number if magnification and number else number
            if PLAUSIBLE[0] <= value <= PLAUSIBLE[1]:
                found.append(value)
    return list(dict.fromkeys(found))


def decide(evidence: Sequence[Evidence]) -> Scale:
    """The scale that all evidence has in common; CellscaperError for no evidence, or for a scale of no microscope."""
    if not evidence:
        raise CellscaperError("nothing tells how large a pixel is; give --mpp (0.5 at 20×, 0.25 at 40×)")
    low, high = max(one.low for one in evidence), min(one.high for one in evidence)
    told = "; ".join(one.words for one in evidence)
    if low > high:
        return Scale(0.5, told, False)
    noted = [one.middle for one in evidence if one.written]
    tissue = [one.middle for one in evidence if not one.written]
    guess = _mean(noted or tissue)
    if noted:
        exact = _mean([value for value in noted if value not in USUAL] or noted)  # a header before a magnification
        seen = _mean(tissue) if tissue else exact
        if abs(math.log(seen / 0.5)) < abs(math.log(seen / exact)) and not 0.4 <= exact <= 0.6:
            return Scale(0.5, told, False)  # the tissue looks as if nothing had to be rescaled
        return Scale(float(f"{exact:.4g}"), told, True)
    if not PLAUSIBLE[0] <= guess <= PLAUSIBLE[1]:
        raise CellscaperError(
            f"the scale cannot be guessed: it would be {guess:.3g} µm a pixel ({told}), which is no scale of a "
            "microscope; are the dots in px? If so, give --mpp"
        )
    within = [usual for usual in USUAL if low <= usual <= high]
    if 0.5 in within:
        return Scale(0.5, f"guessed, {low:.2g} to {high:.2g} possible: {told}", True)
    guess = min(within, key=lambda usual: abs(math.log(guess / usual))) if within else float(f"{guess:.3g}")
    return Scale(guess, f"guessed, {low:.2g} to {high:.2g} possible: {told}", True)


def _mean(values: Sequence[float]) -> float:
    return math.exp(float(np.mean(np.log(values))))


def far_from_tissue(mpp: float, evidence: Sequence[Evidence]) -> str | None:
    """The sentence about a given scale that tissue makes impossible; None if it is possible, or no tissue is seen.

    Where nuclei are seen, all evidence of tissue must be missed by FAR; distances alone, which few marked cells make
    long, by FAR squared.
    """
    tissue = [one for one in evidence if not one.written]
    far = FAR if len(tissue) > 1 else FAR**2
    if not all(PLAUSIBLE[0] < one.high and one.low < PLAUSIBLE[1] for one in tissue):
        return None  # of places that are no px
    if not tissue or any(one.low / far <= mpp <= one.high * far for one in tissue):
        return None
    told = "; ".join(one.words for one in tissue)
    low, high = min(one.low for one in tissue), max(one.high for one in tissue)
    return f"--mpp {mpp:g} is given, but tissue says {low:.2g} to {high:.2g} µm a pixel ({told})"


def contradicting(mpp: float, evidence: Mapping[str, Evidence] | Sequence[Evidence]) -> list[Evidence]:
    """The evidence whose interval does not hold a given scale."""
    listed = list(evidence.values()) if isinstance(evidence, Mapping) else list(evidence)
    return [one for one in listed if not one.low <= mpp <= one.high]
