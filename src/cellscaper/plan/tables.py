"""Tables: the rows that are run, the metrics computed for them, the section of `make_tables`."""

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from cellscaper.errors import CellscaperError
from cellscaper.plan.experiments import Experiments
from cellscaper.plan.merging import Config
from cellscaper.plan.numbers import spaced
from cellscaper.plan.schema import facts

Framing = dict[str, str]
AUDIT = "image_copies"  # the metric of images that is computed only for tables that show it
REAL_ONLY = "real_only"  # name of the training data of a detector without generated pairs


@dataclass(frozen=True)
class Row:
    """A row of a table that is run: the experiment that gives its results (None for real images alone), its decoder."""

    table: str
    name: str
    label: str
    experiment: str | None
    decoder: str | None

    @property
    def pairs(self) -> str:
        """The folder name of a detector's training data: an experiment's pairs, or real images alone."""
        return f"{self.experiment}/{self.decoder}" if self.experiment else f"{REAL_ONLY}/points"


class Metric(NamedTuple):
    """A metric of layouts, and the method of its feature network (empty for most metrics)."""

    name: str
    network: str


class Tables:
    """The tables of a configuration."""

    def __init__(self, experiments: Experiments):
        self.experiments = experiments
        self.config: Config = experiments.config
        self._rows: dict[str, list[Row]] = {}

    def kind(self, table: str) -> str:
        """The kind of its scores: layouts, detections or images."""
        return str(self.config["tables"][table]["kind"])

    def detectors(self, table: str) -> list[str]:
        return list(self.config["tables"][table]["detectors"])

    def wanted(self, dataset: str | None = None) -> list[tuple[str, str]]:
        """(dataset, table) of every table that the run makes, of one dataset or of all."""
        run = self.config["run"]
        return [
            (one, table)
            for one in ([dataset] if dataset else run["datasets"])
            for table in run["tables"]
            if one not in self.config["tables"][table]["skip_datasets"]
        ]

    def rows(self, table: str) -> list[Row]:
        """The rows of a table that are run."""
        if table not in self._rows:
            found = []
            for name, block in self.config["tables"][table]["rows"].items():
                if not block.get("why"):
                    experiment = self.experiments.shared(block["experiment"]) if block["experiment"] else None
                    found.append(Row(table, name, block["label"], experiment, block.get("decoder")))
            self._rows[table] = found
        return self._rows[table]

    def all_rows(self, dataset: str, kind: str) -> list[Row]:
        """Every row that is run in the wanted tables of one kind."""
        return [row for _, table in self.wanted(dataset) if self.kind(table) == kind for row in self.rows(table)]

    def framing(self, table: str) -> Framing:
        """The rows of a table that are its best and worst references: {row: "floor" or "ceiling"}.

        The floor of layouts that are compared with windows is one half of the windows against the other; of layouts
        that are compared with training crops (SD), other training crops. Tables of images have only floors, tables of
        detections neither.
        """
        kind, found = self.kind(table), {}
        for row in self.rows(table):
            if row.experiment is not None and kind != "detections":
                one = self.experiments[row.experiment]
                crops = self.config["fields"][one.field]["evaluation"]["kind"] == "categories"
                if one.generator == ("train_crops" if crops and kind == "layouts" else "real_halves"):
                    found[row.name] = "floor"
                elif one.generator == "random" and kind == "layouts":
                    found[row.name] = "ceiling"
        return found

    def has_intervals(self, table: str) -> bool:
        """Whether a table has rows that are run and are no reference: these have dots in its figure of intervals."""
        framing = self.framing(table)
        return any(row.name not in framing for row in self.rows(table))

    def intervals_section(self, table: str) -> Any:
        """Floor, ceiling and lines of a table's figure of intervals."""
        framing, rows = self.framing(table), self.config["tables"][table]["rows"]
        return {
            "floor": [row for row, kind in framing.items() if kind == "floor"],
            "ceiling": [row for row, kind in framing.items() if kind == "ceiling"],
            "curves": {row: block["curve"] for row, block in rows.items() if block.get("curve")},
        }

    def _origins(self, table: str) -> list[tuple[str, list[str]]]:
        """What is to be said of rows whose weights the run did not train, or did not train from nothing."""
        found: dict[str, list[str]] = {}
        for row in self.rows(table):
            if row.experiment is not None:
                given, start = self.experiments.weights(row.experiment), self.experiments.init(row.experiment)
                other = self.experiments.init_experiment(row.experiment)
                if given is not None:
                    found.setdefault(
                        f"not trained here: {given.told}, the same for every seed, so ± is that of sampling", []
                    ).append(row.label)
                elif start is not None or other is not None:
                    told = start.told if start is not None else f"the weights of {other}"
                    steps = spaced(self.experiments[row.experiment].training["steps"])
                    found.setdefault(f"trained here for {steps} steps, from {told}", []).append(row.label)
        return list(found.items())

    # -- inputs of rows --------------------------------------------------------------------------------------

    @cached_property
    def _metrics(self) -> dict[tuple[str, str], set[Metric]]:
        """For each experiment and decoder the metrics of all tables that name it."""
        found: dict[tuple[str, str], set[Metric]] = {}
        for table, block in self.config["tables"].items():
            if block["kind"] == "layouts":
                needed = {_metric(table, column["metric"]) for column in block["columns"]}
                for row in self.rows(table):
                    methods = {"", *self._network_methods(str(row.experiment))}
                    possible = {metric for metric in needed if metric.network in methods}
                    found.setdefault((str(row.experiment), str(row.decoder)), set()).update(possible)
        return found

    def _network_methods(self, experiment: str) -> list[str]:
        """The methods of the feature networks of an experiment's field."""
        return [self.config["features"][name]["method"] for name in self.experiments.features(experiment)]

    def metrics(self, experiment: str, decoder: str) -> list[Metric]:
        """The metrics that tables show for an experiment and a decoder."""
        return sorted(self._metrics.get((experiment, decoder), set()))

    def audited(self, dataset: str) -> set[tuple[str, str]]:
        """The experiments and decoders whose images the tables of a dataset show the copy audit of."""
        found = set()
        for _, table in self.wanted(dataset):
            block = self.config["tables"][table]
            if block["kind"] == "images" and any(
                _metric(table, column["metric"]).name == AUDIT for column in block["columns"]
            ):
                found |= {(str(row.experiment), str(row.decoder)) for row in self.rows(table)}
        return found

    def all_metrics(self) -> set[str]:
        """The names of all metrics that tables show."""
        return {metric.name for metrics in self._metrics.values() for metric in metrics}

    def networks(self, experiment: str, decoder: str) -> list[str]:
        """The feature networks that score an experiment with a decoder: those of its field that a column needs."""
        methods = {metric.network for metric in self.metrics(experiment, decoder)}
        blocks = self.config["features"]
        return [name for name in self.experiments.features(experiment) if blocks[name]["method"] in methods]

    def section(self, name: str) -> Any:
        """The section of `make_tables`: the table with each row's experiment under its name in the score files."""
        table = copy.deepcopy(self.config["tables"][name])
        for row in self.rows(name):
            block = table["rows"][row.name]
            block["experiment"] = row.experiment
            if table["kind"] == "detections":
                block["experiment"] = pairs_name(row.experiment, block.pop("decoder", None))
        table["columns"] = [described(name, column) for column in table["columns"]]
        detectors = table.pop("detectors")
        if detectors:
            table |= self.config["metrics"]["detection"]  # radius and resamples of the bootstrap
            blocks = self.config["detectors"]
            table["trainings"] = {
                one: len(blocks[one]["synthetic_fractions"]) for one in detectors
            }  # of rows with pairs
            several = len(detectors) > 1
            table["columns"] = [
                {**column, "detector": one, "label": f"{one} {column['label']}" if several else column["label"]}
                for one in detectors
                for column in table["columns"]
            ]
        rows = [(row, {k: v for k, v in block.items() if v is not None}) for row, block in table["rows"].items()]
        for row, block in rows:
            block.setdefault("experiment", table["rows"][row]["experiment"])
        table["rows"] = rows  # a list: canonical JSON sorts the keys of maps
        table["framing"] = self.framing(name)
        origins = self._origins(name)
        if origins:
            table["origins"] = origins
        return {key: value for key, value in table.items() if value is not None}


def pairs_name(experiment: str | None, decoder: str | None) -> str:
    """The name of a detector's training data in detection scores: ``real_only`` or ``<experiment>/<decoder>``."""
    return f"{experiment}/{decoder}" if experiment else REAL_ONLY


def _fact(table: str, metric: str) -> Any:
    columns = facts()["columns"]
    if metric not in columns:
        raise CellscaperError(
            f"tables.{table}.columns: metric {metric!r} is no score of any metric; there are {', '.join(columns)}"
        )
    return columns[metric]


def _metric(table: str, score: str) -> Metric:
    fact = _fact(table, score)
    return Metric(fact["metric"], fact.get("features", ""))


def described(table: str, column: Any) -> Any:
    """A column with the label and direction from its metric's file, unless it has its own; without null keys."""
    fact, given = _fact(table, column["metric"]), {key: value for key, value in column.items() if value is not None}
    one_class = given.get("class", "*") != "*"
    label = f"{fact['label']} {given['class']}" if one_class else fact["label"]
    found = {"label": label, "lower": not fact["higher_is_better"], **given}
    if fact["caveat"]:
        found["caveat"] = fact["caveat"]
    if given.get("paper") in facts()["columns"]:
        found["paper_label"] = facts()["columns"][given["paper"]]["label"]
    return found
