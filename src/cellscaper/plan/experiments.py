"""Experiments with their bases and defaults written out, and which of them share results.

Experiments share weights if all settings of their training are equal, and layouts and scores if all settings are
equal. The first of them in the configuration gives the name.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cellscaper.plan.beginnings import Beginning, shared_beginnings
from cellscaper.plan.blocks import method_block
from cellscaper.plan.merging import Config
from cellscaper.plan.provenance import canonical
from cellscaper.plan.schema import facts
from cellscaper.plan.weights import Weights, weights


@dataclass(frozen=True)
class Experiment:
    """One system: its generator, its field of view and its settings.

    ``training`` and ``sampling`` are None if the generator is not trained; ``grid``, ``density``, ``condition`` and
    ``decoding`` are None if it makes no maps. ``grid`` and ``density`` are names. ``weights`` stand in place of its
    training, and ``init`` is where the training starts: a file, ``package:NAME`` or, for ``init``, an experiment.
    """

    name: str
    generator: str
    field: str
    settings: Any
    training: Any = None
    sampling: Any = None
    grid: str | None = None
    density: str | None = None
    condition: Any = None
    decoding: Any = None
    init: str | None = None
    weights: str | None = None

    @property
    def is_trained(self) -> bool:
        """Whether its layouts come from trained weights, of this run or given ones."""
        return self.training is not None

    @property
    def trains(self) -> bool:
        """Whether the run trains its weights."""
        return self.is_trained and self.weights is None

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU makes its training and sampling faster."""
        return bool(facts()["generators"][self.generator]["gpu"])

    @property
    def is_real(self) -> bool:
        """Whether its layouts are real and compared with other real layouts."""
        return self.generator == "real_halves"


class Experiments:
    """The experiments of a configuration (`configuration.configuration`), by name."""

    def __init__(self, config: Config):
        self.config = config
        self._by_name = {name: self._read(name, block) for name, block in config["experiments"].items()}
        self._weights: dict[str, Weights] = {}

    @property
    def names(self) -> list[str]:
        return list(self._by_name)

    def __getitem__(self, name: str) -> Experiment:
        return self._by_name[name]

    def _read(self, name: str, block: Any) -> Experiment:
        known = {key: value for key, value in block.items() if key in Experiment.__dataclass_fields__}
        experiment = Experiment(name=name, **known)
        if facts()["generators"][experiment.generator]["decoders"] == ["points"]:
            return experiment
        grid = experiment.grid or self.config["fields"][experiment.field]["grid"]
        return Experiment(**{**vars(experiment), "grid": grid})

    # -- values behind names -------------------------------------------------------------------------------

    def region(self, name: str) -> int:
        """The side of an experiment's layouts, px."""
        return int(self.config["fields"][self[name].field]["region"])

    def grid(self, name: str) -> Any:
        """The raster of an experiment's maps, or None."""
        if (given := self.weights(name)) is not None:
            return given.section.get("grid")
        grid = self[name].grid
        return None if grid is None else {"region": self.region(name), **self.config["grids"][grid]}

    def density(self, name: str) -> Any:
        """The method and settings of the density maps that an experiment generates with its layouts, or None."""
        density = self[name].density
        return None if density is None else method_block(self.config["densities"][density])

    # -- weights that the run does not train -----------------------------------------------------------------

    def weights(self, name: str) -> Weights | None:
        """The weights that an experiment samples with instead of training its own."""
        named = self[name].weights
        return None if named is None or not self[name].is_trained else self.named_weights(named)

    def init(self, name: str) -> Weights | None:
        """The file of weights that the training of an experiment starts from; None for new ones or an experiment's."""
        named = self[name].init
        if named is None or not self[name].trains:
            return None
        return self.weights(named) if named in self._by_name else self.named_weights(named)

    def init_experiment(self, name: str) -> str | None:
        """The experiment whose training makes the weights that the training of ``name`` starts from."""
        one = self[name]
        named = one.init if one.trains and one.init in self._by_name else None
        return named if named is not None and self[named].trains else None

    def named_weights(self, named: str) -> Weights:
        """The weights of a name in the configuration, read once."""
        if named not in self._weights:
            self._weights[named] = weights(named)
        return self._weights[named]

    # -- sharing -------------------------------------------------------------------------------------------

    def recipe(self, name: str) -> Any:
        """All settings that determine the weights: the section of `train_layout`.

        Of given weights it is that of their training.
        """
        if (given := self.weights(name)) is not None:
            return {key: value for key, value in given.section.items() if value is not None}
        one, field = self[name], self.config["fields"][self[name].field]
        recipe = {
            "method": one.generator,
            "settings": one.settings,
            "training": one.training,
            "region": field["region"],
            "small": field["small"],
            "grid": self.grid(name),
            "density": self.density(name),
            "condition": one.condition,
            "init": self._planned_init(name),
        }
        return {key: value for key, value in recipe.items() if value is not None}

    def _planned_init(self, name: str) -> str | None:
        """What a recipe says of the weights that the training starts from."""
        if (other := self.init_experiment(name)) is not None:
            return f"experiment:{other}"
        given = self.init(name)
        return None if given is None else given.sha256

    def _everything(self, name: str) -> Any:
        one, field = self[name], dict(self.config["fields"][self[name].field])
        field["painter"] = self.config["painters"][field["painter"]]
        field["features"] = [self.config["features"][feature] for feature in field["features"]]
        del field["grid"]
        given = self.weights(name)
        return [self.recipe(name), None if given is None else given.sha256, one.sampling, one.decoding, field]

    @cached_property
    def _first_alike(self) -> dict[str, str]:
        return _first({name: canonical(self._everything(name)) for name in self._by_name})

    @cached_property
    def _first_trained_alike(self) -> dict[str, str]:
        return _first({name: canonical(self.recipe(name)) for name, one in self._by_name.items() if one.trains})

    def shared(self, name: str) -> str:
        """The first experiment with all settings equal: ``name`` uses its layouts and scores."""
        return self._first_alike[name]

    def shared_training(self, name: str) -> str:
        """The first experiment with the same recipe: ``name``, which trains, uses its weights."""
        return self._first_trained_alike[name]

    @cached_property
    def beginnings(self) -> dict[str, Beginning]:
        """The beginnings that trainings share, by their own names.

        All experiments of the configuration count, so that the tables of a run do not change what a training reads.
        """
        names = [name for name in self._first_trained_alike if self.shared_training(name) == name]
        return {one.name: one for one in shared_beginnings({name: self.recipe(name) for name in names})}

    def beginning(self, name: str) -> Beginning | None:
        """The beginning that the training of an experiment shares with others, or None."""
        training = self._first_trained_alike.get(name)
        return next((one for one in self.beginnings.values() if training in one.trainings), None)

    @cached_property
    def _first_painter(self) -> dict[str, str]:
        return _first({name: canonical(block) for name, block in self.config["painters"].items()})

    @cached_property
    def _first_feature(self) -> dict[str, str]:
        return _first({name: canonical(block) for name, block in self.config["features"].items()})

    def painter(self, name: str) -> str:
        """The painter of an experiment's layouts: the first painter with equal settings."""
        return self._first_painter[self.config["fields"][self[name].field]["painter"]]

    def features(self, name: str) -> list[str]:
        """The feature networks that may score an experiment: of networks with equal settings, the first."""
        return [self._first_feature[one] for one in self.config["fields"][self[name].field]["features"]]


def _first(content: dict[str, str]) -> dict[str, str]:
    """For each name the first name with the same content."""
    firsts: dict[str, str] = {}
    for name, text in content.items():
        firsts.setdefault(text, name)
    return {name: firsts[text] for name, text in content.items()}
