"""The files of a run: the path of each result, and the results that each rule needs. Figures and pages: figures.py."""

from collections.abc import Callable

from cellscaper.plan.experiments import Experiments
from cellscaper.plan.merging import Config
from cellscaper.plan.numbers import spaced
from cellscaper.plan.schema import facts
from cellscaper.plan.tables import REAL_ONLY, Tables


class Outputs:
    """The files of a run of this configuration."""

    def __init__(self, config: Config):
        self.config = config
        self.experiments = Experiments(config)
        self.tables = Tables(self.experiments)
        self.results: str = config["results"]
        self.first_seed = f"seed{config['seeds'][0]}"  # the seed that pictures show

    def folder(self, dataset: str) -> str:
        return f"{self.results}/{dataset}"

    # -- files by stage ----------------------------------------------------------------------------------------

    def cells(self, dataset: str) -> str:
        return f"{self.folder(dataset)}/read_cells/cells.h5"

    def images(self, dataset: str) -> str:
        return f"{self.folder(dataset)}/read_cells/images.h5"

    def windows(self, dataset: str, field: str) -> str:
        return f"{self.folder(dataset)}/cut_patches/{field}.h5"

    def windows_of(self, dataset: str, experiment: str) -> str:
        """The real windows of an experiment's field of view."""
        return self.windows(dataset, self.experiments[experiment].field)

    def targets(self, dataset: str, field: str) -> str:
        """The real layouts whose counts the layouts of a field have: its windows, or training crops by category."""
        categories = self.config["fields"][field]["evaluation"]["kind"] == "categories"
        return self.windows(dataset, f"{field}-targets" if categories else field)

    def targets_of(self, dataset: str, experiment: str) -> str:
        return self.targets(dataset, self.experiments[experiment].field)

    def reference(self, dataset: str, experiment: str) -> list[str]:
        """The training crops that layouts are compared with; none where they are compared with their targets."""
        one = self.experiments[experiment]
        categories = self.config["fields"][one.field]["evaluation"]["kind"] == "categories"
        return [self.windows(dataset, f"{one.field}-reference")] if categories and not one.is_real else []

    def density(self, dataset: str, experiment: str) -> list[str]:
        """The density maps that an experiment generates with its layouts, if any."""
        one, grid = self.experiments[experiment], self.experiments.grid(experiment)
        if one.density is None:
            return []
        return [f"{self.folder(dataset)}/fit_density/{one.density}/stride{grid['stride']}.h5"]

    def layout_weights(self, dataset: str, experiment: str, seed: str) -> list[str]:
        """The weights of this run with which an experiment samples, if any: of the first experiment with its recipe."""
        if not self.experiments[experiment].trains:
            return []
        name = self.experiments.shared_training(experiment)
        return [f"{self.folder(dataset)}/train_layout/{name}/seed{seed}/model.safetensors"]

    def given_weights(self, experiment: str) -> list[str]:
        """The file of weights with which an experiment samples instead of a training, if any.

        It is no input of a rule: its content counts, which is in the section, not its path and time.
        """
        given = self.experiments.weights(experiment)
        return [] if given is None else [given.file]

    def init_model(self, dataset: str, experiment: str, seed: str) -> list[str]:
        """The weights of another experiment that the training of an experiment starts from, if any."""
        other = self.experiments.init_experiment(experiment)
        return [] if other is None else self.layout_weights(dataset, other, seed)

    def init_file(self, experiment: str) -> list[str]:
        """The file that the training of an experiment starts from, if any; like `given_weights`, no input of a rule."""
        given = self.experiments.init(experiment)
        return [] if given is None else [given.file]

    def beginning(self, dataset: str, experiment: str, seed: str) -> list[str]:
        """The beginning that the training of an experiment goes on from, if it shares one."""
        found = self.experiments.beginning(experiment)
        return [f"{self.folder(dataset)}/start_layout/{found.name}/seed{seed}/beginning.safetensors"] if found else []

    def trained(self, dataset: str) -> set[str]:
        """The experiments in the tables of a dataset whose layouts come from a trained model."""
        rows = [row for kind in ("layouts", "detections", "images") for row in self.tables.all_rows(dataset, kind)]
        return {row.experiment for row in rows if row.experiment and self.experiments[row.experiment].is_trained}

    def trainings(self, dataset: str) -> set[str]:
        """The trainings of layout models for the tables of a dataset, and those that they start from.

        Several experiments may share one.
        """
        waiting = [one for one in self.trained(dataset) if self.experiments[one].trains]
        found: set[str] = set()
        while waiting:
            training = self.experiments.shared_training(waiting.pop())
            if training not in found:
                found.add(training)
                other = self.experiments.init_experiment(training)
                waiting += [] if other is None else [other]
        return found

    def told_weights(self) -> list[str]:
        """A line for each file of weights that the run samples with instead of a training."""
        found: dict[str, list[str]] = {}
        for dataset in self.config["run"]["datasets"]:
            for name in sorted(self.trained(dataset)):
                given = self.experiments.weights(name)
                if given is not None:
                    found.setdefault(f"{dataset}: {given.told}", []).append(name)
        return [f"{told}: no training of {', '.join(names)}" for told, names in found.items()]

    def spared_steps(self, is_there: Callable[[str], bool] = lambda file: False) -> list[str]:
        """A line for each dataset and shared beginning: how many training steps the run is spared by it.

        None where ``is_there`` says of the weights of all these trainings that they are there already.
        """
        lines, seeds = [], len(self.config["seeds"])
        for dataset in self.config["run"]["datasets"]:
            for one in self.experiments.beginnings.values():
                names = self.trainings(dataset) & set(one.trainings)
                n, total = len(names), one.recipe["training"]["steps"]
                each = [(name, f"seed{seed}") for name in names for seed in self.config["seeds"]]
                files = [file for name, seed in each for file in self.layout_weights(dataset, name, seed)]
                if n > 1 and not all(map(is_there, files)):
                    spared = spaced((n - 1) * one.steps * seeds)
                    lines.append(
                        f"{dataset}: {n} trainings share the first {one.steps} of {total} steps "
                        f"(start_layout {one.name}), seeds: {seeds}; {spared} steps spared"
                    )
        return lines

    def layouts(self, dataset: str, experiment: str, targets: str, seed: str) -> str:
        return f"{self.folder(dataset)}/sample_layouts/{experiment}/{targets}/{seed}/layouts.h5"

    def painted(self, dataset: str, experiment: str, decoder: str | None, seed: str) -> str:
        return f"{self.folder(dataset)}/paint_images/{experiment}/{decoder}/{seed}/images.h5"

    def painting(self, dataset: str, experiment: str, seed: str) -> dict[str, list[str]]:
        """Inputs of a painter besides the layouts: its weights, or the training images if it is not trained."""
        name = self.experiments.painter(experiment)
        if self.is_trained_painter(name):
            model = f"{self.folder(dataset)}/train_image/{name}/seed{seed}/model.safetensors"
            return {"model": [model], "cells": [], "images": []}
        return {"model": [], "cells": [self.cells(dataset)], "images": [self.images(dataset)]}

    def set_inputs(self, name: str) -> dict[str, list[str]]:
        """Inputs of a part of a generated set besides the cells: its weights, and targets if they are no crops."""
        block = self.config["sets"][name]
        dataset, experiment = block["dataset"], block["experiment"]
        crops = self.config["fields"][self.experiments[experiment].field]["evaluation"]["kind"] == "windows"
        targets = [] if crops else [self.targets_of(dataset, experiment)]
        return {"targets": targets, "model": self.layout_weights(dataset, experiment, str(block["seed"]))}

    def set_painting(self, name: str) -> dict[str, list[str]]:
        """Inputs of the images of a part of a generated set besides its layouts."""
        block = self.config["sets"][name]
        return self.painting(block["dataset"], block["experiment"], str(block["seed"]))

    def set_files(self) -> list[str]:
        """The files of all parts of all generated sets."""
        found = []
        for name, block in self.config["sets"].items():
            kinds = ["layouts.h5", "images.h5"] if block["images"] else ["layouts.h5"]
            for part in range(1, block["parts"] + 1):
                folder = f"{self.folder(block['dataset'])}/sets/{name}/part{part}-of-{block['parts']}"
                found += [f"{folder}/{kind}" for kind in kinds]
        return found

    def is_trained_painter(self, name: str) -> bool:
        return bool(facts()["painters"][self.config["painters"][name]["method"]]["trained"])

    def pairs(self, dataset: str, experiment: str, decoder: str, seed: str) -> dict[str, str]:
        """The layouts and painted images for the training of a detector: none for real images alone."""
        if experiment == REAL_ONLY:
            return {}
        if self.selects_pairs(experiment):
            folder = f"{self.folder(dataset)}/select_pairs/{experiment}/{decoder}/seed{seed}"
            return {"layouts": f"{folder}/layouts.h5", "painted": f"{folder}/images.h5"}
        return self.all_pairs(dataset, experiment, decoder, seed)

    def all_pairs(self, dataset: str, experiment: str, decoder: str, seed: str) -> dict[str, str]:
        """The sampled layouts and their painted images, before any of them is left out."""
        return {
            "layouts": self.layouts(dataset, experiment, "train", f"seed{seed}"),
            "painted": self.painted(dataset, experiment, decoder, f"seed{seed}"),
        }

    def selects_pairs(self, experiment: str) -> bool:
        """Whether pairs of an experiment are left out where a detector misses too many of their cells."""
        return self.config["painters"][self.experiments.painter(experiment)]["least_recall"] is not None

    def scored_pairs(self, dataset: str, experiment: str, decoder: str, seed: str) -> dict[str, str]:
        """The layouts and painted images to score: none for rows of real images (other inputs of the stage)."""
        return {} if self.experiments[experiment].is_real else self.pairs(dataset, experiment, decoder, seed)

    def networks(self, dataset: str, experiment: str, decoder: str) -> dict[str, str]:
        """The networks that score an experiment, by method; all rows and seeds use the network of the first seed."""
        folder, blocks = f"{self.folder(dataset)}/train_features", self.config["features"]
        names = self.tables.networks(experiment, decoder)
        return {blocks[name]["method"]: f"{folder}/{name}/{self.first_seed}/model.safetensors" for name in names}

    def mixed_detectors(self, dataset: str, detector: str, experiment: str, decoder: str, seed: str) -> list[str]:
        """The weights of a detector with each fraction of synthetic crops."""
        folder = f"{self.folder(dataset)}/train_detector/{detector}/{experiment}/{decoder}"
        generated = None if experiment == REAL_ONLY else experiment
        return [f"{folder}/mix{mix}/seed{seed}/model.safetensors" for mix in self.mixes(detector, generated)]

    def image_judge(self, dataset: str) -> str:
        """The detector that judges painted images: trained on real images alone, with the first seed."""
        folder = f"train_detector/{self.config['metrics']['image_quality']['detector']}/{REAL_ONLY}/points/mix0"
        return f"{self.folder(dataset)}/{folder}/{self.first_seed}/model.safetensors"

    def mixes(self, detector: str, experiment: str | None) -> list[int]:
        """Percentages of synthetic crops with which a detector is trained: none without generated pairs."""
        if experiment is None:
            return [0]
        return [round(100 * fraction) for fraction in self.config["detectors"][detector]["synthetic_fractions"]]

    def detector_weights(self, dataset: str, detector: str, experiment: str, decoder: str, seed: str) -> str:
        """The weights with which a detector detects: its only weights, or the best on the validation images."""
        models = self.mixed_detectors(dataset, detector, experiment, decoder, seed)
        if len(models) == 1:
            return models[0]
        folder = f"{self.folder(dataset)}/select_detector/{detector}/{experiment}/{decoder}"
        return f"{folder}/seed{seed}/model.safetensors"

    # -- tables --------------------------------------------------------------------------------------------------

    def table_scores(self, dataset: str, table: str) -> list[str]:
        """Score files of all rows of a table that are run, over all seeds."""
        kind, found = self.tables.kind(table), set()
        for row in self.tables.rows(table):
            if kind == "detections":
                stems = [f"score_detections/{name}/{row.pairs}" for name in self.tables.detectors(table)]
            else:
                stems = [f"score_{kind}/{row.experiment}/{row.decoder}"]
            for stem in stems:
                found |= {f"{self.folder(dataset)}/{stem}/seed{seed}/scores.csv" for seed in self.config["seeds"]}
        return sorted(found)

    def table_counts(self, dataset: str, table: str) -> list[str]:
        """The files of image counts for a table of detections, over all seeds."""
        if self.tables.kind(table) != "detections":
            return []
        return [file.replace("/scores.csv", "/counts.csv") for file in self.table_scores(dataset, table)]
