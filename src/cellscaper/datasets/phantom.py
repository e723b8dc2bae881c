"""Phantom: a dataset of simulated tissue (datasets/tissue.py) with H&E images painted for it (datasets/render.py)."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from cellscaper.datasets.record import SPLITS, Record
from cellscaper.datasets.render import render
from cellscaper.datasets.tissue import CLASSES, simulate
from cellscaper.run.settings import Count
from cellscaper.run.settings import Settings as Base

Side = Annotated[int, Field(ge=64)]  # px


class Images(Base):
    """Images of each split."""

    train: Count = Field(80, description="images for training")
    val: Count = Field(10, description="images for validation")
    test: Count = Field(30, description="images for test")


class Settings(Base):
    """The simulated tissue."""

    classes: Literal[3, 6] = Field(3, description="3 classes as in BRCA-M2C or 6 as in Lizard")
    images: Images = Field(Images(), description="number of images of each split")
    size: tuple[Side, Side] = Field((500, 480), description="height and width of an image, px")
    seed: int = Field(0, ge=0, description="seed of the simulated tissue")


def classes(settings: Settings) -> tuple[str, ...]:
    """Class names in the order of the labels."""
    return CLASSES[settings.classes]


def mpp(settings: Settings) -> float:
    """µm a pixel: 20×."""
    return 0.5


def files(settings: Settings, root: Path | None) -> list[Path]:
    """No files: phantom images are computed."""
    return []


def fetch(settings: Settings, destination: Path) -> Path:
    """Nothing to fetch."""
    return destination


def read(settings: Settings, root: Path | None) -> Iterator[Record]:
    """The images of all splits.

    Image k of a split depends only on (seed, split, k), size and classes: more images leave the others unchanged.
    """
    names = classes(settings)
    for split in sorted(SPLITS):
        for k in range(getattr(settings.images, split)):
            key = (settings.seed, zlib.crc32(split.encode()), k)
            points, labels, _ = simulate(settings.size, len(names), np.random.default_rng((*key, 0)))
            image = render(points, labels, settings.size, names, np.random.default_rng((*key, 1)))
            yield Record(image_id=f"{split}-{k:04d}", split=split, points=points, labels=labels, image=image)
