"""MCSpatNet (Abousamra et al., ICCV 2021): cells by class, trained with sub-classes and cross K-functions.

A VGG-16 encoder and a U-Net decoder have four heads: detection (sigmoid), class (softmax), sub-class (softmax over
``clusters`` a class) and the cross K-function of each pixel's cell (squared output). The first three have soft Dice
losses, the last has an L1 loss inside the dots. Sub-classes come from k-means on the features of the third and fourth
head at the cell centres; each renewal repeats k-means from the last centroids. The weights with the best validation F1
are kept.

The network is in `mcspatnet_network`; docs/methods.md, section 8.1, lists the differences from the released code.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from cellscaper.detectors.data import Crops, TrainingData, cell_pixels, channels_first, to_input
from cellscaper.detectors.kfunction import cross_k
from cellscaper.detectors.mcspatnet_network import K_SCALE, MCSpatNet, load_imagenet
from cellscaper.detectors.peaks import cells_from_detection, detect
from cellscaper.detectors.subclasses import cluster
from cellscaper.detectors.training import DetectorTraining, Validation
from cellscaper.errors import CellscaperError
from cellscaper.run import launch
from cellscaper.run.settings import Count, Positive
from cellscaper.run.settings import Settings as Base
from cellscaper.run.transfer import to_device
from cellscaper.training.contract import Drawn, Facts
from cellscaper.training.settings import Training
from cellscaper.views.decoding import Cells

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
        None,
        description="steps between looks at the validation images; null: real training images / batch, whatever pairs "
        "are added. The first look after as many crops as images renews the sub-classes",
    )
    dot_radius: Positive = Field(3.0, description="px by which a dot is dilated")
    crop: Count = Field(448, description="side of the training crops, px; smaller images stand on white")
    min_area: float = Field(5.0, ge=0, description="px²; smaller components are dropped")
    training: Training = Field(
        Training(steps=24000, batch=1, lr=5e-5, log_every=80),
        description="optimizer, precision and saving; by default 300 epochs of 80 images",
    )


def build(settings: Settings, classes: int) -> MCSpatNet:
    """The network, He-initialised, for ``classes`` classes of cells."""
    return MCSpatNet(classes, settings.clusters, len(settings.radii), settings.width, settings.norm, settings.dropout)


def maps(model: nn.Module, inputs: Tensor) -> Tensor:
    """(B, 1 + C, H, W) of network inputs: probability of a cell, and of each class if there is a cell."""
    outputs = model(inputs, heads=(0, 1)).float()
    return torch.cat([outputs[:, :1].sigmoid(), outputs[:, 1:].softmax(1)], dim=1)


def cells(probability: NDArray[np.floating], settings: Settings) -> Cells:
    """Cells of one image's maps: centroids of the regions of the detection head, with the class at that place."""
    return cells_from_detection(probability, THRESHOLD, settings.min_area)


def losses(
    model: MCSpatNet,
    outputs: Tensor,
    owners: Tensor,
    labels: Tensor,
    subclasses: Tensor,
    k: Tensor,
    dice: str,
    places: tuple[Tensor, ...] | None = None,
) -> dict[str, Tensor]:
    """Soft Dice of the first three heads and L1 of the K head inside the dots; ``loss`` is their sum.

    outputs: of all heads; owners (B, H, W): the cell of each pixel from 1, 0 for none; labels (N,), subclasses (N,)
    int64 and k (N, C·radii), already divided by K_SCALE, of all cells. ``places``: indices along the axes of ``owners``
    of all pixels with a cell; where the host knows them, it need not wait for the device that finds them.
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
    places = inside.nonzero(as_tuple=True) if places is None else places
    error = (k_hat.movedim(1, -1)[places] - k[cell[places]]).abs()  # (pixels, C·radii)
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


def as_vector(net: nn.Module) -> Tensor:
    """A copy of all parameters, one after the other; torch's parameters_to_vector refuses weights in channels-last."""
    return torch.cat([one.detach().reshape(-1) for one in net.parameters()])


@torch.no_grad()
def from_vector(vector: Tensor, net: nn.Module) -> None:
    """Put the values of :func:`as_vector` into the parameters, in any memory format."""
    parameters = list(net.parameters())
    for one, values in zip(parameters, vector.split([one.numel() for one in parameters]), strict=True):
        one.copy_(values.view(one.shape))


class Remembered(nn.Module):
    """The network and the state of its training, so that the state dict is enough to resume after a kill.

    labels (N,), k (N, C·radii)   targets of every training cell, not in the state dict
    subclass (N,)        sub-class of every training cell, from the last renewal
    centroids (C, k, F)  the centroids of the sub-classes
    best_f1, best_step   of the best validation so far, and ``best``, its weights (as one vector)
    val_f1, val_k        the last validation: F1, and error of the K head, cells
    """

    labels: Tensor
    k: Tensor
    subclass: Tensor
    centroids: Tensor
    best: Tensor
    best_f1: Tensor
    best_step: Tensor
    val_f1: Tensor
    val_k: Tensor

    def __init__(self, net: MCSpatNet, labels: Tensor, k: Tensor, classes: int, clusters: int, features: int):
        super().__init__()
        self.net = net
        self.register_buffer("labels", labels, persistent=False)
        self.register_buffer("k", k, persistent=False)
        self.register_buffer("subclass", torch.zeros_like(labels))
        self.register_buffer("centroids", torch.full((classes, clusters, features), math.nan))
        self.register_buffer("best", as_vector(net))
        for name in ("best_f1", "best_step", "val_f1", "val_k"):
            self.register_buffer(name, torch.tensor(-1.0 if name == "best_f1" else 0.0))

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


def intervals(settings: Settings, data: TrainingData) -> tuple[int, int]:
    """Steps between looks at the validation images, and between renewals of the sub-classes.

    Looks are equally frequent whatever pairs are added: the best of more looks is better by chance alone. A renewal
    needs the features of all images, so one comes with the first look after as many crops as there are images.
    """
    batch = settings.training.batch
    look = settings.epoch or math.ceil(data.real_images / batch)
    return look, look * math.ceil(len(data.images) / (batch * look))


def training(model: nn.Module, settings: Settings, data: TrainingData, validation: Validation) -> DetectorTraining:
    """The training of MCSpatNet, with looks at the validation images and renewals of sub-classes by `intervals`.

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
    look_every, renew_every = intervals(settings, data)
    initialised = "imagenet" if settings.init == "imagenet" and load_imagenet(model) else "he"
    radii, classes = settings.radii, data.classes
    counted = np.concatenate([cross_k(one.points, one.labels, classes, one.size, radii) for one in data.layouts])
    targets = torch.from_numpy(counted / K_SCALE).float().flatten(1)
    whole = Remembered(model, data.labels, targets, classes, settings.clusters, model.seen)

    def renew() -> None:
        whole.subclass.copy_(cluster(model, data, whole.centroids))

    def look() -> None:
        model.eval()
        where = whole.best.device
        whole.val_f1.fill_(validation.f1(partial(detect, maps, cells, model, settings=settings, device=where)))
        whole.val_k.fill_(k_error(model, validation, radii, where))
        model.train()

    def draw(generator: torch.Generator, step: int) -> tuple[Crops, tuple[Tensor, ...]]:
        crops = data.draw(batch, generator)
        return crops, crops.owners.nonzero(as_tuple=True)

    def loss(called: nn.Module, drawn: tuple[Crops, tuple[Tensor, ...]], step: int) -> dict[str, Tensor]:
        device = whole.best.device
        if step == 0:
            look()
            renew()
        inputs, owners = drawn[0].on(device)
        places = tuple(to_device(one, device) for one in drawn[1])
        outputs = called(inputs)
        found = losses(model, outputs, owners, whole.labels, whole.subclass, whole.k, settings.dice, places)
        return {**found, "val_f1": whole.val_f1.clone(), "val_k": whole.val_k.clone()}

    def on_step(step: int, _: nn.Module) -> None:
        if step % look_every == 0 or step == steps:
            look()
            if whole.val_f1 > whole.best_f1:
                whole.best.copy_(as_vector(model))
                whole.best_f1.copy_(whole.val_f1)
                whole.best_step.fill_(step)
        if step % renew_every == 0 and step < steps:
            renew()

    def finish(weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], Facts]:
        whole.load_state_dict(weights)
        from_vector(whole.best, model)
        facts: Facts = {"val_f1": float(whole.best_f1), "best_step": int(whole.best_step), "initialised": initialised}
        return dict(model.state_dict()), facts

    return DetectorTraining(whole, Drawn(draw, loss), finish, on_step)
