"""The plain U-Net (Ronneberger et al. 2015), which segments dilated dots by class (docs/methods.md, section 8.1)."""

import math
from functools import cache, partial
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from cellscaper.detectors.data import Crops, TrainingData
from cellscaper.detectors.peaks import cells_from_probabilities, detect
from cellscaper.detectors.training import DetectorTraining, Validation
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import Count, Positive
from cellscaper.run.settings import Settings as Base
from cellscaper.run.transfer import to_device
from cellscaper.training.contract import Drawn, Facts
from cellscaper.training.settings import Training
from cellscaper.views.decoding import Cells

BACKGROUND_WEIGHT = 0.1  # of background pixels in the cross-entropy: discs of 3 px cover 3 % of the training images


class Settings(Base):
    """The U-Net, its training crops and its training."""

    width: Count = Field(64, description="channels of the first level")
    depth: Count = Field(4, description="halvings of the image's side")
    dot_radius: Positive = Field(3.0, description="px by which a dot is dilated")
    crop: Count = Field(256, description="side of the training crops, px")
    min_area: float = Field(
        16.0, ge=0, description="px²; smaller components are dropped (chosen on the validation images)"
    )
    training: Training = Field(
        Training(steps=30000, batch=8, lr=1e-3, weight_decay=1e-4, ema=0.999, precision="bf16", grad_clip=1.0),
        description="optimizer, averaging, precision and saving",
    )


class UNet(nn.Module):
    """Images (B, 3, H, W) on −1…1 → logits (B, classes + 1, H, W); channel 0 is background.

    ``width`` channels at full resolution, doubled at each of ``depth`` halvings. Differs from the paper in
    group normalisation, padded convolutions, and any H, W: the input is padded to a multiple of 2^depth by
    repeating its border, the output is cut back.
    """

    def __init__(self, classes: int, width: int, depth: int):
        super().__init__()
        if classes < 1 or width < 1 or depth < 1:
            raise CellscaperError(f"U-Net: {classes} classes, width {width}, depth {depth} must all be at least 1")
        widths = [width * 2**level for level in range(depth + 1)]
        self.multiple = 2**depth
        self.down = nn.ModuleList(_block(a, b) for a, b in pairwise([3, *widths]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.merge = nn.ModuleList(_block(2 * a, a) for a in widths[:-1])
        self.head = nn.Conv2d(width, classes + 1, 1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Features of every level, (B, width · 2^level, H / 2^level, W / 2^level), the deepest last."""
        height, width = images.shape[-2:]
        x = F.pad(images, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")
        levels = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            levels.append(x)
        return levels

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        skips = self.encode(images)
        x = skips.pop()
        for up, merge in zip(reversed(self.up), reversed(self.merge), strict=True):
            x = merge(torch.cat([skips.pop(), up(x)], dim=1))
        return self.head(x)[..., :height, :width]


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(math.gcd(8, outputs), outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def build(settings: Settings, classes: int) -> UNet:
    """The network, with new weights, for ``classes`` classes of cells."""
    return UNet(classes, settings.width, settings.depth)


def maps(model: nn.Module, inputs: Tensor) -> Tensor:
    """Class probabilities (B, C + 1, H, W) of network inputs; channel 0 is background."""
    return model(inputs).float().softmax(1)


@torch.inference_mode()
def tile_features(model: UNet, inputs: Tensor, tile: int) -> Tensor:
    """Means of the encoder's deepest features over the whole ``tile`` × ``tile`` px tiles of network inputs, (T, d).

    d = width · 2^depth. Pixels at the right and at the bottom that do not fill a tile are cut off before the network.
    CellscaperError if ``tile`` is no multiple of 2^depth or larger than the images.
    """
    height, width = (length // tile * tile for length in inputs.shape[-2:])
    if tile % model.multiple or not height or not width:
        raise CellscaperError(
            f"tiles of {tile} px of images of {inputs.shape[-2]}×{inputs.shape[-1]} px: the side must be a multiple of "
            f"{model.multiple} px, the U-Net's halvings, and at most that of the images"
        )
    deepest = model.encode(inputs[..., :height, :width])[-1].float()
    return F.avg_pool2d(deepest, tile // model.multiple).permute(0, 2, 3, 1).reshape(-1, deepest.shape[1])


def cells(probability: NDArray[np.floating], settings: Settings) -> Cells:
    """Cells of one image's maps: centroids of the regions of one class."""
    return cells_from_probabilities(probability, settings.min_area)


def training(model: nn.Module, settings: Settings, data: TrainingData, validation: Validation) -> DetectorTraining:
    """The training of the U-Net: ``loss`` = weighted cross-entropy + Dice; the last (averaged) weights are kept."""
    classes = torch.cat([torch.zeros(1, dtype=torch.long), data.labels + 1])  # by owner

    @cache
    def classes_on(device: torch.device) -> Tensor:
        return to_device(classes, device)

    def draw(generator: torch.Generator, step: int) -> Crops:
        return data.draw(settings.training.batch, generator)

    def loss(called: nn.Module, drawn: Crops, step: int) -> dict[str, Tensor]:
        device = next(model.parameters()).device
        inputs, owners = drawn.on(device)
        return segmentation_loss(called(inputs), classes_on(device)[owners])

    def finish(weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], Facts]:
        model.load_state_dict(weights)
        where = next(model.parameters()).device
        found = partial(detect, maps, cells, model.eval(), settings=settings, device=where)
        return weights, {"val_f1": validation.f1(found)}

    return DetectorTraining(model, Drawn(draw, loss), finish)


def segmentation_loss(logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Weighted cross-entropy plus soft Dice loss (mean over the cell classes) of a batch.

    logits (B, C + 1, H, W); target (B, H, W) int64, 0 background. Returns ``loss``, ``ce``, ``dice`` (0 … 1).
    """
    logits = logits.float()
    weight = logits.new_ones(logits.shape[1])
    weight[0] = BACKGROUND_WEIGHT
    ce = F.cross_entropy(logits, target, weight)
    probability = logits.softmax(1)[:, 1:]
    wanted = F.one_hot(target, logits.shape[1]).movedim(-1, 1)[:, 1:].to(probability.dtype)
    shared, total = (x.sum((0, 2, 3)) for x in (probability * wanted, probability + wanted))  # (C,)
    dice = (1 - (2 * shared + 1) / (total + 1)).mean()
    return {"loss": ce + dice, "ce": ce, "dice": dice}
