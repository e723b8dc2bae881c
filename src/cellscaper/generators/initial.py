"""The weights that the training of a layout model starts from: `init` of an experiment (docs/weights.md)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from cellscaper.disk.files import checksum
from cellscaper.disk.formats.class_names import spelled_as
from cellscaper.disk.shipped import at_scale_of
from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.generators.protocol import Generator, Recipe
from cellscaper.run.settings import read
from cellscaper.training.initial import start_from
from cellscaper.training.state import say

OF_EXPERIMENT = "experiment:"  # before the name in a recipe: its weights are a file of the run


def check_planned(file: Path | None, planned: str | None) -> None:
    """CellscaperError unless a file was given where one was planned, with the SHA-256 that was planned.

    The weights of another experiment have no checksum in a recipe, because they are made by the run.
    """
    if planned is not None and file is not None and planned.startswith(OF_EXPERIMENT):
        return
    found = None if file is None else checksum(file)
    if found != planned:
        raise CellscaperError(
            f"--init {file} has the SHA-256 {found}, but {planned} was planned; start the workflow again"
        )


def start_training(
    model: nn.Module, generator: Generator, recipe: Recipe, classes: Sequence[str], mpp: float, file: Path, what: str
) -> None:
    """Give a new model the weights of a file, class by class, and say what starts anew; capitals do not count.

    CellscaperError if the file holds no layout model, or one of another network, region or scale.
    """
    weights, facts = read_weights(file)
    known, anatomy = spelled_as(facts.get("classes", []), classes), getattr(generator, "anatomy", None)
    if anatomy is None:
        raise CellscaperError(f"generator {recipe.method} cannot start from other weights: it has no `anatomy`")
    if "beginning" in facts:
        raise CellscaperError(f"{file} is the beginning of a training, no weights; name a model.safetensors")
    theirs = _recipe_of(file, facts)
    if theirs.region != recipe.region:
        raise CellscaperError(
            f"{file} was trained on regions of {theirs.region} px, this experiment has {recipe.region} px; take a "
            "field of that region, or other weights"
        )
    if not at_scale_of(facts, mpp):
        raise CellscaperError(
            f"{file} was trained at {facts['mpp']:g} µm a pixel, these cells have {mpp:g}; rescale the data, or take "
            "other weights"
        )
    done = start_from(model, anatomy(recipe, classes), weights, anatomy(theirs, known), file)
    for line in _told(file, theirs, classes, known, done.anew, done.copied / done.total):
        say(f"{what}: {line}")


def _recipe_of(file: Path, facts: Any) -> Recipe:
    """The recipe in the facts of weights; its settings stay as they are written."""
    try:
        return read(Recipe, facts["section"], "train_layout")
    except (CellscaperError, LookupError) as error:
        raise CellscaperError(f"{file} holds no model of layouts; name weights of train_layout") from error


def _told(
    file: Path, theirs: Recipe, classes: Sequence[str], known: Sequence[str], anew: Sequence[str], share: float
) -> list[str]:
    same, new = [one for one in classes if one in known], [one for one in classes if one not in known]
    gone = [one for one in known if one not in classes]
    said = [f"classes as there: {', '.join(same) or 'none'}"]
    said += [f"starting anew: {', '.join(new)}"] if new else []
    said += [f"left out: {', '.join(gone)}"] if gone else []
    first = (
        f"training starts from {file} ({theirs.method}, {theirs.training.steps} steps), {share:.2%} of the numbers; "
        + "; ".join(said)
    )
    return [first] + ([f"parameters that start anew, whole or in part: {', '.join(anew)}"] if anew else [])
