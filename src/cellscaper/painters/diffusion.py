"""Layout → H&E: ADM's U-Net on images, conditioned on the layout (SD section 3; TC section 4)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad

from cellscaper.diffusion.objective import batch_losses
from cellscaper.diffusion.sampler import sample
from cellscaper.diffusion.schedule import make_schedule
from cellscaper.diffusion.unet import UNet
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout
from cellscaper.painters.layout_condition import CellTokens, layout_condition
from cellscaper.views.crops import CropSampler, cut_maps
from cellscaper.views.rasters import Grid

RGB = 3
WHITE = 1.0  # the padding around an image: empty glass


class Painter(nn.Module):
    """The network of an image model: a U-Net with what it needs of the layout, one module to train, average and store.

    CellscaperError where the grid is not at the images' resolution.
    """

    def __init__(self, section: dict[str, Any], classes: int):
        super().__init__()
        grid = Grid(**section["grid"])
        if grid.stride != 1:
            raise CellscaperError(f"image model: grid stride {grid.stride} must be 1, the resolution of the images")
        condition = layout_condition(section["condition"], grid, classes)
        self.tokens = None if condition.context is None else CellTokens(condition.context, classes)
        outputs = RGB * (2 if section["diffusion"]["learn_variance"] else 1)
        channels = RGB + condition.channels
        self.net = UNet(channels, outputs, grid.side, **section["network"], context=condition.context)

    def forward(self, x: Tensor, t: Tensor, layout: Tensor) -> Tensor:
        """Noisy images x (B, 3, side, side), steps t (B,), ``encode`` of the layout condition (B, …) → prediction (and
        variance), (B, 3 or 6, side, side)."""
        if self.tokens is None:
            return self.net(torch.cat([x, layout], dim=1), t)
        return self.net(x, t, context=self.tokens(layout))


def batch_loss(
    section: dict[str, Any], crops: CropSampler, images: Sequence[Tensor], classes: int, device: torch.device
) -> Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]:
    """The loss of one training step. images: for each training layout (3, H, W) uint8."""
    grid, diffusion = Grid(**section["grid"]), section["diffusion"]
    schedule = make_schedule(diffusion["schedule"], diffusion["steps"]).to(device)
    condition = layout_condition(section["condition"], grid, classes)
    n = section["training"]["batch"]

    def loss(model: nn.Module, random: torch.Generator, step: int) -> dict[str, Tensor]:
        drawn = crops.sample(n, random)
        x0 = pad(cut_maps(images, drawn).to(device).float() / 127.5 - 1, (grid.pad,) * 4, value=WHITE)
        layout = condition.encode(drawn.points, drawn.labels, drawn.index, n).to(device)
        return batch_losses(diffusion, schedule, lambda x_t, t: model(x_t, t, layout), x0, random)

    return loss


def paint(
    section: dict[str, Any],
    model: nn.Module,
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
    layout = layout_condition(section["condition"], grid, classes).encode(points, labels, index, len(layouts))
    layout = layout.to(device)
    image = sample(
        section["diffusion"],
        lambda x, t: model(x, t, layout),
        (RGB, grid.side, grid.side),
        seeds,
        sampling,
        device=device,
    )
    end = grid.side - grid.pad
    image = image[..., grid.pad : end, grid.pad : end]
    return ((image + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
