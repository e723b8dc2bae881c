"""Writes docs/results/folds.csv from a run of the preset brca-folds: `python docs/make_folds.py [RESULTS]`.

The counts of the four folds are added up, so that a score is that of all 90 images, each seen by a detector that was
not trained on it. Each recipe is compared with the one that it changes, by a paired bootstrap over the images.
"""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np

from cellscaper.disk.count_file import read_counts
from cellscaper.disk.files import write_text
from cellscaper.errors import CellscaperError
from cellscaper.metrics.bootstrap import paired_differences
from cellscaper.metrics.detection import RADIUS, ratios

PAGE = Path(__file__).with_name("results") / "folds.csv"
BASES = {  # recipe: the one that it changes
    "unet": None,
    "unet_cooled": "unet",
    "decoupled": "unet_cooled",
    "decoupled_unweighted": "decoupled",
    "decoupled_stained": "decoupled",
    "decoupled_large": "decoupled",
    "decoupled_long": "decoupled",
}
COLUMNS = ("recipe", "class", "f1", "images", "seeds", "base", "difference", "low", "high", "p", "commit")
RESAMPLES = 10_000


def pooled(results: Path, recipe: str) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """Counts (1, images, C + 1, 3) of the images of all folds, and the classes; None if a fold is missing."""
    folds = sorted(results.glob("brca_fold_*"))
    files = [fold / "score_detections" / recipe / "real_only/points/seed0/counts.csv" for fold in folds]
    if not folds or not all(file.exists() for file in files):
        return None
    parts = [read_counts([file])["real_only", recipe, "paper"] for file in files]
    return np.concatenate([one.at(RADIUS) for one in parts], axis=1), parts[0].classes


def rows(results: Path) -> list[list[str]]:
    """The lines of the file."""
    found = {recipe: pooled(results, recipe) for recipe in BASES}
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    lines = []
    for recipe, base in BASES.items():
        own, other = found[recipe], found.get(base or "")
        if own is None:
            print(f"{recipe}: not run on every fold, left out", file=sys.stderr)
            continue
        counts, classes = own
        values = _f1(counts.sum(axis=1))[0]
        differences = None if other is None else paired_differences(counts, other[0], _f1, RESAMPLES)
        for k, name in enumerate([*classes, "mean", "detection"]):
            line = [recipe, name, f"{values[k]:.4f}", str(counts.shape[1]), "1", base or ""]
            if differences is None:
                lines.append([*line, "", "", "", "", commit])
            else:
                one = differences[k]
                lines.append([*line, *(f"{x:.4f}" for x in (one.value, one.low, one.high)), f"{one.p:.4f}", commit])
    return lines


def _f1(counts: np.ndarray) -> np.ndarray:
    return ratios(counts, "paper")["f1"]


def main() -> None:
    results = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
    found = rows(results)
    if not found:
        raise CellscaperError(f"{results} has no finished recipe; run the preset brca-folds first")
    text = [",".join(COLUMNS), *(",".join(line) for line in found)]
    write_text(PAGE, "\n".join(text) + "\n")
    for recipe, name, value, *_ in csv.reader(text[1:]):
        if name in ("mean", "detection"):
            print(f"{recipe:24} {name:10} {value}")


if __name__ == "__main__":
    try:
        main()
    except CellscaperError as error:
        sys.exit(f"error: {error}")
