"""Layout → H&E: ADM's U-Net on images, conditioned on the layout (SD section 3; TC section 4)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from cellscaper.diffusion.objective import Noise, batch_losses, draw_noise
from cellscaper.diffusion.sampler import sample
from cellscaper.diffusion.schedule import make_schedule
from cellscaper.diffusion.settings import Ddim, Diffusion, Network
from cellscaper.diffusion.unet import UNet
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.painters.adm_weights import start_from_upsampler
from cellscaper.painters.layout_condition import CellTokens, Condition, MarkerCondition, layout_condition
from cellscaper.painters.protocol import BatchLoss, Request
from cellscaper.run.methods import chosen
from cellscaper.run.settings import Settings as Block
from cellscaper.run.settings import Small
from cellscaper.run.transfer import to_device
from cellscaper.training.contract import Drawn
from cellscaper.training.settings import Training
from cellscaper.training.state import say
from cellscaper.views.crops import CropSampler, Flips, cut_maps
from cellscaper.views.grid import Grid

RGB = 3
PADDING = {"black": -1.0, "white": 1.0}


class Settings(Block):
    """The painted region, the layout condition, network, noise process and training; the defaults are SD's."""

    grid: Grid = Field(
        Grid(region=464, stride=1, marker=3, pad=24, low=-1, high=1), description="SD: 464 px padded to 512"
    )
    small: Small = Field("skip", description="training images smaller than the region: an error, or left out")
    padding: Literal["black", "white"] = Field(
        "black", description="image outside the region: black (SD), or white as empty glass"
    )
    flips: Flips = Field("horizontal", description="mirrored axes of the crops: both (TC), horizontal (SD) or none")
    condition: Condition = Field(MarkerCondition(), description="form of the layout condition: SD has markers")
    network: Network = Network(channels=192, attention=(64, 32, 16), heads=4)
    init: Annotated[str, Field(pattern="^[^-]")] | None = Field(
        None,
        description="file of ADM's 64→256 upsampler (.pt, .safetensors) that the training starts from, null for new "
        "weights; trained weights keep its SHA-256",
        json_schema_extra={"expected": "a file that does not begin with -, or null"},
    )
    diffusion: Diffusion = Field(Diffusion(schedule="linear", p2_gamma=1.0), description="noise process")
    training: Training = Training(
        steps=360_000, batch=3, lr=2.0e-5, ema=0.9999, precision="bf16", save_every=600, log_every=100
    )


class Sampling(Ddim):
    """Sampling of images by DDIM."""

    batch: int = Field(8, ge=1, description="images at once")


class ImageNetwork(nn.Module):
    """The network of a painter: a U-Net and its layout condition, one module to train, average and store.

    CellscaperError if the grid does not have the resolution of the images.
    """

    def __init__(self, settings: Settings, classes: int):
        super().__init__()
        grid = settings.grid
        if grid.stride != 1:
            raise CellscaperError(f"painter: grid stride {grid.stride} must be 1, the resolution of the images")
        condition = layout_condition(settings.condition, grid, classes)
        self.tokens = None if condition.context is None else CellTokens(condition.context, classes)
        outputs = RGB * (2 if settings.diffusion.learn_variance else 1)
        channels = RGB + condition.channels
        self.net = UNet(channels, outputs, grid.side, **dict(settings.network), context=condition.context)

    def forward(self, x: Tensor, t: Tensor, layout: Tensor) -> Tensor:
        """Noisy images x (B, 3, side, side), steps t (B,), ``encode`` of the layout condition (B, …) → prediction (and
        variance), (B, 3 or 6, side, side)."""
        if self.tokens is None:
            return self.net(torch.cat([x, layout], dim=1), t)
        return self.net(x, t, context=self.tokens(layout))


def prepare(
    settings: Settings,
    cells: LayoutSet,
    images: Sequence[NDArray[np.uint8]],
    device: torch.device,
    init: Path | None = None,
) -> tuple[nn.Module, BatchLoss]:
    """See `painters.protocol.Painter`."""
    planes = [torch.from_numpy(one).permute(2, 0, 1) for one in images]
    crops = CropSampler(cells, settings.grid.region, flips=settings.flips, small=settings.small)
    model = ImageNetwork(settings, cells.n_classes)
    if init is None:
        say("painter: training starts from new weights (init: null)")
    else:
        start_from_upsampler(model.net, init, settings.grid.side)
    return model, batch_loss(settings, crops, planes, cells.n_classes, device)


def batch_loss(
    settings: Settings, crops: CropSampler, images: Sequence[Tensor], classes: int, device: torch.device
) -> Drawn:
    """The loss of one training step. images: for each training layout (3, H, W) uint8."""
    grid, diffusion = settings.grid, settings.diffusion
    schedule = make_schedule(diffusion.schedule, diffusion.steps).to(device)
    condition = layout_condition(settings.condition, grid, classes)
    n, outside = settings.training.batch, PADDING[settings.padding]

    def draw(random: torch.Generator, step: int) -> tuple[Tensor, Tensor, Noise]:
        drawn = crops.sample(n, random)
        layout = condition.encode(drawn.points, drawn.labels, drawn.index, n)
        return cut_maps(images, drawn), layout, draw_noise(schedule.steps, (n, RGB, grid.side, grid.side), random)

    def loss(model: nn.Module, drawn: tuple[Tensor, Tensor, Noise], step: int) -> dict[str, Tensor]:
        windows, layout = (to_device(one, device) for one in drawn[:2])
        x0 = pad(windows.float() / 127.5 - 1, (grid.pad,) * 4, value=outside)
        return batch_losses(diffusion, schedule, lambda x_t, t: model(x_t, t, layout), x0, drawn[2])

    return Drawn(draw, loss)


def paint(request: Request) -> Iterator[NDArray[np.uint8]]:
    """See `painters.protocol.Painter`; CellscaperError for layouts of another size than the network paints."""
    _, settings = chosen("painters", request.facts["section"])
    layouts, device, step = request.layouts, torch.device(request.device), request.settings.batch
    region = settings.grid.region
    if len(layouts) and layouts.common_size() != (region, region):
        raise CellscaperError(
            f"these weights paint {region} px, the layouts have {layouts.common_size()} px; "
            f"sample layouts of {region} px"
        )
    model = ImageNetwork(settings, layouts.n_classes).to(device).eval()
    model.load_state_dict(request.weights)
    for start in range(0, len(layouts), step):
        batch, seeds = list(layouts[start : start + step]), request.seeds[start : start + step]
        yield from paint_batch(settings, model, batch, layouts.n_classes, seeds, request.settings, device)


def paint_batch(
    settings: Settings,
    model: nn.Module,
    layouts: Sequence[Layout],
    classes: int,
    seeds: Sequence[int],
    sampling: Ddim,
    device: torch.device,
) -> NDArray[np.uint8]:
    """Images (B, region, region, 3) uint8 of B layouts, one seed each; DDIM."""
    grid = settings.grid
    points = torch.cat([torch.from_numpy(one.points) for one in layouts])
    labels = torch.cat([torch.from_numpy(one.labels).long() for one in layouts])
    index = torch.repeat_interleave(torch.tensor([len(one) for one in layouts]))
    layout = layout_condition(settings.condition, grid, classes).encode(points, labels, index, len(layouts))
    layout = layout.to(device)
    image = sample(
        settings.diffusion,
        lambda x, t: model(x, t, layout),
        (RGB, grid.side, grid.side),
        seeds,
        sampling,
        device=device,
    )
    end = grid.side - grid.pad
    image = image[..., grid.pad : end, grid.pad : end]
    return ((image + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
