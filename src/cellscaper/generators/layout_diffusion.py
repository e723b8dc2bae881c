"""What all diffusions on layout maps share: the network, a training batch, sampling and reading the maps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from cellscaper.crops import CropSampler, cut_maps
from cellscaper.diffusion.conditioning import Denoiser, make_condition
from cellscaper.diffusion.objective import batch_losses
from cellscaper.diffusion.sampler import sample
from cellscaper.diffusion.schedule import make_schedule
from cellscaper.diffusion.unet import UNet
from cellscaper.generators.registry import MapGenerator
from cellscaper.rasters import Grid, rasterise, to_unit


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
    """Maps (B, channels, side, side) for the requested counts (B, C), one seed each; DDIM."""
    grid, counts = Grid(**section["grid"]), counts.to(device)
    return sample(
        diffusion_settings(section, channels, counts.shape[1]),
        lambda x, t: model(x, t, counts),
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
