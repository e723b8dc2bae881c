"""What all diffusions on layout maps share: the network, a training batch, sampling and reading the maps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad

from cellscaper.diffusion.conditioning import Denoiser, count_edges, make_condition
from cellscaper.diffusion.objective import Extra, batch_losses
from cellscaper.diffusion.sampler import sample
from cellscaper.diffusion.schedule import make_schedule
from cellscaper.diffusion.unet import UNet
from cellscaper.generators.registry import Training
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.progress import Progress
from cellscaper.views.crops import CropSampler, cut_maps
from cellscaper.views.decoding import DECODERS, decode
from cellscaper.views.rasters import Grid, rasterise, to_unit

EDGE_CROPS = 20_000  # training crops whose quantiles are the edges of the count categories


class MapGenerator(Protocol):
    """What a diffusion on layout maps adds to what they share: its maps, and losses on them.

    ``extra``: losses on the predicted maps of one training step, or None.
    """

    def channels(self, section: dict[str, Any], classes: int) -> int: ...
    def compose(self, layout: Tensor, density: Tensor | None) -> Tensor: ...
    def extra(self, section: dict[str, Any], x0: Tensor, counts: Tensor, step: int) -> Extra | None: ...


def denoiser(section: dict[str, Any], channels: int, classes: int) -> Denoiser:
    """The network of a training section (its condition with edges filled in), on the default device."""
    grid = Grid(**section["grid"])
    outputs = channels * (2 if section["diffusion"]["learn_variance"] else 1)
    net = UNet(channels, outputs, grid.side, **section["network"])
    return Denoiser(net, make_condition(section["condition"], classes, net.width))


def bounds(grid: Grid, channels: int, classes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Least and largest clean value of each channel, (channels, 1, 1): the grid's for the layout, else -1 and 1."""
    low, high = -torch.ones(channels, 1, 1, device=device), torch.ones(channels, 1, 1, device=device)
    low[:classes], high[:classes] = grid.low, grid.high
    return low, high


def diffusion_settings(section: dict[str, Any], channels: int, classes: int) -> dict[str, Any]:
    """The section's diffusion with the ``prediction`` of each channel: density may have one of its own."""
    diffusion = section["diffusion"]
    layout, density = diffusion["prediction"], diffusion["density_prediction"] or diffusion["prediction"]
    return {**diffusion, "prediction": [layout] * classes + [density] * (channels - classes)}


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


def batch_loss(
    section: dict[str, Any], generator: MapGenerator, data: TrainingData, device: torch.device
) -> Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]:
    """The loss of one training step, as the trainer wants it."""
    grid, channels = Grid(**section["grid"]), generator.channels(section, data.classes)
    diffusion = diffusion_settings(section, channels, data.classes)
    schedule = make_schedule(diffusion["schedule"], diffusion["steps"]).to(device)
    data_range = bounds(grid, channels, data.classes, device)
    shares = torch.ones(channels, 1, 1, device=device)
    shares[data.classes :] = diffusion["density_weight"]

    def loss(model: nn.Module, random: torch.Generator, step: int) -> dict[str, Tensor]:
        layout, density, counts = data.batch(section["training"]["batch"], grid, random)
        x0 = generator.compose(layout, density)
        extra = generator.extra(section, x0, counts, step)
        return batch_losses(
            diffusion, schedule, lambda x_t, t: model(x_t, t, counts), x0, random, data_range, shares, extra
        )

    return loss


def sample_maps(
    section: dict[str, Any],
    model: Denoiser,
    channels: int,
    counts: Tensor,
    seeds: Sequence[int],
    sampling: dict[str, Any],
    device: torch.device,
) -> Tensor:
    """Maps (B, channels, side, side) for the requested counts (B, C), one seed each; DDIM.

    sampling: steps, eta, and precision: the network in fp32, or bf16 autocast.
    """
    grid, counts = Grid(**section["grid"]), counts.to(device)

    def network(x: Tensor, t: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=sampling["precision"] == "bf16"):
            return model(x, t, counts)

    return sample(
        diffusion_settings(section, channels, counts.shape[1]),
        network,
        (channels, grid.side, grid.side),
        seeds,
        sampling,
        bounds(grid, channels, counts.shape[1], device),
        device,
    )


def layout_maps(section: dict[str, Any], maps: Tensor, classes: int) -> Tensor:
    """The layout channels of sampled maps in unit range, without padding: (B, C, inner, inner)."""
    return to_unit(maps[:, :classes], Grid(**section["grid"]))


def density_maps(section: dict[str, Any], maps: Tensor, classes: int) -> Tensor:
    """The density channels of sampled maps in 0…1, without padding: (B, C, inner, inner)."""
    grid = Grid(**section["grid"])
    end = grid.side - grid.pad
    return (maps[:, classes : 2 * classes, grid.pad : end, grid.pad : end] + 1) / 2


def with_edges(condition: dict[str, Any], crops: CropSampler, classes: int) -> dict[str, Any]:
    """The condition with ``edges: quantiles`` replaced by the quantiles of the totals of random training crops."""
    if condition["kind"] != "count_category" or condition["edges"] != "quantiles":
        return condition
    counts = crops.sample(EDGE_CROPS, torch.Generator().manual_seed(0)).counts(classes)
    return {**condition, "edges": count_edges(counts.sum(dim=1).cpu().numpy(), condition["categories"])}


@dataclass(frozen=True)
class MapDiffusion:
    """A system of the registry: a map generator's own functions, trained and drawn as all of them are."""

    channels: Callable[[dict[str, Any], int], int]
    compose: Callable[[Tensor, Tensor | None], Tensor]
    extra: Callable[[dict[str, Any], Tensor, Tensor, int], Extra | None]

    def prepare(
        self, section: dict[str, Any], cells: LayoutSet, density: Sequence[Tensor] | None, device: torch.device
    ) -> Training:
        """See `registry.TrainedSystem`; the facts are the number of ``channels``."""
        grid, classes = section["grid"], cells.n_classes
        crops = CropSampler(cells, grid["region"], device, align=grid["stride"], small=section["small"])
        section = {**section, "condition": with_edges(section["condition"], crops, classes)}
        channels = self.channels(section, classes)
        loss = batch_loss(section, self, TrainingData(crops, classes, density), device)
        return Training(denoiser(section, channels, classes), loss, section, {"channels": channels})

    def draw(
        self,
        weights: Mapping[str, Tensor],
        facts: dict[str, Any],
        targets: LayoutSet,
        seeds: Sequence[int],
        config: dict[str, Any],
        device: torch.device,
        what: str,
    ) -> tuple[dict[str, LayoutSet], dict[str, NDArray]]:
        """See `registry.TrainedSystem`: a set for each decoder.

        Beside them, where the model makes density maps, ``density`` (n, C, inner, inner) in 0…1 of the first
        ``sampling.keep_density`` layouts: as fractions of the value that normalised the training maps.
        """
        section, classes, sampling = facts["section"], targets.n_classes, config["sampling"]
        model = denoiser(section, facts["channels"], classes).to(device).eval()
        model.load_state_dict(weights)
        grid, counts = Grid(**section["grid"]), targets.counts()
        thresholds = {
            "components": {"threshold": config["decoding"]["threshold"]},
            "released": {"threshold": config["decoding"]["released_threshold"]},
            "requested": {},
        }
        found: dict[str, list[Layout]] = {name: [] for name in DECODERS}
        kept: list[NDArray] = []
        size, step = (grid.region, grid.region), sampling["batch"]
        with Progress(len(targets), what) as progress:
            for start in range(0, len(targets), step):
                rows = slice(start, start + step)
                asked = torch.from_numpy(counts[rows]).float()
                maps = sample_maps(section, model, facts["channels"], asked, seeds[rows], sampling, device)
                unit = layout_maps(section, maps, classes)
                if facts["channels"] > classes and start < sampling["keep_density"]:
                    kept.append(density_maps(section, maps, classes).cpu().numpy())
                for name in DECODERS:
                    cells = decode(unit, grid, name, counts[rows], thresholds[name])
                    found[name] += [Layout(points, labels, size) for points, labels in cells]
                progress.update(len(asked))
        made = {name: LayoutSet.build(items, targets.classes, targets.mpp) for name, items in found.items()}
        return made, {"density": np.concatenate(kept)[: sampling["keep_density"]]} if kept else {}
