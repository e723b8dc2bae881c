"""Quality of a layout model against the steps of its training: `python docs/make_steps.py RESULTS EXPERIMENT…`.

RESULTS is the results folder of the preset brca-night, whose trainings keep weights every 1000 steps. The kept weights
of a training, those of the beginning that it shares among them, draw layouts with the counts of windows of the
*validation* images; the test images are not looked at. What has been scored is kept in
kept/brca-night beside the pages; docs/results/brca-night-steps.png shows it. Without RESULTS only the picture is
made anew.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # its own modules, also where this file is loaded by its path

import matplotlib.pyplot as plt
import torch
from kept_runs import read_csv, write_csv

from cellscaper.disk.storage import read_layouts
from cellscaper.disk.weights import read_weights_for
from cellscaper.errors import CellscaperError
from cellscaper.generators.protocol import Generator, Request, SamplingSection
from cellscaper.layouts import LayoutSet, evenly_spaced
from cellscaper.metrics import copies, counts, cross_class, spatial_fid
from cellscaper.metrics.protocol import Comparison
from cellscaper.plan.outputs import Outputs
from cellscaper.plan.sections import sampling_section
from cellscaper.report.committed.collect import preset_outputs
from cellscaper.run.methods import method
from cellscaper.run.progress import log
from cellscaper.run.seeds import sample_seeds
from cellscaper.run.settings import read
from cellscaper.views.patches import sliding_windows

FOLDER = Path(__file__).with_name("results")
PRESET = "brca-small+brca-night"
DATASET, DECODER, SEED, REGION, STRIDE = "brca_m2c", "peaks", 0, 256, 32
METRICS = {  # score, class → label
    ("tce", ""): "TCE, cells",
    ("cross_k", "mean"): "cross-K, px",
    ("pair_correlation", "mean"): "pair correlation",
    ("nn_distance", "mean"): "nearest neighbour, px",
    ("copies", "share"): "copies, share",
    ("spatial_fid_precision", ""): "precision",
    ("spatial_fid_coverage", ""): "coverage",
}
COLUMNS = ("experiment", "seed", "step", "metric", "class", "value", "n")


def snapshots(outputs: Outputs, experiment: str) -> Iterator[tuple[int, Path]]:
    """(step, weights) of a training, in the order of the steps."""
    own = Path(outputs.layout_weights(DATASET, experiment, str(SEED))[0]).parent
    shared = [Path(file).parent for file in outputs.beginning(DATASET, experiment, str(SEED))]
    found = {
        int(file.stem.removeprefix("step")): file for one in (*shared, own) for file in (one / "snapshots").glob("*")
    }
    yield from sorted(found.items())


def scores(outputs: Outputs, experiment: str, file: Path, targets: LayoutSet, train: LayoutSet) -> dict[tuple, float]:
    """The scores of METRICS for the layouts that the weights of ``file`` make for ``targets``."""
    section = read(SamplingSection, sampling_section(outputs.experiments, DATASET, experiment, "test"), "make_steps")
    generator: Generator = method("generators", section.method)
    weights, facts = read_weights_for(file, targets.classes, file)
    settings = read(generator.Sampling, section.settings, f"generators {section.method}")
    seeds = sample_seeds(SEED, len(targets), use=1)
    request = Request(
        targets, seeds, settings, train, REGION, section.small, weights, facts, section.decoding, torch.device("cpu")
    )
    made = generator.generate(request).sets[DECODER]
    network = Path(outputs.results, DATASET, f"train_features/tc/seed{SEED}/model.safetensors")
    grid, threshold = outputs.experiments.grid(experiment), section.decoding.threshold
    compared = Comparison(targets, made, targets, train, DECODER, grid, threshold, network=network)
    found = {}
    for metric in (counts, cross_class, copies, spatial_fid):
        own = metric.score(compared, metric.Settings())
        found |= {(name, one): value for name, classes in own.items() for one, value in classes.items()}
    return {key: found.get(key, found.get((key[0], "total"))) for key in METRICS}


def measure(results: Path, experiments: list[str], layouts: int) -> None:
    """Score what has not been scored."""
    file = FOLDER / "kept/brca-night/steps.csv"
    rows = [tuple(one[name] for name in COLUMNS) for one in read_csv(file)] if file.exists() else []
    outputs = preset_outputs(PRESET, results)
    cells = read_layouts(Path(outputs.cells(DATASET)))
    windows = sliding_windows(cells.where(split="val"), REGION, STRIDE)
    targets = windows[evenly_spaced(len(windows), layouts)]
    for experiment in experiments:
        found = dict(snapshots(outputs, experiment))
        if not found:
            raise CellscaperError(f"{results} has no kept weights of {experiment}; train it with the preset brca-night")
        for step, weights in found.items():
            if (experiment, str(step)) in {(row[0], row[2]) for row in rows}:
                continue
            made = scores(outputs, experiment, weights, targets, cells.where(split="train"))
            lines = [(experiment, str(SEED), str(step), *key, repr(made[key]), str(len(targets))) for key in METRICS]
            rows = sorted([*rows, *lines], key=lambda row: (row[0], int(row[2])))
            write_csv(file, COLUMNS, rows)
            log(f"{experiment}, step {step}: " + ", ".join(f"{row[3]} {float(row[5]):.3g}" for row in lines))


def draw() -> None:
    """The picture: a panel a score, a line an experiment."""
    rows = read_csv(FOLDER / "kept/brca-night/steps.csv")
    figure, axes = plt.subplots(2, 4, figsize=(15, 6), layout="constrained")
    for axis, ((metric, name), label) in zip(axes.flat, METRICS.items(), strict=False):
        for experiment in dict.fromkeys(row["experiment"] for row in rows):
            own = [
                row for row in rows if (row["experiment"], row["metric"], row["class"]) == (experiment, metric, name)
            ]
            axis.plot([int(row["step"]) for row in own], [float(row["value"]) for row in own], "o-", label=experiment)
        axis.set(xlabel="steps", ylabel=label, ylim=(0, None))
    handles, labels = axes.flat[0].get_legend_handles_labels()
    axes.flat[-1].legend(handles, labels, frameon=False, loc="center")
    axes.flat[-1].axis("off")
    figure.savefig(FOLDER / "brca-night-steps.png", dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path)
    parser.add_argument("experiments", nargs="*", default=[])
    parser.add_argument("--layouts", type=int, default=120, help="validation windows, evenly spaced")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.results is not None:
        measure(args.results, args.experiments, args.layouts)
    draw()


if __name__ == "__main__":
    try:
        main()
    except CellscaperError as error:
        sys.exit(f"make_steps: error: {error}")
