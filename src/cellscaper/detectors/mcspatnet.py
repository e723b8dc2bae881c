"""MCSpatNet (Abousamra et al., ICCV 2021): cells by class, trained with sub-classes and cross K-functions.

A VGG-16 encoder and a U-Net decoder have four heads: detection (sigmoid), class (softmax), sub-class (softmax over
``clusters`` a class) and the cross K-function of each pixel's cell (squared output). The first three have soft Dice
losses, the last has an L1 loss inside the dots. Sub-classes come from k-means on the features of the third and fourth
head at the cell centres; each epoch repeats k-means from the last centroids. The weights with the best validation F1
are kept.

Differences from the released code: padded convolutions (there valid ones on an image with a wide border of zeros),
input normalised by ImageNet's mean and deviation, and ``norm: group`` and ``width``, which let small networks learn on
a CPU.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from cellscaper.detectors.data import TrainingData, cell_pixels, channels_first, to_input
from cellscaper.detectors.kfunction import cross_k
from cellscaper.detectors.peaks import cells_from_detection, detect
from cellscaper.detectors.subclasses import cluster
from cellscaper.detectors.training import DetectorTraining, Validation
from cellscaper.errors import CellscaperError
from cellscaper.run import launch
from cellscaper.run.progress import log
from cellscaper.run.settings import Count, Positive
from cellscaper.run.settings import Settings as Base
from cellscaper.training.contract import Facts
from cellscaper.training.settings import Training
from cellscaper.views.decoding import Cells

VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions of each level
LAST, HEAD = 96, 64  # channels of the decoder's end and of each head
MULTIPLE = 2 ** (len(VGG16) - 1)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, RGB on 0…1
K_SCALE = 100.0  # cells: divisor of the targets of the K head
THRESHOLD = 0.5  # probability of the detection head


class Settings(Base):
    """MCSpatNet, its targets and its training."""

    width: Positive = Field(1.0, description="factor of all channels; 1 is VGG-16")
    norm: Literal["none", "group"] = Field(
        "none", description="group: group normalisation, with which small networks learn from random weights"
    )
    init: Literal["imagenet", "he"] = Field(
        "imagenet", description="imagenet: torchvision's weights, or He's if unavailable (tables show which); or he"
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="dropout after each pooling")
    dice: Literal["pooled", "dots"] = Field(
        "pooled",
        description="class losses: pooled over all pixels and channels (released code), or dots: inside the dots, "
        "class by class",
    )
    clusters: Count = Field(5, description="sub-classes of a class")
    radii: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.0, 15.0, 30.0, 45.0, 60.0, 75.0, 90.0),
        min_length=1,
        description="px, radii of the cross K-functions",
        json_schema_extra={"uniqueItems": True},
    )
    epoch: Annotated[int, Field(ge=1)] | None = Field(
        None, description="steps between renewals of the sub-classes, each with a validation; null: number of images"
    )
    dot_radius: Positive = Field(3.0, description="px by which a dot is dilated")
    crop: Count = Field(448, description="side of the training crops, px; smaller images stand on white")
    min_area: float = Field(5.0, ge=0, description="px²; smaller components are dropped")
    training: Training = Field(
        Training(steps=24000, batch=1, lr=5e-5, log_every=80),
        description="optimizer, precision and saving; by default 300 epochs of 80 images",
    )


class MCSpatNet(nn.Module):
    """Images (B, 3, H, W) on −1…1 → raw outputs of all heads, (B, 1 + C + C·clusters + C·radii, H, W) in this order.

    ``width`` multiplies all channels (at least 8 remain). ``norm``: none (paper) | group, after each convolution.
    Any H, W: the input is padded to a multiple of 16 by repeating its border, the output is cut back.
    """

    def __init__(self, classes: int, clusters: int, radii: int, width: float, norm: str, dropout: float):
        super().__init__()
        if min(classes, clusters, radii) < 1 or width <= 0:
            raise CellscaperError(
                f"MCSpatNet: {classes} classes, {clusters} clusters, {radii} radii, width {width} must all be above 0"
            )
        sizes = [(_scaled(channels, width), n) for channels, n in VGG16]
        last, head = _scaled(LAST, width), _scaled(HEAD, width)
        self.seen = 2 * head  # channels of `cell_features`
        self.outputs = (1, classes, classes * clusters, classes * radii)
        self.down, before = nn.ModuleList(), 3
        for level, (channels, n) in enumerate(sizes):
            pool = [nn.MaxPool2d(2), nn.Dropout(dropout)] if level else []
            self.down.append(nn.Sequential(*pool, *_convolutions(before, channels, n, norm)))
            before = channels
        self.up, self.merge = nn.ModuleList(), nn.ModuleList()
        for channels, _ in reversed(sizes[1:-1]):
            self.up.append(nn.ConvTranspose2d(before, channels, 2, stride=2))
            self.merge.append(nn.Sequential(*_convolutions(2 * channels, channels, 2, norm)))
            before = channels
        self.up.append(nn.ConvTranspose2d(before, last, 2, stride=2))  # to full resolution, without a skip
        self.features = nn.ModuleList(nn.Sequential(*_convolutions(last, head, 2, norm)) for _ in self.outputs)
        self.heads = nn.ModuleList(nn.Conv2d(head, n, 1) for n in self.outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor, heads: Sequence[int] = (0, 1, 2, 3)) -> Tensor:
        x, (height, width) = self._decode(images), images.shape[-2:]
        return torch.cat([self.heads[i](self.features[i](x)) for i in heads], dim=1)[..., :height, :width]

    def cell_features(self, images: Tensor) -> Tensor:
        """Features (B, 2·head channels, H, W) of the sub-class and the K head, for the k-means of sub-classes."""
        x, (height, width) = self._decode(images), images.shape[-2:]
        return torch.cat([self.features[i](x) for i in (2, 3)], dim=1)[..., :height, :width]

    def _decode(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        mean, deviation = (images.new_tensor(one)[:, None, None] for one in (MEAN, DEVIATION))
        x = ((images + 1) / 2 - mean) / deviation
        x = F.pad(x, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)  # (B, channels, H / 2^level, W / 2^level)
        for up, merge, skip in zip(self.up, self.merge, reversed(skips[1:-1]), strict=False):
            x = merge(torch.cat([skip, up(x)], dim=1))
        return self.up[-1](x)

    def split(self, outputs: Tensor) -> tuple[Tensor, ...]:
        """Outputs of all heads → one tensor a head; the K head squared: edge-corrected cells / K_SCALE."""
        detection, label, subclass, k = outputs.float().split(self.outputs, dim=1)
        return detection, label, subclass, k.square()


def _scaled(channels: int, width: float) -> int:
    return max(8, round(channels * width))


def _convolutions(inputs: int, outputs: int, n: int, norm: str) -> Iterator[nn.Module]:
    for channels in [inputs, *[outputs] * (n - 1)]:
        yield nn.Conv2d(channels, outputs, 3, padding=1)
        if norm == "group":
            yield nn.GroupNorm(math.gcd(8, outputs), outputs)
        yield nn.ReLU(inplace=True)


def build(settings: Settings, classes: int) -> MCSpatNet:
    """The network, He-initialised, for ``classes`` classes of cells."""
    return MCSpatNet(classes, settings.clusters, len(settings.radii), settings.width, settings.norm, settings.dropout)


def load_imagenet(model: MCSpatNet) -> bool:
    """Put torchvision's ImageNet weights of VGG-16 into the encoder; False, with a log line, if it is impossible."""
    mine = [module for module in model.down.modules() if isinstance(module, nn.Conv2d)]
    if [module.out_channels for module in mine] != [channels for channels, n in VGG16 for _ in range(n)]:
        log("MCSpatNet: ImageNet weights fit width 1 only; He initialisation")
        return False
    try:
        from torchvision.models import VGG16_Weights, vgg16

        theirs = vgg16(weights=VGG16_Weights.IMAGENET1K_V1).features
    except Exception as error:  # not installed, not compatible with this torch, no network: each has its own type
        reason = (str(error) or type(error).__name__).splitlines()[0]
        log(f"MCSpatNet: no ImageNet weights from torchvision ({reason}); He initialisation")
        return False
    for one, other in zip(mine, (m for m in theirs if isinstance(m, nn.Conv2d)), strict=True):
        one.load_state_dict(other.state_dict())
    return True


def maps(model: nn.Module, inputs: Tensor) -> Tensor:
    """(B, 1 + C, H, W) of network inputs: probability of a cell, and of each class if there is a cell."""
    outputs = model(inputs, heads=(0, 1)).float()
    return torch.cat([outputs[:, :1].sigmoid(), outputs[:, 1:].softmax(1)], dim=1)


def cells(probability: NDArray[np.floating], settings: Settings) -> Cells:
    """Cells of one image's maps: centroids of the regions of the detection head, with the class at that place."""
    return cells_from_detection(probability, THRESHOLD, settings.min_area)


def losses(
    model: MCSpatNet, outputs: Tensor, owners: Tensor, labels: Tensor, subclasses: Tensor, k: Tensor, dice: str
) -> dict[str, Tensor]:
    """Soft Dice of the first three heads and L1 of the K head inside the dots; ``loss`` is their sum.

    outputs: of all heads; owners (B, H, W): the cell of each pixel from 1, 0 for none; labels (N,), subclasses (N,)
    int64 and k (N, C·radii), already divided by K_SCALE, of all cells.
    dice: how class and sub-class are scored. ``pooled``, as in the reference: one Dice over all pixels and channels.
    There the softmax outside the dots (it has no background) weighs ten times the dots, and the largest class most.
    ``dots``: inside the dots, channel by channel, then the mean.
    """
    detection, label, subclass, k_hat = model.split(outputs)
    inside = owners > 0
    cell = (owners - 1).clamp(min=0)
    dots = inside[:, None].float()
    one_hot = (F.one_hot(part[cell], head.shape[1]).movedim(-1, 1) * dots
               for part, head in ((labels, label), (subclasses, subclass)))  # fmt: skip
    terms = {
        "dice_detection": _dice(detection.sigmoid(), dots),
        "dice_class": _class_dice(label.softmax(1), next(one_hot), dots, dice),
        "dice_subclass": _class_dice(subclass.softmax(1), next(one_hot), dots, dice),
    }
    error = (k_hat.movedim(1, -1)[inside] - k[cell[inside]]).abs()  # (pixels, C·radii)
    terms["k"] = error.sum() / max(error.numel(), 1)
    return {"loss": torch.stack(list(terms.values())).sum(), **terms}


def _dice(probability: Tensor, target: Tensor) -> Tensor:
    """1 − (2Σpt + 1) / (Σp² + Σt² + 1) over the whole batch and all channels, as in the reference."""
    return 1 - (2 * (probability * target).sum() + 1) / (probability.square().sum() + target.square().sum() + 1)


def _class_dice(probability: Tensor, target: Tensor, dots: Tensor, kind: str) -> Tensor:
    if kind == "pooled":
        return _dice(probability, target)
    probability = probability * dots
    shared, total = ((x.sum((0, 2, 3))) for x in (probability * target, probability.square() + target.square()))
    return (1 - (2 * shared + 1) / (total + 1)).mean()


@torch.no_grad()
def k_error(model: MCSpatNet, validation: Validation, radii: Sequence[float], device: torch.device) -> float:
    """Mean absolute error of the K head at the validation cells, in cells, over classes and radii."""
    errors = []
    for image, layout in zip(validation.images, validation.cells, strict=True):
        k_hat = model.split(model(to_input(channels_first(image)[None].to(device))))[3][0].cpu().numpy()
        y, x = cell_pixels(layout)
        wanted = cross_k(layout.points, layout.labels, validation.cells.n_classes, layout.size, radii)
        errors.append(np.abs(K_SCALE * k_hat[:, y, x].T.reshape(wanted.shape) - wanted))
    return float(np.concatenate(errors).mean())


class Remembered(nn.Module):
    """The network and the state of its training, so that the state dict is enough to resume after a kill.

    subclass (N,)        sub-class of every training cell, from the last start of an epoch
    centroids (C, k, F)  the centroids of the sub-classes
    best_f1, best_step   of the best validation so far, and ``best``, its weights (as one vector)
    val_f1, val_k        the last validation: F1, and error of the K head, cells
    """

    subclass: Tensor
    centroids: Tensor
    best: Tensor
    best_f1: Tensor
    best_step: Tensor
    val_f1: Tensor
    val_k: Tensor

    def __init__(self, net: MCSpatNet, cells: int, classes: int, clusters: int, features: int):
        super().__init__()
        self.net = net
        self.register_buffer("subclass", torch.zeros(cells, dtype=torch.long))
        self.register_buffer("centroids", torch.full((classes, clusters, features), math.nan))
        self.register_buffer("best", nn.utils.parameters_to_vector(net.parameters()).detach().clone())
        for name in ("best_f1", "best_step", "val_f1", "val_k"):
            self.register_buffer(name, torch.tensor(-1.0 if name == "best_f1" else 0.0))

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


def training(model: nn.Module, settings: Settings, data: TrainingData, validation: Validation) -> DetectorTraining:
    """The training of MCSpatNet. ``epoch`` steps (None: as many crops as images) lie between renewals of sub-classes.

    CellscaperError with averaged weights (``ema``), because the best validation belongs to the weights themselves, and
    with several processes.
    """
    assert isinstance(model, MCSpatNet)
    if launch.count() > 1:  # the renewal of sub-classes calls the network outside the part that processes share
        raise CellscaperError(
            "detector mcspatnet is trained by one process; set gpu: 1 for train_detector in `resources`"
        )
    batch, steps = settings.training.batch, settings.training.steps
    if settings.training.ema:
        raise CellscaperError("detector mcspatnet keeps its best weights and no average; set its training.ema to 0")
    epoch = settings.epoch or math.ceil(len(data.images) / batch)
    initialised = "imagenet" if settings.init == "imagenet" and load_imagenet(model) else "he"
    radii, classes = settings.radii, data.classes
    counted = np.concatenate([cross_k(one.points, one.labels, classes, one.size, radii) for one in data.layouts])
    targets = torch.from_numpy(counted / K_SCALE).float().flatten(1)
    whole = Remembered(model, len(data.labels), classes, settings.clusters, model.seen)

    def renew() -> None:
        whole.subclass.copy_(cluster(model, data, whole.centroids))

    def look() -> None:
        model.eval()
        where = whole.best.device
        whole.val_f1.fill_(validation.f1(partial(detect, maps, cells, model, settings=settings, device=where)))
        whole.val_k.fill_(k_error(model, validation, radii, where))
        model.train()

    def loss(called: nn.Module, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        device = whole.best.device
        if step == 0:
            look()
            renew()
        inputs, owners = data.batch(batch, generator, device)
        labels, k = data.labels.to(device), targets.to(device)
        found = losses(model, called(inputs), owners, labels, whole.subclass, k, settings.dice)
        return {**found, "val_f1": whole.val_f1.clone(), "val_k": whole.val_k.clone()}

    def on_step(step: int, _: nn.Module) -> None:
        if step % epoch == 0 or step == steps:
            look()
            if whole.val_f1 > whole.best_f1:
                whole.best.copy_(nn.utils.parameters_to_vector(model.parameters()).detach())
                whole.best_f1.copy_(whole.val_f1)
                whole.best_step.fill_(step)
            if step < steps:
                renew()

    def finish(weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], Facts]:
        whole.load_state_dict(weights)
        nn.utils.vector_to_parameters(whole.best, model.parameters())
        facts: Facts = {"val_f1": float(whole.best_f1), "best_step": int(whole.best_step), "initialised": initialised}
        return dict(model.state_dict()), facts

    return DetectorTraining(whole, loss, finish, on_step)
