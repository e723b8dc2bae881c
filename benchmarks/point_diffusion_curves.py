"""Quality of point diffusion on the validation patches: over training time, and against the number of sampling steps.

    python benchmarks/point_diffusion_curves.py RESULTS --data FOLDER --scores CSV [--training PNG] [--steps PNG]

RESULTS is the folder of a training with snapshots (…/train_layout/point_diffusion/seed0), FOLDER holds BRCA-M2C. What
is in CSV already is not generated again. The test images are not looked at.
"""

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from cellscaper.datasets import brca_m2c
from cellscaper.disk.weights import read_weights
from cellscaper.generators import random, retrieval
from cellscaper.generators.point_diffusion import Sampling, sample_layouts
from cellscaper.generators.pointsets.packaged import load
from cellscaper.generators.protocol import Request
from cellscaper.layouts import Layout, LayoutSet, evenly_spaced
from cellscaper.metrics.cross_class import cross_class
from cellscaper.metrics.topofd import topofd
from cellscaper.plan.configuration import configuration
from cellscaper.plan.experiments import Experiments
from cellscaper.run.progress import log
from cellscaper.views.patches import sliding_windows

SAMPLING = Experiments(configuration({}))["point_diffusion"].sampling
STEPS = [
    *({"steps": steps} for steps in (6, 8, 10, 12, 14, 20, 40)),
    *({"steps": steps, "heun": True} for steps in (6, 10, 20)),
    {"steps": 20, "heun": True, "churn": 0.3},
]
METRICS = {
    "topofd": "TopoFD (mean of landscapes), px²",
    "nn": "nearest neighbour, W1 in px",
    "g": "pair correlation, r ≤ 30 px",
    "k": "cross-K, px",
}


def patches(data: str) -> tuple[LayoutSet, LayoutSet]:
    """The images' cells of the training split, and the 256 px patches of the validation split."""
    records = list(brca_m2c.read(brca_m2c.Settings(), Path(data)))
    sets = {}
    for split in ("train", "val"):
        images = [Layout(r.points, r.labels, r.image.shape[:2]) for r in records if r.split == split]
        sets[split] = LayoutSet.build(images, brca_m2c.CLASSES, 0.5)
    return sets["train"], sliding_windows(sets["val"], 256, 32)


def scores(real: LayoutSet, made: LayoutSet) -> dict[str, float]:
    """The four metrics of METRICS."""
    cross = cross_class(real, made)
    landscape = topofd(real, made, protocols=["mean_landscape"], threads=1)
    return {
        "topofd": next(iter(landscape.values()))["mean"],
        "nn": cross["nn_distance"]["any"],
        "g": cross["pair_correlation_short"]["mean"],
        "k": cross["cross_k"]["mean"],
    }


def wanted(folder: Path, steps: bool) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(kind, weights file, sampling) of every point of the curves."""
    files = sorted((folder / "snapshots").glob("step*.safetensors"))
    for file in files:
        yield "training", str(file), SAMPLING
    if steps:
        for own in STEPS:
            yield "steps", str(folder / "model.safetensors"), {**SAMPLING, **own}


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of the CSV, made where they are missing."""
    path, done = Path(args.scores), []
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            done = list(csv.DictReader(file))
    keys = {(row["kind"], row["file"], row["sampling"]) for row in done}
    train, val = patches(args.data)
    real = val[evenly_spaced(len(val), args.layouts)]
    half = val[evenly_spaced(len(val), 2 * args.layouts)]

    def add(kind: str, name: str, sampling: dict[str, Any] | None, made: LayoutSet, against: LayoutSet) -> None:
        row = {"kind": kind, "file": name, "sampling": json.dumps(sampling, sort_keys=True), **scores(against, made)}
        log(f"{kind} {name} {row['sampling']}: " + ", ".join(f"{name} {row[name]:.3g}" for name in METRICS))
        done.append({key: str(value) for key, value in row.items()})
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(done)

    repaired = retrieval.Settings(repair=True, min_distance=8.0, window_stride=8)
    untrained = {"retrieval, repaired": (retrieval, repaired), "uniform": (random, random.Settings())}
    for name, (generator, settings) in untrained.items():
        if ("reference", name, "null") not in keys:
            request = Request(real, range(len(real)), settings, train, 256)
            add("reference", name, None, generator.generate(request).sets["points"], real)
    if ("reference", "floor", "null") not in keys:
        add("reference", "floor", None, half[::2], half[1::2])
    for kind, file, sampling in wanted(Path(args.folder), bool(args.steps)):
        name = Path(file).stem
        if (kind, name, json.dumps(sampling, sort_keys=True)) in keys:
            continue
        model, _ = load(Path(file))
        add(kind, name, sampling, sample_layouts(model, real, range(len(real)), Sampling(**sampling)), real)
    return done


def plot_training(rows: list[dict[str, Any]], minutes: float, steps: int, path: str) -> None:
    """Each metric over the minutes of training; lines: real against real (floor), repaired retrieval, uniform cells."""
    figure, axes = plt.subplots(1, len(METRICS), figsize=(4 * len(METRICS), 3.4), layout="constrained")
    points = [(int(row["file"][4:]) * minutes / steps, row) for row in rows if row["kind"] == "training"]
    for axis, (metric, label) in zip(axes, METRICS.items(), strict=True):
        axis.plot([x for x, _ in points], [float(row[metric]) for _, row in points], "o-", color="#0072B2")
        references(axis, rows, metric)
        axis.set(xlabel="training, minutes", ylabel=label, ylim=(0, None))
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=110)


def plot_steps(rows: list[dict[str, Any]], path: str) -> None:
    """Each metric against the calls of the network a layout costs."""
    figure, axes = plt.subplots(1, len(METRICS), figsize=(4 * len(METRICS), 3.4), layout="constrained")
    kinds = [
        ("third order", False, False, "o-"),
        ("Heun", True, False, "s--"),
        ("Heun, churn", True, True, "^:"),
    ]
    found = [(json.loads(row["sampling"]), row) for row in rows if row["kind"] == "steps"]
    for axis, (metric, label) in zip(axes, METRICS.items(), strict=True):
        for name, heun, churned, style in kinds:
            points = sorted(
                (2 * s["steps"] - 1 if heun else s["steps"], float(row[metric]))
                for s, row in found
                if s["heun"] == heun and (s["churn"] > 0) == churned
            )
            if points:
                axis.plot(*np.array(points).T, style, label=name)
        references(axis, rows, metric)
        axis.set(xlabel="calls of the network", ylabel=label, ylim=(0, None))
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=110)


def references(axis: Any, rows: list[dict[str, Any]], metric: str) -> None:
    styles = {"floor": ("#009E73", "-"), "retrieval, repaired": ("#D55E00", "--"), "uniform": ("#999999", ":")}
    for row in rows:
        if row["kind"] == "reference":
            color, style = styles[row["file"]]
            axis.axhline(float(row[metric]), color=color, linestyle=style, linewidth=1, label=row["file"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="folder of the training: model.safetensors, snapshots/")
    parser.add_argument("--data", required=True, help="folder of BRCA-M2C")
    parser.add_argument("--scores", required=True, help="CSV of the points of the curves")
    parser.add_argument("--layouts", type=int, default=120, help="validation patches, evenly spaced")
    parser.add_argument("--minutes", type=float, default=0.0, help="of the whole training, for the axis of --training")
    parser.add_argument("--training", help="PNG of quality over training time")
    parser.add_argument("--steps", help="PNG of quality against sampling steps; needs the finished model")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(args)
    if args.training:
        last = read_weights(Path(args.folder) / "model.safetensors")[1]["section"]["training"]["steps"]
        plot_training(rows, args.minutes, last, args.training)
    if args.steps:
        plot_steps(rows, args.steps)


if __name__ == "__main__":
    main()
