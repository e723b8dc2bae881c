"""Packs a trained detector for `cellscaper detect` and writes its model card.

    python docs/make_detector.py results/brca_m2c [--detector decoupled] [--seed 0]    # pack, score, card
    python docs/make_detector.py                                                       # the card alone

The first form takes the detector that was trained on real images alone, packs it in half precision into the package,
scores the packed file on the test images (docs/results/detector.csv, with the other seeds of the run beside it) and
writes the card, a page beside this file, from the file's facts and the CSV.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from cellscaper.detectors import packaged
from cellscaper.detectors.peaks import found_in
from cellscaper.detectors.whole_image import cells_of_image
from cellscaper.disk.count_file import DETECTION, read_counts
from cellscaper.disk.files import write_text
from cellscaper.disk.storage import read_layouts, read_split
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.detection import RADIUS, image_counts, ratios
from cellscaper.run.progress import log

HERE = Path(__file__).parent
CARD, SCORES = HERE / "detector.md", HERE / "results" / "detector.csv"
COLUMNS = ("class", "f1", "precision", "recall", "f1_symmetries", "mean", "sd", "seeds", "images", "cells")
REAL = "real_only/points"


def counts_of(weights: Path, cells: LayoutSet, images: Sequence[np.ndarray], symmetries: bool = False) -> np.ndarray:
    """(L, C + 1, 3) hits, false detections and misses within RADIUS of the detector in a file on each image."""
    one = packaged.load(weights)
    find = partial(cells_of_image, one.on(torch.device("cpu"), symmetries), one.read_cells)
    return image_counts(cells, found_in(cells, images, find), [RADIUS])[:, 0]


def pack(results: Path, detector: str, seed: int, card: Path = CARD, scores: Path = SCORES) -> None:
    """Pack, score and describe the detector of a finished run; CellscaperError for a run that lacks it."""
    model = results / "train_detector" / detector / REAL / "mix0" / f"seed{seed}" / "model.safetensors"
    if not model.exists():
        raise CellscaperError(f"{model} does not exist; run the workflow with detector {detector} on real images alone")
    cells, images = read_split(results / "read_cells/cells.h5", results / "read_cells/images.h5", "test")
    seeds = _seeds(results, detector)
    data = _data(results / "read_cells/cells.h5")
    with TemporaryDirectory() as folder:  # the packed file is scored before it has its scores
        draft = Path(folder) / "draft.safetensors"
        packaged.pack(model, draft, data, {})
        counts, means = (counts_of(draft, cells, images, way).sum(axis=0) for way in (False, True))
    values = {**ratios(counts, "paper"), "f1_symmetries": ratios(means, "paper")["f1"]}
    names = [*cells.classes, "mean", DETECTION]
    own = {name: {key: round(float(values[key][k]), 4) for key in values} for k, name in enumerate(names)}
    said = {"radius": RADIUS, "images": len(cells), "classes": own}
    size = packaged.pack(model, packaged.WEIGHTS, data, said)
    _write_scores(own, seeds, counts, len(cells), scores)
    write_text(card, page(scores))
    log(f"{packaged.WEIGHTS}: {size / 1e6:.1f} MB; {card}: link it in docs/detect.md, run the tests of detectors")


def _seeds(results: Path, detector: str) -> np.ndarray:
    """F1 (S, C + 2) of all seeds of the run."""
    files = sorted((results / "score_detections" / detector / REAL).glob("seed*/counts.csv"))
    if not files:
        raise CellscaperError(f"{results} has no scores of {detector} on real images alone; run score_detections")
    return ratios(read_counts(files)["real_only", detector, "paper"].at(RADIUS).sum(axis=1), "paper")["f1"]


def _data(cells: Path) -> str:
    train = read_layouts(cells).where(split="train")
    counts = ", ".join(f"{n} {name}" for name, n in zip(train.classes, train.counts().sum(axis=0), strict=True))
    return f"{len(train)} training images, {len(train.points)} cells: {counts}"


def _write_scores(
    own: dict[str, dict[str, float]], seeds: np.ndarray, counts: np.ndarray, images: int, path: Path
) -> None:
    """A line a class: the packed file's scores, and mean and sd of F1 over the run's seeds."""
    cells = dict(zip([*list(own)[:-2], DETECTION], (counts[:, 0] + counts[:, 2]).tolist(), strict=True))
    lines = [",".join(COLUMNS)]
    for k, (name, one) in enumerate(own.items()):
        sd = f"{seeds[:, k].std(ddof=1):.4f}" if len(seeds) > 1 else ""
        lines.append(
            f"{name},{one['f1']:.4f},{one['precision']:.4f},{one['recall']:.4f},{one['f1_symmetries']:.4f},"
            f"{seeds[:, k].mean():.4f},{sd},{len(seeds)},{images},{cells.get(name, '')}"
        )
    write_text(path, "\n".join(lines) + "\n")


# -- the card --------------------------------------------------------------------------------------------------


def page(scores: Path = SCORES) -> str:
    """The card, Markdown, of the packed file; CellscaperError if there is none."""
    one = packaged.load_packaged()
    facts, lines = one.facts, list(csv.DictReader(scores.read_text(encoding="utf-8").splitlines()))
    section, trained = facts["section"], facts["trained"]
    training = section["settings"]["training"]
    parameters = sum(p.numel() for p in one.model.parameters()) / 1e6
    size = packaged.WEIGHTS.stat().st_size / 1e6
    commit = str(trained["git"])
    about = [
        f"| task | finds the cells of H&E images at {one.mpp:g} µm a pixel: {', '.join(one.classes)} |",
        f"| network | `{section['method']}`, {_words(section['settings'])}: {parameters:.2f} M parameters, "
        f"half precision, {size:.1f} MB; computes in float32 |",
        f"| data | BRCA-M2C (Abousamra et al. 2021): {facts['data']}. No image or label is contained |",
        f"| training | {training['steps']} steps of {training['batch']} crops of {section['settings']['crop']} px, "
        f"learning rate {training['lr']:g}, real images alone, seed {trained['seed']}, commit "
        f"`{commit[:7] + commit[40:]}` |",
        f"| validation | mean F1 {facts['val_f1']:.3f} on the ten validation images |" if "val_f1" in facts else "",
        "| licence | weights as the package; BRCA-M2C's labels: BSD 3-Clause, © 2022 TopoXLab |",
    ]
    seeds = lines[0]["seeds"]
    table = [
        f"| | F1 | precision | recall | F1 with `--symmetries` | "
        f"F1 of {seeds} seed{'s' if seeds != '1' else ''}, mean ± sd | cells |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        spread = f" ± {line['sd']}" if line["sd"] else ""
        table.append(
            f"| {line['class']} | {line['f1']} | {line['precision']} | {line['recall']} | {line['f1_symmetries']} | "
            f"{line['mean']}{spread} | {line['cells']} |"
        )
    return "\n".join(
        [
            "# The shipped detector",
            "",
            "`docs/make_detector.py` makes this page from the facts in the file of weights and "
            "[detector.csv](results/detector.csv); do not edit it.",
            "",
            "| | |",
            "|---|---|",
            *(line for line in about if line),
            "",
            "## Scores",
            "",
            f"Of the packed file on the {lines[0]['images']} test images, a cell being found within {RADIUS:g} px, one "
            "to one; the test images chose nothing.",
            "",
            *table,
            "",
            "## Limits",
            "",
            "- Breast cancer of one source (TCGA), stained and scanned as there. For other tissue train on your own "
            "cells ([own-data.md](own-data.md)) and give `--weights`.",
            "- Three coarse classes: a cell of another kind gets the name of one of them. Names are wrong far more "
            "often than places.",
            "- Counts are statistics of tissue for research, not findings in a patient; nothing here is for diagnosis.",
            "",
        ]
    )


def _words(settings: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {settings[key]}" for key in ("width", "depth", "auto_context", "symmetries") if key in settings
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path, help="folder of the data set in a finished run")
    parser.add_argument("--detector", default="decoupled", help="name in the configuration")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.results is None:
        write_text(CARD, page())
    else:
        pack(args.results, args.detector, args.seed)


if __name__ == "__main__":
    try:
        main()
    except CellscaperError as error:
        sys.exit(f"error: {error}")
