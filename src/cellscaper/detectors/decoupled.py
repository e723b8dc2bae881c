"""A detector of our own: one U-Net, from whose maps cells are found and named apart (docs/methods.md, section 8.1).

Finding and naming are two problems. A cell is a peak of the probability that there is one, of whatever class, and its
name is the class with the most weight around the peak. So a cell of a doubtful class is still one cell, and cells that
touch are two peaks. The maps are learned jointly, as the plain U-Net learns them, or apart: the names then on the
pixels of cells alone, with more weight for rare classes. A second pass then names cells by what lies around them
(:mod:`cellscaper.detectors.auto_context`). docs/results/detectors.md has the gain of each.
"""

from functools import cache, partial
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage
from torch import Tensor, nn

from cellscaper.detectors.augmentation import STAIN_SCALE
from cellscaper.detectors.auto_context import AutoContext, learn
from cellscaper.detectors.data import Crops, TrainingData
from cellscaper.detectors.peaks import detect, image_maps
from cellscaper.detectors.symmetries import over_symmetries
from cellscaper.detectors.training import DetectorTraining, Validation
from cellscaper.detectors.unet import BACKGROUND_WEIGHT, UNet, segmentation_loss
from cellscaper.run.settings import Count, Fraction, Positive
from cellscaper.run.settings import Settings as Base
from cellscaper.run.transfer import to_device
from cellscaper.training.contract import Drawn, Facts
from cellscaper.training.settings import Training
from cellscaper.views.decoding import Cells


class Settings(Base):
    """The network, its training crops, its training and how cells are read from its maps."""

    width: Count = Field(32, description="channels of the first level")
    depth: Count = Field(4, description="halvings of the image's side")
    dot_radius: Positive = Field(3.0, description="px by which a dot is dilated")
    crop: Count = Field(256, description="side of the training crops, px")
    stain: float = Field(STAIN_SCALE, ge=0, description="sd of the log factor on each stain; shift and light follow it")
    loss: Literal["joint", "apart"] = Field(
        "joint", description="joint: background and classes exclude each other; apart: names are learned inside cells"
    )
    balance: Fraction = Field(
        0.5, description="loss apart: a class weighs (1 / its share of the cells)^balance when it is named"
    )
    smooth: Positive = Field(2.0, description="px, sd of the Gaussian over the maps before cells are read from them")
    gap: Positive = Field(4.0, description="px; of two peaks that are nearer the lower one is dropped")
    threshold: Fraction = Field(0.55, description="lower peaks of the smoothed map of cells are no cells")
    auto_context: bool = Field(True, description="a second pass names cells by what lies around them")
    symmetries: bool = Field(
        False, description="maps are means over the square's eight symmetries, for 8 times the time"
    )
    training: Training = Field(
        Training(
            steps=30000, batch=8, lr=1e-3, weight_decay=1e-4, ema=0.999, precision="bf16", grad_clip=1.0, cooldown=0.5
        ),
        description="optimizer, averaging, precision and saving",
    )


class Decoupled(nn.Module):
    """Images (B, 3, H, W) on −1…1 → logits (B, 1 + classes, H, W), the last ones of the classes.

    The first is that of the background, or with ``loss: apart`` that of a cell. ``second`` names anew, if there is one.
    """

    def __init__(self, classes: int, settings: Settings):
        super().__init__()
        self.trunk = UNet(classes, settings.width, settings.depth)
        self.second = AutoContext(classes) if settings.auto_context else None
        self.symmetries, self.apart = settings.symmetries, settings.loss == "apart"

    def forward(self, images: Tensor) -> Tensor:
        return self.trunk(images)


def build(settings: Settings, classes: int) -> Decoupled:
    """The network, with new weights, for ``classes`` classes of cells."""
    return Decoupled(classes, settings)


def maps(model: nn.Module, inputs: Tensor) -> Tensor:
    """Probability of a cell, then of each class if there is one, (B, 1 + C, H, W)."""
    assert isinstance(model, Decoupled)
    found = (over_symmetries(_first_maps) if model.symmetries else _first_maps)(model, inputs)
    return found if model.second is None else torch.cat([found[:, :1], model.second(found)], 1)


def _first_maps(model: nn.Module, inputs: Tensor) -> Tensor:
    """Maps without the second pass."""
    logits = model(inputs).float()
    cell = logits[:, :1] if model.apart else logits[:, 1:].logsumexp(1, keepdim=True) - logits[:, :1]
    return torch.cat([cell.sigmoid(), logits[:, 1:].softmax(1)], 1)


def cells(probability: NDArray[np.floating], settings: Settings) -> Cells:
    """Cells of one image's maps (1 + C, H, W): points (N, 2) px and labels (N,).

    A cell is a local maximum of the smoothed map of cells, the highest within ``gap`` px and at least ``threshold``.
    Its class is the most probable around it, weighted by the map of cells.
    """
    centre, names = probability[0].astype(np.float64), probability[1:].astype(np.float64)
    height = _smoothed(centre, settings.smooth)
    reach = int(settings.gap)
    near = np.hypot(*np.ogrid[-reach : reach + 1, -reach : reach + 1]) <= settings.gap
    top = (height == ndimage.maximum_filter(height, footprint=near, mode="constant")) & (height >= settings.threshold)
    regions, n = ndimage.label(top, np.ones((3, 3)))  # equal heights side by side are one cell
    points = np.array(ndimage.center_of_mass(top, regions, np.arange(1, n + 1))).reshape(n, 2)
    y, x = np.rint(points).astype(np.int64).T
    weighted = np.stack([_smoothed(centre * one, settings.smooth)[y, x] for one in names])
    return points.astype(np.float32), weighted.argmax(0).astype(np.uint8)


def _smoothed(values: NDArray[np.float64], sd: float) -> NDArray[np.float64]:
    """A map after a Gaussian whose weights inside the image add up to 1."""
    return ndimage.gaussian_filter(values, sd, mode="constant") / ndimage.gaussian_filter(
        np.ones_like(values), sd, mode="constant"
    )


def training(model: nn.Module, settings: Settings, data: TrainingData, validation: Validation) -> DetectorTraining:
    """The training: the plain U-Net's loss, or that of cells + that of names; the last (averaged) weights are kept."""
    labels = torch.cat([torch.zeros(1, dtype=torch.long), data.labels])  # by owner
    weights = class_weights(data.labels, data.classes, settings.balance)

    @cache
    def on(device: torch.device) -> tuple[Tensor, Tensor]:
        return to_device(labels, device), to_device(weights, device)

    def draw(generator: torch.Generator, step: int) -> Crops:
        return data.draw(settings.training.batch, generator)

    def loss(called: nn.Module, drawn: Crops, step: int) -> dict[str, Tensor]:
        device = next(model.parameters()).device
        inputs, owners = drawn.on(device, settings.stain / STAIN_SCALE)
        (names, balance), is_cell, logits = on(device), owners > 0, called(inputs)
        if settings.loss == "apart":
            return loss_apart(logits, is_cell, names[owners], balance)
        return segmentation_loss(logits, torch.where(is_cell, names[owners] + 1, 0))

    def finish(trained: dict[str, Tensor]) -> tuple[dict[str, Tensor], Facts]:
        assert isinstance(model, Decoupled)
        model.load_state_dict(trained)
        where = next(model.parameters()).device
        model.eval()
        facts: Facts = {}
        if model.second is not None:  # from real images alone, in rows with pairs too
            real = slice(data.real_images)
            seen = (image_maps(partial(maps, model), one.movedim(0, -1), where) for one in data.images[real])
            first = (torch.from_numpy(one)[None].to(where) for one in seen)
            facts["named"] = learn(model.second, first, data.layouts[real], partial(cells, settings=settings))
        found = partial(detect, maps, cells, model, settings=settings, device=where)
        return dict(model.state_dict()), {**facts, "val_f1": validation.f1(found)}

    return DetectorTraining(model, Drawn(draw, loss), finish)


def class_weights(labels: Tensor, classes: int, balance: float) -> Tensor:
    """Weights (C,): (1 / the share of the cells)^``balance``, 1 in the mean over cells; 0 for a class without cells."""
    number = torch.bincount(labels, minlength=classes).float()
    weight = torch.where(number > 0, number.clamp(min=1) ** -balance, 0.0)
    return weight * number.sum().clamp(min=1) / (weight * number).sum().clamp(min=1e-12)


def loss_apart(logits: Tensor, is_cell: Tensor, label: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """``centre``: weighted cross-entropy + Dice of the discs; ``name``: cross-entropy of the classes inside discs.

    logits (B, 1 + C, H, W); is_cell (B, H, W) bool; label (B, H, W) int64, used where ``is_cell``; weights (C,).
    """
    logits = logits.float()
    centre, wanted = logits[:, 0], is_cell.float()
    pixel = torch.where(is_cell, 1.0, BACKGROUND_WEIGHT)
    entropy = (F.binary_cross_entropy_with_logits(centre, wanted, reduction="none") * pixel).sum() / pixel.sum()
    probability = centre.sigmoid()
    dice = 1 - (2 * (probability * wanted).sum() + 1) / (probability.sum() + wanted.sum() + 1)
    by_pixel = F.cross_entropy(logits[:, 1:], label, weights, reduction="none")
    name = (by_pixel * wanted).sum() / (weights[label] * wanted).sum().clamp(min=1)
    return {"loss": entropy + dice + name, "centre": entropy + dice, "name": name}
