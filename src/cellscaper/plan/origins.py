"""The origin of a table's numbers: the experiment of a row, its configuration keys, the jobs that made its scores."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from cellscaper.plan.outputs import Outputs
from cellscaper.plan.schema import facts
from cellscaper.plan.tables import Row, pairs_name


class Job(NamedTuple):
    """A job behind a number: its rule, its seed, a file that it made and its log."""

    rule: str
    seed: int
    file: str
    log: str


class Origin(NamedTuple):
    """What made the numbers of a row that one decoder or detector (``reader``) read.

    ``scored``: the experiment's name in the score files; ``keys``: full paths of configuration keys; ``jobs``: in the
    order of a run, scores last. Scores of all seeds are jobs of their own.
    """

    experiment: str
    scored: str
    reader: str
    keys: list[str]
    jobs: list[Job]

    @property
    def scores(self) -> list[Job]:
        """The jobs that scored, one a seed."""
        return [job for job in self.jobs if job.rule.startswith("score_")]


def job_of(file: str, folder: str, seed: int) -> Job:
    """The job that made a file ``<folder>/<rule>/<wildcards…>/<name>``; each rule's log has the same wildcards."""
    rule, *wildcards, _ = PurePosixPath(file).relative_to(folder).parts
    return Job(rule, seed, file, f"{folder}/logs/{rule}/{'-'.join(wildcards)}.log")


def metric_key(metric: str) -> str:
    """The key of the block of a score's metric: ``metrics.topofd``."""
    return f"metrics.{facts()['columns'][metric]['metric']}"


class Origins:
    """The origins of the tables of a configuration's run."""

    def __init__(self, outputs: Outputs):
        self.outputs, self.tables, self.experiments = outputs, outputs.tables, outputs.experiments
        self.config: Any = outputs.config

    def rows(self, dataset: str, table: str) -> dict[tuple[str, str], Origin]:
        """{(row, decoder or detector): origin} of the rows of a table that are run."""
        readers = self.tables.detectors(table) if self.tables.kind(table) == "detections" else [None]
        return {
            (row.name, reader or str(row.decoder)): self._origin(dataset, row, reader)
            for row in self.tables.rows(table)
            for reader in readers
        }

    def _origin(self, dataset: str, row: Row, detector: str | None) -> Origin:
        keys = [f"tables.{row.table}.rows.{row.name}", f"datasets.{dataset}", *self._keys(row, detector), "seeds"]
        folder, files = self.outputs.folder(dataset), list(self._files(dataset, row, detector))
        jobs = [job_of(file, folder, seed) for seed, file in dict.fromkeys(files)]
        experiment = row.experiment or "real images alone"
        scored = pairs_name(row.experiment, row.decoder) if detector else str(row.experiment)
        return Origin(experiment, scored, detector or str(row.decoder), keys, jobs)

    def _keys(self, row: Row, detector: str | None) -> Iterator[str]:
        kind = self.tables.kind(row.table)
        if row.experiment is not None:
            one = self.experiments[row.experiment]
            yield from (f"experiments.{one.name}", f"fields.{one.field}")
            yield from [f"grids.{one.grid}"] if one.grid else []
            yield from [f"densities.{one.density}"] if one.density else []
            if kind == "layouts":
                yield from (f"features.{name}" for name in self.tables.networks(one.name, str(row.decoder)))
            elif not one.is_real:
                yield f"painters.{self.experiments.painter(one.name)}"
        if kind != "layouts":
            yield f"detectors.{detector or self.config['metrics']['image_quality']['detector']}"

    def _files(self, dataset: str, row: Row, detector: str | None) -> Iterator[tuple[int, str]]:
        """(seed, file) of each job, in the order of a run."""
        kind, first = self.tables.kind(row.table), self.config["seeds"][0]
        if kind == "layouts":
            for file in self.outputs.networks(dataset, str(row.experiment), str(row.decoder)).values():
                yield first, file
        elif kind == "images":
            yield first, self.outputs.image_judge(dataset)
        for seed in self.config["seeds"]:
            for file in self._of_seed(dataset, row, detector, seed):
                yield seed, file

    def _of_seed(self, dataset: str, row: Row, detector: str | None, seed: int) -> Iterator[str]:
        outputs, kind, name, read = self.outputs, self.tables.kind(row.table), row.experiment, str(row.decoder)
        is_made = name is not None and not (kind == "images" and self.experiments[name].is_real)
        if name is not None and is_made:
            yield from outputs.density(dataset, name)
            yield from outputs.beginning(dataset, name, str(seed)) if self.experiments[name].is_trained else []
            yield from outputs.layout_weights(dataset, name, str(seed))
            yield outputs.layouts(dataset, name, "test" if kind == "layouts" else "train", f"seed{seed}")
            if kind != "layouts":
                yield from outputs.painting(dataset, name, str(seed))["model"]
                yield outputs.painted(dataset, name, read, f"seed{seed}")
        if detector is None:
            yield f"{outputs.folder(dataset)}/score_{kind}/{name}/{read}/seed{seed}/scores.csv"
            return
        experiment, read = row.pairs.split("/")
        models = outputs.mixed_detectors(dataset, detector, experiment, read, str(seed))
        yield from models
        yield from [outputs.detector_weights(dataset, detector, experiment, read, str(seed))] if models[1:] else []
        for rule, file in (("detect_cells", "cells.h5"), ("score_detections", "scores.csv")):
            yield f"{outputs.folder(dataset)}/{rule}/{detector}/{row.pairs}/seed{seed}/{file}"
