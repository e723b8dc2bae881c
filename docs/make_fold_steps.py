"""Detectors against the steps of their training: `python docs/make_fold_steps.py [RESULTS]`.

RESULTS has a run of the preset brca-folds, whose long recipes keep weights on the way. Each is scored on the images
that its fold leaves out; the counts of the four folds are added up, so that a score is that of all 90 images of
training and validation. docs/results/folds-steps.csv has the scores, docs/results/folds-steps.png shows them.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # its own modules, also where this file is loaded by its path

import matplotlib.pyplot as plt
import numpy as np
import torch
from kept_runs import read_csv, write_csv
from make_detector import counts_of
from make_folds import FOLDS

from cellscaper.detectors import packaged
from cellscaper.disk.storage import read_split
from cellscaper.errors import CellscaperError
from cellscaper.metrics.detection import ratios
from cellscaper.run.progress import log

RESULTS = Path(__file__).with_name("results")
RECIPES = ("unet_long", "decoupled_long", "decoupled_context_longest")
COLUMNS = ("recipe", "step", "class", "f1", "images")


def counts(results: Path, fold: str, file: Path) -> np.ndarray:
    """(L, C + 1, 3) of the images that a fold leaves out, for kept weights."""
    place = results / fold / "read_cells"
    cells, images = read_split(place / "cells.h5", place / "images.h5", "test")
    return counts_of(file, cells, images)


def kept(results: Path, recipe: str) -> dict[int, list[Path]]:
    """Step → the weights of the folds; steps that a fold lacks are left out."""
    found: dict[int, list[Path]] = {}
    for fold in FOLDS:
        folder = results / fold / "train_detector" / recipe / "real_only/points/mix0/seed0/snapshots"
        for file in sorted(folder.glob("step*.safetensors")):
            found.setdefault(int(file.stem.removeprefix("step")), []).append(file)
    return {step: files for step, files in sorted(found.items()) if len(files) == len(FOLDS)}


def measure(results: Path, recipe: str) -> list[tuple[str, ...]]:
    """The lines of a recipe."""
    lines = []
    for step, files in kept(results, recipe).items():
        every = np.concatenate([counts(results, fold, file) for fold, file in zip(FOLDS, files, strict=True)])
        classes = packaged.load(files[0]).classes
        values = ratios(every.sum(axis=0), "paper")["f1"]
        own = [
            (recipe, str(step), name, f"{value:.4f}", str(len(every)))
            for name, value in zip([*classes, "mean", "detection"], values, strict=True)
        ]
        log(f"{recipe}, step {step}: " + ", ".join(f"{line[2]} {line[3]}" for line in own))
        lines += own
    return lines


def draw(rows: list[dict[str, str]], file: Path) -> None:
    """A panel for the mean of the classes and one for detection; a line a recipe."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for axis, name in zip(axes, ("mean", "detection"), strict=True):
        for recipe in dict.fromkeys(row["recipe"] for row in rows):
            own = [row for row in rows if (row["recipe"], row["class"]) == (recipe, name)]
            axis.plot([int(row["step"]) for row in own], [float(row["f1"]) for row in own], "o-", label=recipe)
        axis.set(xlabel="steps", ylabel=f"F1, {name}")
    axes[0].legend(frameon=False)
    figure.savefig(file, dpi=90)
    plt.close(figure)


def main(results: Path | None, folder: Path = RESULTS) -> None:
    file = folder / "folds-steps.csv"
    rows = [tuple(row[name] for name in COLUMNS) for row in read_csv(file)] if file.exists() else []
    for recipe in RECIPES if results else ():
        found = measure(results, recipe)
        rows = [*(row for row in rows if not found or row[0] != recipe), *found]
    if not rows:
        raise CellscaperError(
            f"{results} has no kept weights of {' or '.join(RECIPES)}; run the preset brca-folds first"
        )
    write_csv(file, COLUMNS, rows)
    draw(read_csv(file), folder / "folds-steps.png")


if __name__ == "__main__":
    torch.set_num_threads(1)
    try:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except CellscaperError as error:
        sys.exit(f"make_fold_steps: error: {error}")
