"""Writes docs/results/folds.csv and the table of docs/results/detectors.md: `python docs/make_folds.py [RESULTS]`.

RESULTS has a run of the preset brca-folds. Its trainings are added to those of earlier parts (`kept_runs.py`). The
counts of the four folds are added up, so that a score is that of all 90 images, each seen by a detector that was not
trained on it. Each recipe is compared with the one that it changes, by a paired bootstrap over the images.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # its own modules, also where this file is loaded by its path

import kept_runs
import numpy as np
from kept_runs import Run

from cellscaper.disk.files import write_text
from cellscaper.errors import CellscaperError
from cellscaper.metrics.bootstrap import paired_differences
from cellscaper.metrics.detection import ratios

RESULTS = Path(__file__).with_name("results")
FOLDS = tuple(f"brca_fold_{k}" for k in range(4))
CHANGES = {
    "unet": "the papers' U-Net, 3000 steps",
    "unet_cooled": "`unet`; the rate falls to 0 in the second half",
    "unet_long": "`unet_cooled`; 6000 steps",
    "decoupled": "`unet_cooled`; cells are peaks, and named by the maps around their centres",
    "decoupled_context": "`decoupled`; a second pass names cells by what lies around them",
    "decoupled_apart": "`decoupled`; names are learned inside cells alone",
    "decoupled_stained": "`decoupled`; stains vary twice as much",
    "decoupled_large": "`decoupled`; two crops of 256 px instead of eight of 128",
    "decoupled_long": "`decoupled`; 6000 steps",
    "decoupled_context_long": "`decoupled_context`; 6000 steps",
    "decoupled_context_longest": "`decoupled_context`; 12 000 steps",
    "decoupled_fp32": "`decoupled`; 32-bit numbers",
}
BASES = {  # recipe: the one that it changes
    "unet": None,
    "unet_cooled": "unet",
    "unet_long": "unet_cooled",
    "decoupled": "unet_cooled",
    "decoupled_context": "decoupled",
    "decoupled_apart": "decoupled",
    "decoupled_stained": "decoupled",
    "decoupled_large": "decoupled",
    "decoupled_long": "decoupled",
    "decoupled_context_long": "decoupled_context",
    "decoupled_context_longest": "decoupled_context_long",
    "decoupled_fp32": "decoupled",
}
COLUMNS = ("recipe", "class", "f1", "images", "seeds", "base", "difference", "low", "high", "p", "commit")
RESAMPLES = 10_000
MARK = re.compile(r"(<!-- folds -->\n).*?(<!-- end -->)", re.DOTALL)


def pooled(runs: Sequence[Run], recipe: str) -> tuple[np.ndarray, list[Run]] | None:
    """Counts (1, images, C + 1, 3) of the images of all folds, and the trainings; None if a fold is missing."""
    own = [run for fold in FOLDS for run in runs if (run.dataset, run.detector) == (fold, recipe)]
    return (np.concatenate([run.counts for run in own])[None], own) if len(own) == len(FOLDS) else None


def rows(runs: Sequence[Run]) -> list[list[str]]:
    """The lines of the file."""
    found = {recipe: pooled(runs, recipe) for recipe in BASES}
    lines = []
    for recipe, base in BASES.items():
        own, other = found[recipe], found.get(base or "")
        if own is None:
            print(f"{recipe}: not run on every fold, left out", file=sys.stderr)
            continue
        counts, trainings = own
        commit = " ".join(sorted({run.facts["commit"][:7] for run in trainings}))
        values = _f1(counts.sum(axis=1))[0]
        differences = None if other is None else paired_differences(counts, other[0], _f1, RESAMPLES)
        for k, name in enumerate([*trainings[0].classes, "mean", "detection"]):
            line = [recipe, name, f"{values[k]:.4f}", str(counts.shape[1]), "1", base or ""]
            if differences is None:
                lines.append([*line, "", "", "", "", commit])
            else:
                one = differences[k]
                lines.append([*line, *(f"{x:.4f}" for x in (one.value, one.low, one.high)), f"{one.p:.4f}", commit])
    return lines


def table(lines: Sequence[Sequence[str]]) -> str:
    """The lines as Markdown: a row a recipe, F1 of the classes and the two differences with their intervals."""
    names = list(dict.fromkeys(line[1] for line in lines))
    head = ["recipe", "changes", *names, "Δ mean", "Δ detection"]
    body = []
    for recipe in dict.fromkeys(line[0] for line in lines):
        own = {line[1]: line for line in lines if line[0] == recipe}
        gains = [_gain(own[name]) for name in ("mean", "detection")]
        body.append([f"`{recipe}`", CHANGES[recipe], *(f"{float(own[name][2]):.3f}" for name in names), *gains])
    rows = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _gain(line: Sequence[str]) -> str:
    value, low, high, p = line[6:10]
    if not value:
        return "–"
    return f"{float(value):+.3f} [{float(low):+.3f}, {float(high):+.3f}], p {float(p):.2g}".replace("-", "−")


def _f1(counts: np.ndarray) -> np.ndarray:
    return ratios(counts, "paper")["f1"]


def main(results: Path | None, folder: Path = RESULTS) -> None:
    places = [(results, fold, recipe) for fold in FOLDS for recipe in BASES if results is not None]
    new = [run for place, fold, recipe in places for run in kept_runs.finished(place, fold, "real_only", recipe)]
    if results is not None and not new:
        raise CellscaperError(f"{results} has no scores of detectors; run the preset brca-folds first")
    found = rows(kept_runs.add(folder / "kept/brca-folds", new))
    if not found:
        return
    kept_runs.write_csv(folder / "folds.csv", COLUMNS, found)
    page = folder / "detectors.md"
    if page.exists():
        made = MARK.sub(lambda mark: f"{mark[1]}{table(found)}\n{mark[2]}", page.read_text(encoding="utf-8"))
        write_text(page, made)
    for recipe, name, value, *_ in found:
        if name in ("mean", "detection"):
            print(f"{recipe:24} {name:10} {value}")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except CellscaperError as error:
        sys.exit(f"error: {error}")
