"""Writes brca-pairs.csv and its page in docs/results from finished runs: `python docs/make_pairs.py [RESULTS]`.

RESULTS has what the preset brca-pairs and those over it made. Its trainings are added to those of earlier parts in
kept/ beside the file (`kept_runs.py`); what no part has run is left out. Differences come with an interval by a
bootstrap over the test images and over the seeds (`metrics/two_way_bootstrap.py`). With few training images a draw of
images takes the place of a seed, and both sides draw the same ones.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # its own modules, also where this file is loaded by its path

import kept_runs
import pairs_page
from kept_runs import Run

from cellscaper.disk.count_file import DETECTION
from cellscaper.disk.files import write_text
from cellscaper.disk.storage import number_of_layouts
from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.metrics.detection import ratios
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

    counts (S, L, C + 1, 3) within RADIUS; ``setup``: share of synthetic crops, steps, commit, machine; ``pairs``: their
    number
    """

    counts: np.ndarray
    classes: tuple[str, ...]
    images: tuple[str, ...]
    setup: dict[str, list[str]]
    pairs: int | None


Key = tuple[int, str, str]  # training images, arm, detector


def collected(results: Path) -> Iterator[Run]:
    """The trainings of a folder of results, each with the number of its pairs."""
    for folder in sorted(results.glob("brca_*")):
        if number_of_images(folder.name) is None:
            continue
        for detector in (*DETECTORS, LONGER[0]):
            for arm in ARMS:
                for run in kept_runs.finished(results, folder.name, arm, detector):
                    number = str(_pairs(folder, arm, f"seed{run.seed}"))
                    yield replace(run, facts={**run.facts, "pairs": number})


def number_of_images(dataset: str) -> int | None:
    """The number of training images of a data set of the experiment; None for other data sets."""
    few = FEW.fullmatch(dataset)
    return int(few[1]) if few else ALL_IMAGES if dataset == "brca_m2c" else None


def arms(runs: Sequence[Run]) -> dict[Key, Arm]:
    """All arms that were run on each draw of their training images."""
    draws: dict[int, set[str]] = {}
    parts: dict[Key, list[Run]] = {}
    for run in runs:
        images = number_of_images(run.dataset)
        assert images is not None
        draws.setdefault(images, set()).add(run.dataset)
        key = (images, run.arm, run.detector)
        if run.detector == LONGER[0]:
            if run.arm != REAL:
                continue
            key = (images, LONGER[2], LONGER[1])
        parts.setdefault(key, []).append(run)
    order = sorted(parts, key=lambda key: (-key[0], DETECTORS.index(key[2]), [*ARMS, LONGER[2]].index(key[1])))
    return {key: _arm(parts[key]) for key in order if {run.dataset for run in parts[key]} == draws[key[0]]}


def _arm(runs: Sequence[Run]) -> Arm:
    """The trainings of an arm over all seeds and data sets."""
    if len({run.images for run in runs}) > 1:
        raise CellscaperError(f"{runs[0].detector} {runs[0].arm} was scored on different test images; score them again")
    shared = {key: sorted({run.facts[key] for run in runs}) for key in ("share", "steps", "commit", "machine")}
    counts = np.stack([run.counts for run in runs])
    made = None if runs[0].arm == REAL else round(sum(int(run.facts["pairs"]) for run in runs) / len(runs))
    return Arm(counts, runs[0].classes, runs[0].images, shared, made)


def _pairs(folder: Path, pairs: str, seed: str) -> int:
    """The number of generated pairs of a training."""
    if pairs == REAL:
        return 0
    experiment, decoder = pairs.split("/")
    kept = folder / "select_pairs" / experiment / decoder / seed / "layouts.h5"
    sampled = folder / "sample_layouts" / experiment / "train" / seed / "layouts.h5"
    return number_of_layouts(kept if kept.exists() else sampled, decoder)


# -- lines of the file -----------------------------------------------------------------------------------------


def rows(runs: Sequence[Run]) -> Iterator[dict[str, str]]:
    """The lines of the file, an arm, a class and a comparison each."""
    found = arms(runs)
    for (training_images, name, detector), arm in found.items():
        scores = f1(arm.counts.sum(axis=1))  # (S, K)
        for base in AGAINST.get(name, (REAL,)):
            other = None if name == base else found.get((training_images, base, detector))
            if other is None and base != REAL:
                continue
            gains = [NOTHING] * scores.shape[1] if other is None else _gains(arm, other, training_images)
            for k, one in enumerate([*arm.classes, "mean", DETECTION]):
                yield _line(training_images, name, detector, one, arm, scores[:, k], gains[k], other and base)


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
        "machine": "; ".join(arm.setup["machine"]),
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


def main(results: Path, folder: Path = RESULTS) -> None:
    found = list(collected(results))
    if not found:
        raise CellscaperError(f"{results} has no scores of detectors; run the preset brca-pairs first")
    lines = list(rows(kept_runs.add(folder / "kept/brca-pairs", found)))
    _write(folder / "brca-pairs.csv", lines)
    if pilot := list(shares(results)):
        _write(folder / "brca-pairs-share.csv", pilot)
    page(folder)
    lost = [name for name in ARMS if not any(line["arm"] == name for line in lines)]
    print(f"{folder / 'brca-pairs.csv'}: {len(lines)} lines" + (f"; not run: {', '.join(lost)}" if lost else ""))


def _write(path: Path, lines: list[dict[str, str]]) -> None:
    kept_runs.write_csv(path, list(lines[0]), (line.values() for line in lines))


def page(folder: Path = RESULTS) -> None:
    """Write the page from the two files alone."""
    files = (folder / name for name in ("brca-pairs.csv", "brca-pairs-share.csv"))
    lines, pilot = (kept_runs.read_csv(file) if file.exists() else [] for file in files)
    write_text(folder / "brca-pairs.md", pairs_page.page(lines, pilot))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "results"))
    except CellscaperError as error:
        sys.exit(f"error: {error}")
