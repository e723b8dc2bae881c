"""What a run costs before it starts: its trainings, samplings and paintings, with GPU time and disk, by formula.

Nothing is measured and no data are read. Counted are the jobs whose networks take GPU time, on one kind of card.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from cellscaper.plan.amounts import classes, layouts
from cellscaper.plan.cards import Card, call_seconds, step_seconds
from cellscaper.plan.figures import Figures
from cellscaper.plan.flops import NETWORKS
from cellscaper.plan.layers import Layers
from cellscaper.plan.outputs import Outputs
from cellscaper.plan.tables import REAL_ONLY

STEP = {"point_diffusion": 0.04, "tmccg": 0.29, "features": 0.03, "detectors": 0.03}  # seconds of a step at least
TRAININGS = ("train_features", "start_layout", "train_layout", "train_image", "train_detector")
LARGE_STEP, CALL = 0.02, 0.015  # seconds of a step of other networks, and of a call in sampling, at least
DIAGRAMS = {"alpha": 0.006, "cubical": 0.023}  # seconds a sample of TopoCellGen's losses on the host
LOOK, EPOCH = 1.5, 80  # MCSpatNet: seconds of a look at the validation images, and steps between looks by default


class Cost(NamedTuple):
    """One job: steps of its training, seconds on one card, bytes of the files that stay, and of the state meanwhile."""

    steps: int
    seconds: float
    kept: float = 0.0
    state: float = 0.0


class Job(NamedTuple):
    """One job a seed: its rule, what it makes, and the method (``kind``: generators, painters, …) that does it."""

    rule: str
    name: str
    kind: str
    method: str
    seeds: int


@dataclass(frozen=True)
class Group:
    """Jobs of one rule, data set and method: ``names`` of what they make, sums over all of them and all seeds.

    ``hours`` on one card, bytes ``kept`` of files that stay, bytes of ``state`` of the largest while it runs.
    """

    dataset: str
    rule: str
    what: str
    steps: int
    names: tuple[str, ...]
    jobs: int
    hours: float
    kept: float
    state: float


class Costs:
    """The costs of a run on one kind of card."""

    def __init__(self, outputs: Outputs, on: Card):
        self.outputs, self.config, self.on = outputs, outputs.config, on
        self.experiments, self.tables, self.figures = outputs.experiments, outputs.tables, Figures(outputs)
        self.rules = {
            "train_features": self._train_features,
            "start_layout": self._start_layout,
            "train_layout": self._train_layout,
            "sample_layouts": self._sample_layouts,
            "train_image": self._train_image,
            "paint_images": self._paint_images,
            "train_detector": self._train_detector,
        }

    @cached_property
    def _priced(self) -> list[tuple[str, Job, tuple[str, Cost] | None]]:
        """All jobs: the data set, the job, its short description and cost; None for a job that has none."""
        found = []
        for dataset in self.config["run"]["datasets"]:
            jobs = sorted(set(self._jobs(dataset)), key=lambda job: (list(self.rules).index(job.rule), job.name))
            for job in jobs:
                known = (job.kind, job.method) in NETWORKS
                found.append((dataset, job, self.rules[job.rule](dataset, job) if known else None))
        return found

    @cached_property
    def groups(self) -> list[Group]:
        """All jobs whose cost is known, by rule, method, size of the network and steps."""
        found: dict[tuple[str, str, str, int], list[tuple[Job, Cost]]] = {}
        for dataset, job, price in self._priced:
            if price is not None:
                found.setdefault((dataset, job.rule, price[0], price[1].steps), []).append((job, price[1]))
        return [
            Group(
                *key,
                names=tuple(dict.fromkeys(job.name.split()[0] for job, _ in jobs)),
                jobs=sum(job.seeds for job, _ in jobs),
                hours=sum(job.seeds * cost.seconds for job, cost in jobs) / 3600,
                kept=sum(job.seeds * cost.kept for job, cost in jobs),
                state=max(cost.state for _, cost in jobs),
            )
            for key, jobs in found.items()
        ]

    @property
    def unknown(self) -> dict[str, int]:
        """What is not counted and why, and the number of its jobs."""
        found: dict[str, int] = {}
        for dataset, job, price in self._priced:
            if price is None:
                known = (job.kind, job.method) in NETWORKS
                why = (
                    "only the data tell the number of windows"
                    if known
                    else f"no formula for {job.kind}/{job.method}.py"
                )
                what = f"{job.rule} of {dataset}: {why}"
                found[what] = found.get(what, 0) + job.seeds
        return found

    # -- sums --------------------------------------------------------------------------------------------------

    @property
    def hours(self) -> float:
        """GPU-hours of the run."""
        return sum(group.hours for group in self.groups)

    @property
    def longest(self) -> float:
        """Hours of the longest chain of jobs that wait for each other, however many cards there are."""

        def most(*rules: str) -> float:
            seconds = [price[1].seconds for _, job, price in self._priced if price is not None and job.rule in rules]
            return max(seconds, default=0.0) / 3600

        layouts_made = most("start_layout") + most("train_layout") + most("sample_layouts")
        return max(layouts_made, most("train_image")) + most("paint_images") + most("train_detector")

    def kept(self, *rules: str) -> float:
        """Bytes of the files that stay of these rules."""
        return sum(group.kept for group in self.groups if group.rule in rules)

    def shared(self) -> list[tuple[str, list[str]]]:
        """Trainings that serve several experiments of the run's tables: the training, the other experiments."""
        found: dict[str, list[str]] = {}
        for dataset in self.config["run"]["datasets"]:
            for name in sorted(self.outputs.trained(dataset)):
                others = found.setdefault(self.experiments.shared_training(name), [])
                if name != self.experiments.shared_training(name) and name not in others:
                    others.append(name)
        return [(name, others) for name, others in found.items() if others]

    # -- jobs --------------------------------------------------------------------------------------------------

    def _sampled(self, dataset: str) -> dict[str, set[str]]:
        """The experiments whose layouts are sampled, for scores (``test``) and for detectors (``train``)."""
        rows = {"test": self.tables.all_rows(dataset, "layouts"), "train": self.figures.painted_rows(dataset)}
        return {purpose: {str(row.experiment) for row in found} for purpose, found in rows.items()}

    def _jobs(self, dataset: str) -> Iterator[Job]:
        """Every job whose network may take GPU time; generators that are not trained run on the CPU."""
        seeds, blocks = len(self.config["seeds"]), self.config
        for row in self.tables.all_rows(dataset, "layouts"):
            for name in self.tables.networks(str(row.experiment), str(row.decoder)):
                yield Job("train_features", name, "features", blocks["features"][name]["method"], 1)
        for name in self.outputs.trainings(dataset):
            yield Job("train_layout", name, "generators", self.experiments[name].generator, seeds)
            if begun := self.experiments.beginning(name):
                yield Job("start_layout", begun.name, "generators", begun.recipe["method"], seeds)
        for purpose, names in self._sampled(dataset).items():
            for name in names & self.outputs.trained(dataset):
                method = self.experiments[name].generator
                yield Job("sample_layouts", f"{name} {purpose}", "generators", method, seeds)
        for row in self.figures.painted_rows(dataset):
            painter = self.experiments.painter(str(row.experiment))
            method = blocks["painters"][painter]["method"]
            if not self.outputs.is_trained_painter(painter):  # it paints on the CPU
                continue
            yield Job("train_image", painter, "painters", method, seeds)
            yield Job("paint_images", f"{row.experiment} {row.decoder}", "painters", method, seeds)
        yield from self._detector_jobs(dataset, seeds)

    def _detector_jobs(self, dataset: str, seeds: int) -> Iterator[Job]:
        trained, blocks = set(), self.config["detectors"]
        for row in self.tables.all_rows(dataset, "detections"):
            for detector in self.tables.detectors(row.table):
                for mix in self.outputs.mixes(detector, row.experiment):
                    trained.add((detector, row.pairs, mix))
        for detector, pairs, mix in trained:
            name = f"{pairs} {detector} {mix}"
            yield Job("train_detector", name, "detectors", blocks[detector]["method"], seeds)
        judge = self.config["metrics"]["image_quality"]["detector"]
        real = f"{REAL_ONLY}/points"
        if self.tables.all_rows(dataset, "images") and (judge, real, 0) not in trained:
            yield Job("train_detector", f"{real} {judge} 0", "detectors", blocks[judge]["method"], 1)

    # -- costs by rule: a short description and the cost, None if only the data tell --------------------------------

    def _work(self, dataset: str, job: Job, settings: Any) -> Layers:
        return NETWORKS[job.kind, job.method](settings, classes(self.config, dataset))

    def _training(self, job: Job, work: Layers, settings: Any, checkpoint: bool = False, steps: int = 0) -> Cost:
        """The cost of a training with the block ``training``, of all its steps or of ``steps``."""
        steps = steps or settings["steps"]
        floor = STEP.get(job.method, STEP.get(job.kind, LARGE_STEP))
        own = (settings["batch"], settings["precision"], floor)
        seconds = step_seconds(work, self.on, *own, checkpoint=checkpoint, ema=bool(settings["ema"]))
        weights = 4.0 * (work.parameters + work.buffers)
        snapshots = steps // settings["snapshot_every"] if settings["snapshot_every"] else 0
        state = weights + 4.0 * work.parameters * (3 if settings["ema"] else 2)
        return Cost(steps, steps * seconds, weights * (1 + snapshots), state)

    def _start_layout(self, dataset: str, job: Job) -> tuple[str, Cost]:
        begun = self.experiments.beginnings[job.name]
        work, cost = self._layout_training(dataset, job, begun.recipe, begun.steps)
        return _network(job, work), cost._replace(kept=cost.state)

    def _train_layout(self, dataset: str, job: Job) -> tuple[str, Cost]:
        recipe, begun = self.experiments.recipe(job.name), self.experiments.beginning(job.name)
        steps = recipe["training"]["steps"] - (begun.steps if begun else 0)
        work, cost = self._layout_training(dataset, job, recipe, steps)
        host = self._diagrams(recipe) * recipe["training"]["batch"]
        return _network(job, work), cost._replace(seconds=cost.seconds + host)

    def _layout_training(self, dataset: str, job: Job, recipe: Any, steps: int) -> tuple[Layers, Cost]:
        work = self._work(dataset, job, recipe)
        checkpoint = recipe["settings"].get("network", {}).get("checkpoint", False)
        return work, self._training(job, work, recipe["training"], checkpoint, steps)

    @staticmethod
    def _diagrams(recipe: Any) -> float:
        """Seconds a sample of the batch, over the whole training, of diagrams that the host computes for the losses."""
        losses, steps = recipe["settings"].get("losses"), recipe["training"]["steps"]
        if recipe["settings"].get("topology"):  # of point diffusion
            return steps * DIAGRAMS["alpha"]
        if not losses or max(losses["weights"]["intra"], losses["weights"]["inter"]) == 0:
            return 0.0
        return (steps - math.ceil(losses["after"] * steps)) * DIAGRAMS[losses["diagrams"]]

    def _sample_layouts(self, dataset: str, job: Job) -> tuple[str, Cost] | None:
        name, purpose = job.name.split()
        one = self.experiments[name]
        n = layouts(self.config, dataset, one.field, purpose)
        if n is None:
            return None
        twice = one.sampling.get("heun") or one.sampling.get("guidance")
        steps = one.sampling.get("steps", 1) * (2 if twice else 1)
        precision = one.sampling.get("precision", "fp32")
        work = self._work(dataset, job, self.experiments.recipe(name))
        return f"{one.generator}, {precision}", self._calls(work, n, steps, one.sampling["batch"], precision)

    def _calls(self, work: Layers, n: int, steps: int, batch: int, precision: str) -> Cost:
        """The cost of ``n`` samples with ``steps`` calls of a network each."""
        calls = -(-n // batch) * steps
        return Cost(0, calls * call_seconds(work, self.on, min(n, batch), precision, CALL))

    def _train_features(self, dataset: str, job: Job) -> tuple[str, Cost]:
        settings = self.config["features"][job.name]
        work = self._work(dataset, job, settings)
        return _network(job, work), self._training(job, work, settings["training"])

    def _train_image(self, dataset: str, job: Job) -> tuple[str, Cost]:
        settings = self.config["painters"][job.name]
        work = self._work(dataset, job, settings)
        return _network(job, work), self._training(job, work, settings["training"], settings["network"]["checkpoint"])

    def _paint_images(self, dataset: str, job: Job) -> tuple[str, Cost]:
        name = job.name.split()[0]
        field = self.config["fields"][self.experiments[name].field]
        block = self.config["painters"][self.experiments.painter(name)]
        sampling = block["sampling"]
        precision = sampling.get("precision", "fp32")
        work = self._work(dataset, job, block)
        n, painter = field["train_layouts"], self.experiments.painter(name)
        cost = self._calls(work, n, sampling["steps"], sampling["batch"], precision)
        return f"{painter}, {precision}", cost._replace(kept=3.0 * n * field["region"] ** 2)

    def _train_detector(self, dataset: str, job: Job) -> tuple[str, Cost]:
        settings = self.config["detectors"][job.name.split()[1]]
        work, training = self._work(dataset, job, settings), settings["training"]
        cost = self._training(job, work, training)
        if job.method == "mcspatnet":
            looks = training["steps"] // (settings["epoch"] or EPOCH)
            best = 4.0 * work.parameters  # the best weights so far
            cost = cost._replace(seconds=cost.seconds + looks * LOOK, state=cost.state + best)
        return _network(job, work), cost


def _network(job: Job, work: Layers) -> str:
    """``adm, 553 M``: the method and its millions of parameters."""
    return f"{job.method}, {work.parameters / 1e6:.3g} M"
