"""Trainings of detectors that have ended, as small files: a long experiment is run in parts, on any machine.

    FOLDER/runs.csv    a line for each training: share of synthetic crops, steps, number of pairs, commit, machine
    FOLDER/counts.csv  a line for each of its images: hits, false detections and misses of each class within RADIUS px

A part adds its trainings; one that is there already is replaced.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellscaper.disk.count_file import DETECTION, read_counts
from cellscaper.disk.files import write_text
from cellscaper.disk.storage import read_provenance
from cellscaper.errors import CellscaperError
from cellscaper.metrics.detection import RADIUS
from cellscaper.report.pages.origin import machine

KEYS = ("dataset", "arm", "detector", "seed")
FACTS = ("share", "steps", "pairs", "commit", "machine")
KINDS = ("hits", "false", "missed")


@dataclass(frozen=True)
class Run:
    """A training: counts (L, C + 1, 3) of its L test images; ``facts`` has FACTS as text."""

    dataset: str
    arm: str
    detector: str
    seed: int
    facts: dict[str, str]
    images: tuple[str, ...]
    classes: tuple[str, ...]
    counts: np.ndarray

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.dataset, self.arm, self.detector, self.seed


def finished(results: Path, dataset: str, arm: str, detector: str) -> list[Run]:
    """The trainings of an arm (``real_only`` or EXPERIMENT/DECODER) in a folder of results, one a seed."""
    place = f"{detector}/{arm if '/' in arm else f'{arm}/points'}"
    found, here = [], this_machine()
    for file in sorted((results / dataset / "score_detections" / place).glob("seed*/counts.csv")):
        counts = read_counts([file])[arm, detector, "paper"]
        said = read_provenance(results / dataset / "detect_cells" / place / file.parent.name / "cells.h5")
        facts = {
            "share": str(said["config"]["synthetic_fraction"]),
            "steps": str(said["config"]["settings"]["training"]["steps"]),
            "pairs": "",
            "commit": said["git"],
            "machine": here,
        }
        seed = int(file.parent.name.removeprefix("seed"))
        found.append(Run(dataset, arm, detector, seed, facts, counts.images, counts.classes, counts.at(RADIUS)[0]))
    return found


def add(folder: Path, runs: Iterable[Run]) -> list[Run]:
    """All trainings that ``folder`` knows, with ``runs`` among them; its files are written if there are any."""
    every = {run.key: run for run in (*_kept(folder), *runs)}
    known = [every[key] for key in sorted(every)]
    if known:
        classes = known[0].classes
        if any(run.classes != classes for run in known):
            raise CellscaperError(f"{folder}: trainings with different classes; keep them in folders of their own")
        names = [f"{name} {kind}" for name in (*classes, DETECTION) for kind in KINDS]
        lines = [[*map(str, run.key), *(run.facts[name] for name in FACTS)] for run in known]
        images = [
            [*map(str, run.key), image, *map(str, row.ravel())]
            for run in known
            for image, row in zip(run.images, run.counts, strict=True)
        ]
        write_csv(folder / "runs.csv", [*KEYS, *FACTS], lines)
        write_csv(folder / "counts.csv", [*KEYS, "image", *names], images)
    return known


def _kept(folder: Path) -> list[Run]:
    """The trainings of the two files; none if there are no files."""
    if not (folder / "runs.csv").exists():
        return []
    lines, images = (read_csv(folder / name) for name in ("runs.csv", "counts.csv"))
    names = [name.removesuffix(" hits") for name in images[0] if name.endswith(" hits")]
    rows: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for one in images:
        rows.setdefault(tuple(one[key] for key in KEYS), []).append(one)
    found = []
    for one in lines:
        own = rows[tuple(one[key] for key in KEYS)]
        counts = np.array([[[int(row[f"{name} {kind}"]) for kind in KINDS] for name in names] for row in own])
        facts = {name: one[name] for name in FACTS}
        *place, seed = (one[key] for key in KEYS)
        pictures = tuple(row["image"] for row in own)
        found.append(Run(*place, int(seed), facts, pictures, tuple(names[:-1]), counts))
    return found


def this_machine() -> str:
    """The machine that a part is kept on."""
    facts = dict(machine())
    return f"{facts['processor']}, {facts['cores']} cores"


def read_csv(path: Path) -> list[dict[str, str]]:
    """The lines of a file by its header."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, header: Sequence[str], lines: Iterable[Iterable[str]]) -> None:
    """A header and lines."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *lines])
    write_text(path, text.getvalue())
