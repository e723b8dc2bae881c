"""Every training of the project, small: the network, the loss and the settings that the trainer gets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cellscaper.detectors import mcspatnet, unet
from cellscaper.detectors.data import TrainingData
from cellscaper.detectors.training import Validation
from cellscaper.features import autoencoder, resnet50
from cellscaper.features.training import batch_loss
from cellscaper.generators import point_diffusion, tmccg
from cellscaper.generators.protocol import Prepared, read_recipe
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.painters import diffusion
from cellscaper.run.methods import method
from cellscaper.run.settings import read
from cellscaper.training.settings import Training
from cellscaper.views.grid import Grid

CLASSES = ("a", "b", "c")
REGION = 64
TRAINING = {"steps": 3, "batch": 4, "lr": 1e-3, "ema": 0.9, "precision": "bf16", "grad_clip": 1.0, "log_every": 2}
NETWORK = {"channels": 16, "blocks": 1, "multipliers": [1, 2], "attention": [8], "head_channels": 16}
MARKERS = {"region": REGION, "stride": 4, "marker": 3, "pad": 0, "low": -1, "high": 1}
PICTURE = {"region": 32, "stride": 1, "marker": 3, "pad": 0, "low": -1, "high": 1}
MCSPATNET = {"width": 0.125, "norm": "none", "init": "he", "clusters": 2, "radii": [0, 15, 30], "epoch": 2, "crop": 64}
HOLES = {"after": 0.0, "weights": {"count": 1e-2, "intra": 1e-2, "inter": 1e-2}}


@dataclass(frozen=True)
class Work:
    """What one training gives to the trainer."""

    model: nn.Module
    loss: Callable[..., dict[str, torch.Tensor]]
    settings: Training
    on_step: Callable[[int, nn.Module], None] | None = None
    finish: Callable[..., Any] | None = None


def tissue() -> tuple[LayoutSet, list[np.ndarray]]:
    """Four images of 96 × 104 px, dark at each of their 60 cells."""
    rng, layouts, images = np.random.default_rng(0), [], []
    for _ in range(4):
        points, labels = rng.uniform(0, 96, (60, 2)).astype(np.float32), rng.integers(0, 3, 60).astype(np.uint8)
        image = rng.integers(180, 250, (96, 104, 3)).astype(np.uint8)
        image[points[:, 0].astype(int), points[:, 1].astype(int)] = 40 + 30 * labels[:, None]
        layouts.append(Layout(points, labels, (96, 104)))
        images.append(image)
    return LayoutSet.build(layouts, CLASSES, 0.5), images


def layouts_by(name: str, settings: Any, device: torch.device, drawn: bool = False, **more: Any) -> Work:
    section = {"method": name, "region": REGION, "small": "error", "settings": settings, "training": TRAINING, **more}
    recipe, (cells, _) = read_recipe(section), tissue()
    maps = [torch.linspace(-1, 1, 3 * 24 * 26).view(3, 24, 26) for _ in range(4)] if drawn else None
    prepared: Prepared = method("generators", name).prepare(recipe, cells, maps, device)
    return Work(prepared.model, prepared.loss, prepared.recipe.training)


def maps_by(name: str, device: torch.device, density: bool = False, **losses: Any) -> Work:
    settings = {"network": NETWORK, **({"losses": losses} if losses else {})}
    more = {"grid": MARKERS, "condition": {"kind": "class_counts", "scale": 10.0}}
    if density:
        more |= {"density": {"method": "gmm", "settings": {}}, "condition": {"kind": "count_category", "categories": 3}}
    return layouts_by(name, settings, device, density, **more)


def points_by(device: torch.device, **topology: Any) -> Work:
    network = {"width": 32, "layers": 2, "heads": 2, "neighbours": 4, "edge_width": 8, "expansion": 2}
    return layouts_by(point_diffusion.__name__.split(".")[-1], {"network": network, **topology}, device)


def gan(device: torch.device) -> Work:
    small = {"network": {"width": 16, "layers": 2}, "discriminator": {"width": 8}, "bank": 8}
    work = layouts_by(tmccg.__name__.split(".")[-1], small, device)
    return Work(work.model, work.loss, work.settings.model_copy(update={"precision": "fp32"}))


def painter(device: torch.device, **condition: Any) -> Work:
    network = {**NETWORK, "attention": [4, 8], "fold": 2}
    training = {**TRAINING, "batch": 2}
    block = {"grid": PICTURE, "condition": condition, "network": network, "training": training}
    settings = read(diffusion.Settings, block, "painters diffusion")
    model, loss = diffusion.prepare(settings, *tissue(), device)
    return Work(model, loss, settings.training)


def features(kind: Any, device: torch.device, **settings: Any) -> Work:
    chosen = kind.Settings(grid=Grid(REGION), training=Training(**{**TRAINING, "ema": 0.0}), **settings)
    return Work(kind.build(chosen, 3), batch_loss(chosen, tissue()[0], device), chosen.training)


def detector(kind: Any, device: torch.device, **settings: Any) -> Work:
    chosen, (cells, images) = read(kind.Settings, settings, "detectors"), tissue()
    data = TrainingData((images, cells), (images, cells), chosen.crop, chosen.dot_radius, 0.5)
    training = kind.training(kind.build(chosen, 3), chosen, data, Validation(images[:1], cells[:1]))
    return Work(training.module, training.loss, chosen.training, training.on_step, training.finish)


SINGLE = {**TRAINING, "batch": 2, "ema": 0.0, "precision": "fp32"}
TRAININGS: dict[str, Callable[[torch.device], Work]] = {
    "adm": lambda device: maps_by("adm", device),
    "spatial_diffusion": lambda device: maps_by("spatial_diffusion", device, density=True),
    "topocellgen": lambda device: maps_by("topocellgen", device, **HOLES),
    "topocellgen cubical": lambda device: maps_by("topocellgen", device, **HOLES, diagrams="cubical", snr_limit=0.1),
    "point_diffusion": points_by,
    "point_diffusion topology": lambda device: points_by(
        device, topology={"weights": {"intra": 1e-3, "inter": 1e-3}, "below": 800.0}
    ),
    "tmccg": gan,
    "painter markers": lambda device: painter(device, kind="markers"),
    "painter distance": lambda device: painter(device, kind="distance", reach=4),
    "painter cross_attention": lambda device: painter(device, kind="cross_attention", width=8),
    "autoencoder": lambda device: features(autoencoder, device, width=16, depth=3, level=2),
    "resnet50": lambda device: features(resnet50, device, width=16),
    "unet": lambda device: detector(unet, device, width=8, depth=2, crop=64, training=TRAINING),
    "mcspatnet": lambda device: detector(mcspatnet, device, **MCSPATNET, training=SINGLE),
    "mcspatnet bf16": lambda device: detector(mcspatnet, device, **MCSPATNET, training={**SINGLE, "precision": "bf16"}),
}


@pytest.fixture(params=TRAININGS)
def work(request) -> Callable[[torch.device], Work]:
    """One training after the other, made anew by each call, from the same seed: work(device)."""

    def make(device: torch.device) -> Work:
        torch.manual_seed(0)
        return TRAININGS[request.param](device)

    make.name = request.param  # type: ignore[attr-defined]
    return make
