"""Scenes that every detector must learn: a coloured disc for each cell."""

import numpy as np
import pytest
import torch

from cellscaper.detectors import decoupled
from cellscaper.detectors.data import TrainingData
from cellscaper.detectors.training import Validation
from cellscaper.disk.weights import write_weights
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.training.settings import Training

COLOURS = np.array([[70, 40, 120], [190, 70, 150], [110, 140, 190]])


def scene(seed: int, size: tuple[int, int] = (96, 80), cells: int = 22) -> tuple[np.ndarray, Layout]:
    """An image with a coloured disc for each cell on noisy pink, at least 9 px apart."""
    rng = np.random.default_rng(seed)
    points = np.zeros((0, 2))
    while len(points) < cells:
        new = rng.integers(0, size, 2)
        if (np.hypot(*(points - new).T) >= 9).all():
            points = np.concatenate([points, new[None]])
    labels = rng.integers(0, 3, cells).astype(np.uint8)
    image = np.full((*size, 3), (230, 205, 220)) + rng.normal(0, 12, (*size, 1))
    y, x = np.mgrid[: size[0], : size[1]]
    for (cy, cx), label in zip(points, labels, strict=True):
        image[np.hypot(y - cy, x - cx) <= 3.5] = COLOURS[label] + rng.normal(0, 10, 3)
    return image.clip(0, 255).astype(np.uint8), Layout(points.astype(np.float32), labels, size, f"scene {seed}")


def make_scenes(seeds: range, **options: object) -> tuple[list[np.ndarray], LayoutSet]:
    images, layouts = zip(*(scene(seed, **options) for seed in seeds), strict=True)  # type: ignore[arg-type]
    return list(images), LayoutSet.build(layouts, ("a", "b", "c"), 0.5)


@pytest.fixture(scope="session", name="scenes")
def _scenes():
    """scenes(range of seeds, size=…, cells=…) → images and their LayoutSet."""
    return make_scenes


@pytest.fixture(scope="session")
def colours() -> np.ndarray:
    """(3, 3) RGB of the discs of each class."""
    return COLOURS


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A file of weights as `train_detector` writes it: a decoupled detector, trained on discs for some seconds."""
    torch.manual_seed(0)
    reading = {"smooth": 1.5, "threshold": 0.4}  # of so short a training the maps are low and rough
    small = Training(steps=60, lr=5e-3, batch=4)
    settings = decoupled.Settings(width=8, depth=3, crop=64, loss="apart", training=small, **reading)
    model = decoupled.build(settings, 3)
    validation = Validation(*make_scenes(range(100, 102), size=(90, 110)))
    data = TrainingData(make_scenes(range(6)), None, settings.crop, settings.dot_radius)
    training = decoupled.training(model, settings, data, validation)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    generator = torch.Generator().manual_seed(0)
    for step in range(60):
        optimizer.zero_grad()
        training.loss(model, generator, step)["loss"].backward()
        optimizer.step()
    weights, facts = training.finish(model.state_dict())
    section = {"method": "decoupled", "settings": settings.model_dump(mode="json"), "synthetic_fraction": 0.0}
    path = tmp_path_factory.mktemp("trained") / "model.safetensors"
    record = {"git": "abc", "seed": 0, "inputs": {}, "cellscaper": "0"}
    write_weights(path, weights, record, section=section, classes=["a", "b", "c"], mpp=0.5, **facts)
    return path
