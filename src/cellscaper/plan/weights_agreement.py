"""The weights that experiments name, against the rest of the configuration: one line for the first error."""

from typing import Any

from cellscaper.errors import CellscaperError
from cellscaper.plan.experiments import Experiment, Experiments
from cellscaper.plan.merging import Config
from cellscaper.plan.places import Places, nearest
from cellscaper.run.differences import differences, other_weights

FREE = {"dropout", "checkpoint"}  # settings of a network that no number in its weights depends on


def check_weights(name: str, every: Experiments, places: Places) -> None:
    """Weights and starts of an experiment: they are there, `weights` fit it, and starts lead to no circle."""
    one, path = every[name], ["experiments", name]
    for key in ("weights", "init"):
        value = getattr(one, key)
        if value is None or (key == "init" and value in every.names):
            continue
        try:
            every.named_weights(value)
        except CellscaperError as error:
            near = nearest(value, every.names, 0.6) if key == "init" else ""
            raise CellscaperError(f"{places.value([*path, key], value)}: {error}{near}") from error
    if one.init in every.names and not every[str(one.init)].is_trained:
        generator = every[str(one.init)].generator
        raise CellscaperError(
            f"{places.value([*path, 'init'], one.init)}: generator {generator} is not trained; name an experiment with "
            "weights"
        )
    seen = [name]
    while (other := every.init_experiment(seen[-1])) is not None:
        seen.append(other)
        if other == name:
            raise CellscaperError(
                f"{places.value([*path, 'init'], one.init)}: starts lead in a circle ({' → '.join(seen)}); one of them "
                "must start from other weights or none"
            )
        if len(seen) > len(every.names):  # a circle that it leads into is told at its own experiments
            break
    start = every.init(name)
    if start is not None:
        _check_start(places.value([*path, "init"], one.init), every.recipe(name), start.section)
    given = every.weights(name)
    if given is not None:
        _check_fit(places.value([*path, "weights"], one.weights), one, given.section, every.config)


def _check_start(where: str, recipe: Any, section: Any) -> None:
    """CellscaperError if a training cannot begin with weights, as far as both recipes tell: region, raster, network."""
    parts = [(key, recipe.get(key), section.get(key)) for key in ("region", "grid")]
    parts.append(("settings.network", recipe["settings"].get("network"), section["settings"].get("network")))
    for key, own, other in parts:
        for path, one, two in differences(key, own, other, lambda a, b: sorted((a.keys() & b.keys()) - FREE)):
            if None not in (one, two):  # what only one side has is left to the training
                raise other_weights(f"{where}: these weights were", path, one, two)


def _check_fit(where: str, one: Experiment, section: Any, config: Config) -> None:
    """CellscaperError if the recipe of given weights is of another generator or region, or has (no) density."""
    if section["method"] != one.generator:
        raise CellscaperError(
            f"{where}: these are weights of generator {section['method']}, the experiment has {one.generator}; set "
            "weights: null to train it"
        )
    region = config["fields"][one.field]["region"]
    if section["region"] != region:
        raise CellscaperError(
            f"{where}: these weights make layouts of {section['region']} px, field {one.field} has {region} px; take "
            "another field, or set weights: null to train it"
        )
    if (section.get("density") is None) != (one.density is None):
        beside = "no density maps" if section.get("density") is None else "density maps"
        raise CellscaperError(
            f"{where}: these weights make {beside} beside the layout, the experiment has density {one.density}; change "
            "`density`, or set weights: null to train it"
        )
