"""Writes brca-pairs.csv and its page in docs/results from finished runs: `python docs/make_pairs.py [RESULTS]`.

RESULTS has what the preset brca-pairs and those over it made; parts that were not run are left out. Differences come
with an interval by a bootstrap over the test images and over the seeds (`metrics/two_way_bootstrap.py`). With few
training images a draw of images takes the place of a seed, and both sides draw the same ones.
"""

import csv
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # the page's module, also where this file is loaded by its path

import pairs_page

from cellscaper.disk.count_file import DETECTION, read_counts
from cellscaper.disk.files import write_text
from cellscaper.disk.storage import number_of_layouts, read_provenance
from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.metrics.detection import RADIUS, ratios
from cellscaper.metrics.two_way_bootstrap import NOTHING, Gain, two_way_gains

RESULTS = Path(__file__).with_name("results")
REAL = "real_only"
ARMS = (REAL, "random/points", "train_crops/points", "retrieval/points", "points/points", "points_kept/points")
DETECTORS = ("decoupled", "unet", "mcspatnet")
LONGER = ("decoupled_longer", "decoupled", "real_longer")  # a detector, the one it is compared with, its arm
AGAINST = {  # arms that are compared with more than real images alone
    "points/points": (REAL, "random/points", "train_crops/points", "real_longer"),
    "points_kept/points": (REAL, "points/points"),
}
ALL_IMAGES = 80
FEW = re.compile(r"brca_few_(\d+)_(\d+)")
RESAMPLES = 10_000


@dataclass(frozen=True)
class Arm:
    """The trainings of one detector with one kind of pairs.

    counts (S, L, C + 1, 3) at RADIUS; ``setup``: share of synthetic crops, steps, commit; ``pairs``: their number
    """

    counts: np.ndarray
    classes: tuple[str, ...]
    images: tuple[str, ...]
    setup: dict[str, Any]
    pairs: int | None


Key = tuple[int, str, str]  # training images, arm, detector


def datasets(results: Path) -> dict[int, list[str]]:
    """{number of training images: data sets}: the whole data set, or draws of few images in order."""
    found: dict[int, list[str]] = {}
    for folder in sorted(results.glob("brca_*")):
        number = FEW.fullmatch(folder.name)
        if folder.name == "brca_m2c" or number:
            found.setdefault(int(number[1]) if number else ALL_IMAGES, []).append(folder.name)
    return dict(sorted(found.items(), reverse=True))


def arms(results: Path) -> dict[Key, Arm]:
    """All arms that were run."""
    found: dict[Key, Arm] = {}
    for training_images, names in datasets(results).items():
        for detector in (*DETECTORS, LONGER[0]):
            for pairs in ARMS:
                arm = _arm(results, names, detector, pairs)
                if arm is None:
                    continue
                if detector != LONGER[0]:
                    found[training_images, pairs, detector] = arm
                elif pairs == REAL:
                    found[training_images, LONGER[2], LONGER[1]] = arm
    return found


def _arm(results: Path, names: Sequence[str], detector: str, pairs: str) -> Arm | None:
    """The trainings of an arm over all seeds and data sets; None if it was not run on each data set."""
    parts, setups, numbers = [], [], []
    place = pairs if "/" in pairs else f"{pairs}/points"
    for name in names:
        files = sorted((results / name / "score_detections" / detector / place).glob("seed*/counts.csv"))
        if not files:
            return None
        parts.append(read_counts(files)[pairs, detector, "paper"])
        for file in files:
            setups.append(_setup(results / name / "detect_cells" / detector / place / file.parent.name / "cells.h5"))
            numbers.append(_pairs(results / name, pairs, file.parent.name))
    if len({one.images for one in parts}) > 1:
        raise CellscaperError(f"{results}: {detector} {pairs} was scored on different test images; score them again")
    shared = {key: sorted({str(one[key]) for one in setups}) for key in setups[0]}
    counts = np.concatenate([one.at(RADIUS) for one in parts])
    made = None if pairs == REAL else round(sum(numbers) / len(numbers))
    return Arm(counts, parts[0].classes, parts[0].images, shared, made)


def _setup(detections: Path) -> dict[str, Any]:
    """What the provenance of detections says of the training."""
    said = read_provenance(detections)
    section = said["config"]
    steps = section["settings"]["training"]["steps"]
    return {"share": section["synthetic_fraction"], "steps": steps, "commit": said["git"]}


def _pairs(folder: Path, pairs: str, seed: str) -> int:
    """The number of generated pairs of a training."""
    if pairs == REAL:
        return 0
    experiment, decoder = pairs.split("/")
    kept = folder / "select_pairs" / experiment / decoder / seed / "layouts.h5"
    sampled = folder / "sample_layouts" / experiment / "train" / seed / "layouts.h5"
    return number_of_layouts(kept if kept.exists() else sampled, decoder)


# -- lines of the file -----------------------------------------------------------------------------------------


def rows(results: Path, machine: str) -> Iterator[dict[str, str]]:
    """The lines of the file, an arm, a class and a comparison each."""
    found = arms(results)
    for (training_images, name, detector), arm in found.items():
        scores = f1(arm.counts.sum(axis=1))  # (S, K)
        for base in AGAINST.get(name, (REAL,)):
            other = None if name == base else found.get((training_images, base, detector))
            if other is None and base != REAL:
                continue
            gains = [NOTHING] * scores.shape[1] if other is None else _gains(arm, other, training_images)
            for k, one in enumerate([*arm.classes, "mean", DETECTION]):
                yield _line(training_images, name, detector, one, arm, scores[:, k], gains[k], other and base, machine)


def _gains(arm: Arm, other: Arm, training_images: int) -> list[Gain]:
    if arm.images != other.images:
        raise CellscaperError("two arms were scored on different test images; score them again")
    return two_way_gains(arm.counts, other.counts, f1, RESAMPLES, paired=training_images != ALL_IMAGES)


def _line(
    training_images: int,
    name: str,
    detector: str,
    one: str,
    arm: Arm,
    scores: np.ndarray,
    gain: Gain,
    base: str | None,
    machine: str,
) -> dict[str, str]:
    sd = scores.std(ddof=1) if len(scores) > 1 else np.nan
    values = {"f1": scores.mean(), "sd": sd, "difference": gain.value, "low": gain.low, "high": gain.high}
    values |= {"p": gain.p, "smallest": gain.smallest}
    return {
        "training_images": str(training_images),
        "arm": name,
        "detector": detector,
        "class": one,
        "seeds": str(len(scores)),
        "images": str(len(arm.images)),
        "against": base or "",
        **{key: "" if np.isnan(value) else f"{value:.4f}" for key, value in values.items()},
        "share": " ".join(arm.setup["share"]),
        "pairs": "" if arm.pairs is None else str(arm.pairs),
        "steps": " ".join(arm.setup["steps"]),
        "machine": machine,
        "commit": " ".join(one[:7] + one[40:] for one in arm.setup["commit"]),
    }


def f1(counts: np.ndarray) -> np.ndarray:
    return ratios(counts, "paper")["f1"]


def shares(results: Path) -> Iterator[dict[str, str]]:
    """The pilot: validation F1 of the U-Net with each share of synthetic crops, first seed."""
    files = (results / "brca_m2c" / "train_detector" / "unet").glob("*/points/mix*/seed0/model.safetensors")
    for file in sorted(files, key=lambda one: (one.parts[-5], int(one.parts[-3].removeprefix("mix")))):
        experiment, mix = file.parts[-5], file.parts[-3].removeprefix("mix")
        if experiment in (REAL, "points"):
            _, facts = read_weights(file)
            steps = facts["section"]["settings"]["training"]["steps"]
            yield {"arm": experiment, "share": mix, "steps": str(steps), "val_f1": f"{facts['val_f1']:.4f}"}


def this_machine() -> str:
    """Processor and number of cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def write(path: Path, lines: list[dict[str, str]]) -> None:
    """A CSV file with the keys of the first line as header."""
    text = [",".join(lines[0])]
    for line in lines:
        text.append(",".join(f'"{value}"' if "," in value else value for value in line.values()))
    write_text(path, "\n".join(text) + "\n")


def main(results: Path, folder: Path = RESULTS) -> None:
    lines = list(rows(results, this_machine()))
    if not lines:
        raise CellscaperError(f"{results} has no scores of detectors; run the preset brca-pairs first")
    write(folder / "brca-pairs.csv", lines)
    if pilot := list(shares(results)):
        write(folder / "brca-pairs-share.csv", pilot)
    page(folder)
    lost = [name for name in ARMS if not any(line["arm"] == name for line in lines)]
    print(f"{folder / 'brca-pairs.csv'}: {len(lines)} lines" + (f"; not run: {', '.join(lost)}" if lost else ""))


def page(folder: Path = RESULTS) -> None:
    """Write the page from the two files alone."""

    def read(name: str) -> list[dict[str, str]]:
        path = folder / name
        return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []

    write_text(folder / "brca-pairs.md", pairs_page.page(read("brca-pairs.csv"), read("brca-pairs-share.csv")))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "results"))
    except CellscaperError as error:
        sys.exit(f"error: {error}")
