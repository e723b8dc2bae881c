"""Layout → H&E: ADM's U-Net on images, with the layout's markers as further input channels (SD section 3)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad

from cellscaper.crops import CropSampler, cut_maps
from cellscaper.diffusion.objective import batch_losses
from cellscaper.diffusion.sampler import sample
from cellscaper.diffusion.schedule import make_schedule
from cellscaper.diffusion.unet import UNet
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout
from cellscaper.rasters import Grid, rasterise

RGB = 3
WHITE = 1.0  # the padding around an image: empty glass


def network(section: dict[str, Any], classes: int) -> UNet:
    """The U-Net of an image model: noisy image and markers in, noise (and variance) out, at full resolution.

    CellscaperError where the grid is not at the images' resolution.
    """
    grid = Grid(**section["grid"])
    if grid.stride != 1:
        raise CellscaperError(f"image model: grid stride {grid.stride} must be 1, the resolution of the images")
    outputs = RGB * (2 if section["diffusion"]["learn_variance"] else 1)
    return UNet(RGB + classes, outputs, grid.side, **section["network"])


def batch_loss(
    section: dict[str, Any], crops: CropSampler, images: Sequence[Tensor], classes: int, device: torch.device
) -> Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]:
    """The loss of one training step. images: for each training layout (3, H, W) uint8."""
    grid, diffusion = Grid(**section["grid"]), section["diffusion"]
    schedule = make_schedule(diffusion["schedule"], diffusion["steps"]).to(device)
    n = section["training"]["batch"]

    def loss(model: nn.Module, random: torch.Generator, step: int) -> dict[str, Tensor]:
        drawn = crops.sample(n, random)
        x0 = pad(cut_maps(images, drawn).to(device).float() / 127.5 - 1, (grid.pad,) * 4, value=WHITE)
        markers = rasterise(drawn.points, drawn.labels, drawn.index, n, classes, grid).to(device)
        return batch_losses(diffusion, schedule, lambda x_t, t: model(torch.cat([x_t, markers], 1), t), x0, random)

    return loss


def paint(
    section: dict[str, Any],
    model: UNet,
    layouts: Sequence[Layout],
    classes: int,
    seeds: Sequence[int],
    sampling: dict[str, Any],
    device: torch.device,
) -> NDArray:
    """Images (B, region, region, 3) uint8 of B layouts, one seed each; DDIM."""
    grid = Grid(**section["grid"])
    points = torch.cat([torch.from_numpy(one.points) for one in layouts])
    labels = torch.cat([torch.from_numpy(one.labels).long() for one in layouts])
    index = torch.repeat_interleave(torch.tensor([len(one) for one in layouts]))
    markers = rasterise(points, labels, index, len(layouts), classes, grid).to(device)
    image = sample(
        section["diffusion"],
        lambda x, t: model(torch.cat([x, markers], dim=1), t),
        (RGB, grid.side, grid.side),
        seeds,
        sampling,
        device=device,
    )
    end = grid.side - grid.pad
    image = image[..., grid.pad : end, grid.pad : end]
    return ((image + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
