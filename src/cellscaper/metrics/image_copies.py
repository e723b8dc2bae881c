"""Image copy audit: how much of a painted image is copied from training images, and how near it lies to them.

Of every painter: one that quilts copies all its pixels, and one that was trained may have learned crops by heart.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from cellscaper.features import lite0
from cellscaper.metrics.copied_pixels import Image, copied_pixels, turn_image
from cellscaper.metrics.frechet import fid
from cellscaper.metrics.nearest_images import TrainingCrops, nearness
from cellscaper.metrics.protocol import Column
from cellscaper.run.settings import Count
from cellscaper.run.settings import Settings as Block

_PIXELS = (
    "copied: pixels that are those of a training image, exactly, in pieces of 64 px or more and in any of the eight "
    "symmetries; pieces with another stain are not found. Largest piece: its share of an image, mean over the images"
)
_NEAREST = (
    "nearest training crop: its distance in the features of EfficientNet-Lite0 (public ImageNet weights), median over "
    "crops, as a share of that of real test crops; 1: as far as other patients' tissue. Near copies: the share of "
    "crops nearer than the nearest 1 % of the real ones"
)
_FID = "Lite0 FID: Fréchet distance of the same network's features over tiles; the same network in every run"
OF = "images"
COLUMNS = {
    "copied_piece": Column("largest copied piece", caveat=_PIXELS),
    "copied_pixels": Column("copied pixels", caveat=_PIXELS),
    "nearest_crop": Column("nearest training crop", higher_is_better=True, caveat=_NEAREST),
    "near_copies": Column("near copies", caveat=_NEAREST),
    "lite0_fid": Column("Lite0 FID", caveat=_FID),
}


class Settings(Block):
    """The images that are compared with the training images, and the network that sees them."""

    images: Count = Field(64, description="images of each row, the first ones; as many windows of test images")
    network: Literal["lite0"] | None = Field(
        None,
        description="fixed feature network of images (extra lite0); null: copied pixels alone are counted",
    )
    crop: Count = Field(128, multiple_of=lite0.STRIDE, description="px: side of the crops whose nearest is searched")
    tile: Count = Field(64, description="px: side of the tiles whose features the FID compares")


def image_copies(
    train: Sequence[Image], real: Sequence[Image], made: Sequence[Image], settings: Settings
) -> dict[str, dict[str, float]]:
    """{metric: {class: value}} of the images ``made``, with windows of the test images, ``real``, beside them."""
    made, real = made[: settings.images], real[: settings.images]
    found = copied_pixels(made, train)
    pieces = [one.piece for one in found]
    scores = {
        "copied_piece": {"mean": float(np.mean(pieces)), "max": float(np.max(pieces))},
        "copied_pixels": {"total": float(np.mean([one.all for one in found]))},
    }
    if settings.network is None:
        return scores
    model = lite0.load()
    crops = TrainingCrops(train, lambda image: lite0.feature_map(model, image), settings.crop, lite0.STRIDE)
    scores |= nearness(crops.nearest(made, "images"), crops.nearest(real, "test images"))
    sides = {
        "training": np.concatenate([lite0.tile_features(model, image, settings.tile) for image in train]),
        "painted": np.concatenate([lite0.tile_features(model, image, settings.tile) for image in made]),
    }
    return scores | {"lite0_fid": {"total": fid("Lite0 FID", "tiles", sides, "none")}}


Box = tuple[int, int, int, int]  # top, left, bottom, right, px
Pair = tuple[str, Image, Image | None, Box | None, Box | None, str]


def nearest_pairs(
    train: Sequence[Image], names: Sequence[str], made: Sequence[Image], settings: Settings
) -> list[Pair]:
    """For each image the training image that its largest copied piece comes from and, with a network, the nearest crop
    of all its crops: (what, image, part of the training image or None, box in each, a line that says how near).

    Parts of training images are as large as the image, and turned as the copy is. ``names``: of the training images.
    """
    pairs: list[Pair] = []
    for image, copied in zip(made, copied_pixels(made, train), strict=True):
        line = f"{copied.piece:.1%} of the pixels" if copied.largest else "no copied piece"
        part, box, theirs = None, None, None
        if copied.largest:
            one = copied.largest
            box = one.box
            corner = one.corner
            turned = turn_image(train[one.source], one.symmetry)
            theirs = (corner[0], corner[1], corner[0] + box[2] - box[0], corner[1] + box[3] - box[1])
            part, theirs = _around(turned, theirs, image.shape[:2])
            line += f", {names[one.source]}"
        pairs.append(("largest copied piece", image, part, box, theirs, line))
    if settings.network is None:
        return pairs
    model = lite0.load()
    crops = TrainingCrops(train, lambda image: lite0.feature_map(model, image), settings.crop, lite0.STRIDE)
    nearest = crops.nearest(made, "images")
    for i, image in enumerate(made):
        near = min((one for one in nearest if one.crop[0] == i), key=lambda one: one.distance, default=None)
        if near is None:
            continue
        side = settings.crop
        (_, y, x), (source, top, left) = near.crop, near.training
        part, theirs = _around(train[source], (top, left, top + side, left + side), image.shape[:2])
        line = f"distance {near.distance:.1f}, {names[source]}"
        pairs.append(("nearest crop (Lite0)", image, part, (y, x, y + side, x + side), theirs, line))
    return pairs


def _around(image: Image, box: Box, size: tuple[int, ...]) -> tuple[Image, Box]:
    """A part of an image of about ``size`` (height, width) with the box in its middle; the box in this part."""
    starts = []
    for low, high, length, wanted in zip(box[:2], box[2:], image.shape[:2], size[:2], strict=True):
        starts.append(min(max((low + high - wanted) // 2, 0), max(length - wanted, 0)))
    y, x = starts
    part = image[y : y + size[0], x : x + size[1]]
    return part, (box[0] - y, box[1] - x, box[2] - y, box[3] - x)
