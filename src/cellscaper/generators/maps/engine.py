"""The common part of all diffusions on layout maps: network, training batches, sampling, and reading of the maps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from cellscaper.diffusion.conditioning import WITHHELD, Denoiser, make_condition, withhold
from cellscaper.diffusion.objective import Extra, Noise, batch_losses, draw_noise
from cellscaper.diffusion.sampler import sample
from cellscaper.diffusion.schedule import make_schedule
from cellscaper.diffusion.settings import CategoryCondition, CountsCondition, LayoutDiffusion, MapSampling, Network
from cellscaper.diffusion.unet import UNet
from cellscaper.errors import CellscaperError
from cellscaper.generators.protocol import Made, Prepared, Recipe, Request, grid_of, read_recipe
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.settings import Settings, read
from cellscaper.run.transfer import to_device
from cellscaper.training.contract import Drawn
from cellscaper.training.initial import Anatomy
from cellscaper.training.settings import Training
from cellscaper.views.crops import CropSampler, cut_maps
from cellscaper.views.decoding import DECODERS, decode
from cellscaper.views.grid import Grid
from cellscaper.views.rasters import rasterise, to_unit
from cellscaper.views.training_crops import category_edges

PAPER_TRAINING = Training(  # both papers; TC: 150 K + 210 K steps
    steps=360_000, batch=5, lr=2.0e-5, ema=0.9999, precision="bf16", save_every=600, log_every=100
)


class MapSettings(Settings):
    """Settings of every diffusion on layout maps."""

    network: Network = Network()
    diffusion: LayoutDiffusion = Field(LayoutDiffusion(), description="noise process")


class MapGenerator(Protocol):
    """The functions that a diffusion on layout maps adds to the common part: its maps, and losses on them.

    ``ahead``: what the host computes from the clean layouts (n, C, side, side) of a step, before the device needs it.
    ``extra``: losses on the predicted maps of one training step, from the clean maps and the result of ``ahead``; or
    None.
    """

    @property
    def channels(self) -> Callable[[Recipe, int], int]: ...
    @property
    def compose(self) -> Callable[[Tensor, Tensor | None], Tensor]: ...
    @property
    def ahead(self) -> Callable[[Recipe, Tensor, int], Any]: ...
    @property
    def extra(self) -> Callable[[Recipe, Tensor, Any, int], Extra | None]: ...


def denoiser(recipe: Recipe, channels: int, classes: int) -> Denoiser:
    """The network of a recipe (its condition with edges filled in), on the default device."""
    outputs = channels * (2 if recipe.settings.diffusion.learn_variance else 1)
    net = UNet(channels, outputs, grid_of(recipe).side, **dict(recipe.settings.network))
    return Denoiser(net, make_condition(recipe.condition, classes, net.width))


def bounds(grid: Grid, channels: int, classes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Smallest and largest clean value of each channel, (channels, 1, 1): the grid's for layout, else -1 and 1."""
    low, high = -torch.ones(channels, 1, 1, device=device), torch.ones(channels, 1, 1, device=device)
    low[:classes], high[:classes] = grid.low, grid.high
    return low, high


def predictions(diffusion: LayoutDiffusion, channels: int, classes: int) -> Sequence[str]:
    """The quantity that the network predicts in each channel; the settings may name another one for density."""
    density = diffusion.density_prediction or diffusion.prediction
    return [diffusion.prediction] * classes + [density] * (channels - classes)


@dataclass(frozen=True)
class TrainingData:
    """Crops of the training cells and, where the experiment has one, their normalised density maps in -1…1."""

    crops: CropSampler
    classes: int
    density: Sequence[Tensor] | None  # for each training image (C, h, w)

    def batch(self, n: int, grid: Grid, generator: torch.Generator) -> tuple[Tensor, Tensor | None, Tensor]:
        """Layout maps (n, C, side, side), density maps of the same shape or None, counts (n, C)."""
        drawn = self.crops.sample(n, generator)
        layout = rasterise(drawn.points, drawn.labels, drawn.index, n, self.classes, grid)
        density = None
        if self.density is not None:
            density = pad(cut_maps(self.density, drawn, grid.stride), (grid.pad,) * 4, value=-1.0)
        return layout, density, drawn.counts(self.classes)


class Batch(NamedTuple):
    """One training batch on the host: as :meth:`TrainingData.batch`, its noise, and the result of ``ahead``."""

    layout: Tensor
    density: Tensor | None
    counts: Tensor
    noise: Noise
    ahead: Any


def batch_loss(recipe: Recipe, generator: MapGenerator, data: TrainingData, device: torch.device) -> Drawn:
    """The loss of one training step, in the form that `training.trainer.train` takes."""
    grid, channels, diffusion = grid_of(recipe), generator.channels(recipe, data.classes), recipe.settings.diffusion
    schedule = make_schedule(diffusion.schedule, diffusion.steps).to(device)
    data_range = bounds(grid, channels, data.classes, device)
    kinds = predictions(diffusion, channels, data.classes)
    shares = torch.ones(channels, 1, 1, device=device)
    shares[data.classes :] = diffusion.density_weight
    withheld = recipe.condition.drop if isinstance(recipe.condition, CountsCondition) else 0.0

    def draw(random: torch.Generator, step: int) -> Batch:
        layout, density, counts = data.batch(recipe.training.batch, grid, random)
        noise = draw_noise(schedule.steps, (len(layout), channels, *layout.shape[2:]), random)
        counts = withhold(counts, withheld, random)
        return Batch(layout, density, counts, noise, generator.ahead(recipe, layout, step))

    def loss(model: nn.Module, drawn: Batch, step: int) -> dict[str, Tensor]:
        layout, counts = to_device(drawn.layout, device), to_device(drawn.counts, device)
        x0 = generator.compose(layout, None if drawn.density is None else to_device(drawn.density, device))
        return batch_losses(
            diffusion,
            schedule,
            lambda x_t, t: model(x_t, t, counts),
            x0,
            drawn.noise,
            kinds,
            data_range,
            shares,
            generator.extra(recipe, x0, drawn.ahead, step),
        )

    return Drawn(draw, loss)


def sample_maps(
    recipe: Recipe,
    model: Denoiser,
    channels: int,
    counts: Tensor,
    seeds: Sequence[int],
    sampling: MapSampling,
    device: torch.device,
) -> Tensor:
    """Maps (B, channels, side, side) for the requested counts (B, C), one seed each; DDIM.

    CellscaperError for guidance of a model whose training withheld no counts.
    """
    grid, counts, diffusion = grid_of(recipe), counts.to(device), recipe.settings.diffusion
    classes, strength = counts.shape[1], sampling.guidance
    if strength and getattr(recipe.condition, "drop", 0.0) == 0:
        raise CellscaperError(
            f"sampling.guidance = {strength:g}: the training withheld no counts; train with condition "
            "{kind: class_counts, drop: 0.1}, or take guidance 0"
        )

    def network(x: Tensor, t: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=sampling.precision == "bf16"):
            told = model(x, t, counts)
            if not strength:
                return told
            return told + strength * (told - model(x, t, torch.full_like(counts, WITHHELD)))

    return sample(
        diffusion,
        network,
        (channels, grid.side, grid.side),
        seeds,
        sampling,
        bounds(grid, channels, classes, device),
        device,
        predictions(diffusion, channels, classes),
    )


def layout_maps(grid: Grid, maps: Tensor, classes: int) -> Tensor:
    """The layout channels of sampled maps in unit range, without padding: (B, C, inner, inner)."""
    return to_unit(maps[:, :classes], grid)


def density_maps(grid: Grid, maps: Tensor, classes: int) -> Tensor:
    """The density channels of sampled maps in 0…1, without padding: (B, C, inner, inner)."""
    end = grid.side - grid.pad
    return (maps[:, classes : 2 * classes, grid.pad : end, grid.pad : end] + 1) / 2


def with_edges(recipe: Recipe, crops: CropSampler) -> Recipe:
    """The recipe with ``edges: quantiles`` replaced by the quantiles of the totals of random training crops."""
    condition = recipe.condition
    if not isinstance(condition, CategoryCondition) or condition.edges != "quantiles":
        return recipe
    edges = tuple(category_edges(crops, condition.categories))
    return recipe.model_copy(update={"condition": condition.model_copy(update={"edges": edges})})


def anatomy(recipe: Recipe, classes: Sequence[str]) -> Anatomy:
    """What the network's parameters belong to: channels of the layout and of the density of each class.

    The recipe may be of any diffusion on layout maps. The condition starts anew where it is of another kind or scale.
    """
    if recipe.grid is None:
        raise CellscaperError(f"the weights are a model of {recipe.method}, expected one of maps; take other weights")
    own = recipe.settings if isinstance(recipe.settings, dict) else recipe.settings.model_dump(mode="json")
    blocks = {key: own[key] for key in MapSettings.model_fields if key in own}
    settings, grid = read(MapSettings, blocks, f"generators {recipe.method}"), recipe.grid
    kinds = ["layout"] if recipe.density is None else ["layout", "density"]
    inputs = [(kind, name, k) for kind in kinds for name in classes for k in range(settings.network.fold**2)]
    outputs = [("mean", *one) for one in inputs]
    if settings.diffusion.learn_variance:
        outputs += [("variance", *one) for one in inputs]
    axes: dict[str, dict[int, Sequence[Any]]] = {
        "net.stem.weight": {1: inputs},
        "net.head.2.weight": {0: outputs},
        "net.head.2.bias": {0: outputs},
    }
    if isinstance(recipe.condition, CountsCondition):
        axes["condition.mlp.0.weight"] = {1: list(classes)}
    alike = {
        "settings.network": settings.network.model_dump(mode="json", exclude={"dropout", "checkpoint"}),
        "settings.diffusion": settings.diffusion.model_dump(
            mode="json", include={"schedule", "steps", "prediction", "learn_variance"}
        ),
        "grid": vars(grid),
    }
    told = recipe.condition.model_dump(mode="json", exclude={"drop", "edges"})
    return Anatomy(alike, axes, {"condition.": told})


@dataclass(frozen=True)
class MapDiffusion:
    """A generator on layout maps: its own functions, with the common training and sampling (`generators.protocol`)."""

    channels: Callable[[Recipe, int], int]
    compose: Callable[[Tensor, Tensor | None], Tensor]
    extra: Callable[[Recipe, Tensor, Any, int], Extra | None]
    ahead: Callable[[Recipe, Tensor, int], Any] = lambda *_: None

    def prepare(
        self, recipe: Recipe, cells: LayoutSet, density: Sequence[Tensor] | None, device: torch.device
    ) -> Prepared:
        """See `protocol.Generator`; the facts are the number of ``channels``."""
        grid, classes = grid_of(recipe), cells.n_classes
        crops = CropSampler(cells, grid.region, align=grid.stride, small=recipe.small)
        recipe = with_edges(recipe, crops)
        channels = self.channels(recipe, classes)
        loss = batch_loss(recipe, self, TrainingData(crops, classes, density), device)
        return Prepared(denoiser(recipe, channels, classes), loss, recipe, {"channels": channels})

    def anatomy(self, recipe: Recipe, classes: Sequence[str]) -> Anatomy:
        """See `protocol` and :func:`anatomy`."""
        return anatomy(recipe, classes)

    def generate(self, request: Request) -> Made:
        """See `protocol.Generator`: a set for each decoder."""
        return read_maps(request)


def read_maps(request: Request, keep_density: int = 0) -> Made:
    """Sampled maps, read by each decoder.

    If the model makes density maps, the result also has the array ``density`` (n, C, inner, inner) of the first
    ``keep_density`` layouts of the run, in 0…1: fractions of the value that normalised the training maps.
    """
    targets, sampling, facts = request.targets, request.settings, request.facts
    keep_density = max(keep_density - request.first, 0)
    recipe, classes, device = read_recipe(facts["section"]), targets.n_classes, torch.device(request.device)
    model = denoiser(recipe, facts["channels"], classes).to(device).eval()
    model.load_state_dict(request.weights)
    grid, counts = grid_of(recipe), targets.counts()
    thresholds: dict[str, dict[str, float | None]] = {
        "components": {"threshold": request.decoding.threshold},
        "peaks": {"threshold": request.decoding.threshold},
        "released": {"threshold": request.decoding.released_threshold},
        "requested": {},
    }
    found: dict[str, list[Layout]] = {name: [] for name in DECODERS}
    kept: list[NDArray] = []
    size, step = (grid.region, grid.region), sampling.batch
    for start in range(0, len(targets), step):
        rows = slice(start, start + step)
        asked = torch.from_numpy(counts[rows]).float()
        maps = sample_maps(recipe, model, facts["channels"], asked, request.seeds[rows], sampling, device)
        unit = layout_maps(grid, maps, classes)
        if facts["channels"] > classes and start < keep_density:
            kept.append(density_maps(grid, maps, classes).cpu().numpy())
        for name in DECODERS:
            cells = decode(unit, grid, name, counts[rows], thresholds[name])
            found[name] += [Layout(points, labels, size) for points, labels in cells]
        request.advance(len(asked))
    made = {name: LayoutSet.build(items, targets.classes, targets.mpp) for name, items in found.items()}
    return Made(made, {"density": np.concatenate(kept)[:keep_density]} if kept else {})
