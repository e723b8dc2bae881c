"""Intervals over test images for the numbers of a run with one seed: its layouts or detections are scored again."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cellscaper.disk.count_file import DETECTION, read_counts
from cellscaper.metrics.comparison import read_comparison
from cellscaper.metrics.detection import ratios
from cellscaper.metrics.image_intervals import Intervals, count_intervals, image_intervals, images_of
from cellscaper.metrics.protocol import Comparison, Metric, Reading, Scores, all_scores
from cellscaper.plan import sections
from cellscaper.plan.origins import Origin, Origins
from cellscaper.plan.outputs import Outputs
from cellscaper.plan.schema import facts
from cellscaper.report.committed.cells import Cell, written
from cellscaper.run.methods import chosen
from cellscaper.run.progress import log
from cellscaper.run.settings import read

COUNT_RESAMPLES = 10_000  # of counts, which cost nothing


def with_intervals(cells: list[Cell], outputs: Outputs, resamples: int, threads: int) -> list[Cell]:
    """The cells of one seed with their intervals, the others as they are.

    Layouts: every metric again on ``resamples`` draws of the test images. Detections: their counts. Painted images have
    none, because their features are not kept.
    """
    every = {
        table: Origins(outputs).rows(*table) for table in dict.fromkeys((cell.dataset, cell.table) for cell in cells)
    }
    known: dict[tuple[str, str, str, str], tuple[Intervals, int]] = {}
    found = []
    for cell in cells:
        kind = outputs.tables.kind(cell.table)
        if cell.n != "1" or kind == "images":
            found.append(cell)
            continue
        origin = every[cell.dataset, cell.table][cell.row, cell.reader]
        name = (cell.dataset, kind, origin.scored, cell.reader)
        if name not in known:
            metrics = {facts()["columns"][one.metric]["metric"] for one in cells if one.dataset == cell.dataset}
            log(f"{' '.join(name)}: intervals")
            if kind == "layouts":
                known[name] = _layouts(outputs, cell.dataset, origin, metrics, resamples, threads)
            else:
                known[name] = _detections(outputs, origin)
        intervals, images = known[name]
        low, high = intervals.get((cell.metric, cell.class_), (float("nan"),) * 2)
        found.append(replace(cell, low=written(low), high=written(high), images=str(images)))
    return found


def _layouts(
    outputs: Outputs, dataset: str, origin: Origin, metrics: set[str], resamples: int, threads: int
) -> tuple[Intervals, int]:
    name, decoder = origin.scored, origin.reader
    wanted = [one for one in outputs.tables.metrics(name, decoder) if one.name in metrics]
    section = sections.scoring_section(outputs.experiments, name, decoder, wanted)
    reference = outputs.reference(dataset, name)
    compared = read_comparison(
        Path(outputs.layouts(dataset, name, "test", outputs.first_seed)),
        decoder,
        Path(outputs.targets_of(dataset, name)),
        Path(reference[0]) if reference else None,
        Path(outputs.windows_of(dataset, name)),
        Path(outputs.cells(dataset)),
        read(Reading, section["reading"], "score_layouts reading"),
    )
    networks = outputs.networks(dataset, name, decoder)
    found: Intervals = {}
    for one in section["metrics"]:
        network = networks.get(one.get("network", ""))
        own = replace(compared, network=Path(network) if network else None)
        found |= image_intervals(_scoring(one), own, resamples, threads=threads)
    return found, images_of(compared.real)


def _scoring(section: Any) -> Callable[[Comparison], Scores]:
    metric: Metric
    metric, settings = chosen("metrics", section)
    return partial(_scored, section["method"], metric, settings)


def _scored(name: str, metric: Metric, settings: object, compared: Comparison) -> Scores:
    return all_scores(name, metric, compared, settings)


def _detections(outputs: Outputs, origin: Origin) -> tuple[Intervals, int]:
    files = [Path(job.file).with_name("counts.csv") for job in origin.scores]
    radius, images = outputs.config["metrics"]["detection"]["radius"], 0
    found: Intervals = {}
    for (_, _, protocol), counts in read_counts(files).items():
        names, images = [*counts.classes, "mean", DETECTION], len(counts.images)
        for score in ("precision", "recall", "f1"):
            metric = score if protocol == "paper" else f"{score}_{protocol}"
            own = count_intervals(counts.at(radius), names, partial(_ratio, score, protocol), COUNT_RESAMPLES)
            found |= {(metric, name): bounds for name, bounds in own.items()}
    return found, images


def _ratio(score: str, protocol: str, pooled: NDArray) -> NDArray:
    return ratios(pooled, protocol)[score]
