"""The names that a generator's file defines: one protocol for all systems, trained or not.

Settings                 settings of the training, or of the layouts if the generator is not trained
DECODERS                 the sets of layouts that it makes: one for each way to read its maps, or ``points``
generate(request)        layouts for targets

If its settings have a ``batch``, a layout must depend on the targets and seeds of its batch alone: `sample_layouts`
then asks for some batches at a time, and a killed job repeats only the last of them (`generators.writing`).

A trained generator also defines (and ``GPU = False`` if its training and sampling are no faster on one):

TRAINING                 the papers' training settings
Sampling                 settings of sampling layouts with the weights
prepare(recipe, …)       the model and its loss

and, if its own losses act late, BEGINS (`run.begins`): until then its model, its losses and its batches are those of
another generator, whose training it then shares.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from cellscaper.diffusion.settings import Condition, Unconditional
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.run.methods import method
from cellscaper.run.settings import Count, Fraction, Settings, Small, read
from cellscaper.training.settings import Training
from cellscaper.views.rasters import Grid


class Decoding(Settings):
    """Thresholds at which maps in 0 (background) … 1 (marker) are read."""

    threshold: Fraction = Field(0.5, description="threshold of the decoders components (protocol paper) and peaks")
    released_threshold: Fraction | None = Field(
        None, description="threshold of decoder released; null: 0.4 on the map's own values, as both papers' code"
    )


class Recipe(Settings):
    """All settings that determine the weights of a layout model: the section of `train_layout`, kept in the weights.

    ``settings``: the method's ``Settings``. ``grid``, ``condition`` and ``density`` (method and settings of the maps
    that are generated together with the layout) belong to diffusions on layout maps.
    """

    method: str
    settings: Any
    training: Training
    region: Count
    small: Small
    grid: Grid | None = None
    density: Any = None
    condition: Condition = Unconditional()


def grid_of(recipe: Recipe) -> Grid:
    """The raster of the maps; CellscaperError if the recipe has none."""
    if recipe.grid is None:
        raise CellscaperError(f"generator {recipe.method} draws maps and needs a grid; name one in `grid`")
    return recipe.grid


class SamplingSection(Settings):
    """The section of `sample_layouts`.

    ``settings`` are those of the method's ``Sampling``, or of its ``Settings`` where it is not trained. ``counts``: the
    layouts have the counts of the targets, evenly spaced, or of random training crops. ``layouts`` is how many are
    made; None makes one for each target.
    """

    method: str
    settings: Any
    region: Count
    small: Small
    decoding: Decoding = Decoding()
    counts: Literal["targets", "crops"] = "targets"
    layouts: Count | None = None


class SetSection(SamplingSection):
    """The section of `generate_set`: ``layouts`` of the whole set, whose parts begin at multiples of ``unit``."""

    layouts: Count
    unit: Count


def read_recipe(section: Any) -> Recipe:
    """The recipe in a stage's config section or in the facts of weights; CellscaperError for anything else."""
    recipe = read(Recipe, section, "train_layout")
    own = read(method("generators", recipe.method).Settings, recipe.settings, f"generators {recipe.method}")
    return recipe.model_copy(update={"settings": own})


def refuse_density(recipe: Recipe) -> None:
    """CellscaperError if a recipe names a density that its generator does not make."""
    if recipe.density is not None:
        raise CellscaperError(f"generator {recipe.method} takes no density; use spatial_diffusion or leave density out")


@dataclass(frozen=True)
class Prepared:
    """A prepared training: the model, its loss (see `training.trainer.train`), the recipe with the values that were
    derived from the cells, and further facts that ``generate`` will need."""

    model: nn.Module
    loss: Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]
    recipe: Recipe
    facts: Any = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """Requested layouts.

    targets   layouts with the requested counts
    seeds     one for each target, so that a layout does not depend on the others
    settings  the generator's ``Sampling``, or ``Settings`` where it is not trained
    train     the cells of the training images
    region    side of the layouts, px; ``small``: whether smaller training images are an error or left out
    weights, facts   of a trained generator: tensors by name, and the facts in the same file
    decoding  thresholds at which maps are read
    device    device of the computation
    first     number of the first target among all those of a run that asks part by part
    advance   is told how many layouts were made, after each batch
    """

    targets: LayoutSet
    seeds: Sequence[int]
    settings: Any
    train: LayoutSet
    region: int
    small: Small = "error"
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    decoding: Decoding = field(default_factory=Decoding)
    device: torch.device | str = "cpu"
    first: int = 0
    advance: Callable[[int], None] = lambda layouts: None

    @property
    def batch(self) -> int | None:
        """The layouts that are made at once; None if the generator has no such setting."""
        return getattr(self.settings, "batch", None)

    def part(self, start: int, stop: int) -> "Request":
        """The same request for the targets from ``start`` up to ``stop``."""
        rows = slice(start, stop)
        return replace(self, targets=self.targets[rows], seeds=self.seeds[rows], first=self.first + start)


@dataclass(frozen=True)
class Made:
    """Generated layouts: a set for each of the generator's DECODERS, and further arrays by name.

    A set of an untrained generator has the column ``target``: the number of the target of each layout. It may have
    fewer layouts than targets. A set of a trained generator has a layout for each target, in order.
    """

    sets: dict[str, LayoutSet]
    arrays: dict[str, NDArray] = field(default_factory=dict)


class Generator(Protocol):
    """A generator's module. Only trained generators have ``prepare``."""

    DECODERS: tuple[str, ...]

    def prepare(
        self, recipe: Recipe, cells: LayoutSet, density: Sequence[Tensor] | None, device: torch.device
    ) -> Prepared:
        """The training on these cells; ``density``: their normalised maps if the recipe names a density."""

    def generate(self, request: Request) -> Made: ...
