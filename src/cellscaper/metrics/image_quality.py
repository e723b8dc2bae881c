"""Scores of H&E images: nuclei under the dots, stain statistics, image FID.

Painted images are compared with real training images, because the painting model imitates these. The floor of each
distance (the best value that one can expect) is the distance of real test images to the same training images.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from cellscaper.detectors import unet
from cellscaper.detectors.data import channels_first, to_input
from cellscaper.detectors.peaks import detect, found_in
from cellscaper.layouts import Layout, LayoutSet, crop
from cellscaper.metrics.detection import RADIUS, detection_scores
from cellscaper.metrics.frechet import Shrinkage, fid, fid_name, frechet_distance
from cellscaper.metrics.protocol import Column
from cellscaper.run.progress import Progress
from cellscaper.run.settings import Count
from cellscaper.run.settings import Settings as Block
from cellscaper.views.decoding import Cells
from cellscaper.views.patches import large_enough
from cellscaper.views.stain import GLASS, Image, Stain, stain

Encode = Callable[[Image], NDArray[np.float32]]
Find = Callable[[Image], Cells]

_DOTS = (
    "recall: the share of dots under which a U-Net trained on real images alone finds a cell of their class, or of any "
    "class, within the detection radius, one to one; precision: the share of the U-Net's cells that lie on a dot"
)
_STAIN = (
    "stain: optical density −log10((I + 1)/256) of the pixels that are not glass, as the distance of the means and as "
    "the root of the Fréchet distance of the Gaussians; glass: difference of the shares of glass pixels"
)
_FID = (
    "image FID: Fréchet distance of the features of that U-Net's deepest level, averaged over tiles. The value depends "
    "on this network and falls with the number of tiles. Tiles of one image are not independent"
)
OF = "images"
COLUMNS = {
    "dot_recall": Column("recall", higher_is_better=True, caveat=_DOTS),
    "dot_precision": Column("precision", higher_is_better=True, caveat=_DOTS),
    "stain_mean": Column("stain mean, OD", caveat=_STAIN),
    "stain_frechet": Column("stain Fréchet, OD", caveat=_STAIN),
    "glass": Column("glass", caveat=_STAIN),
    "image_fid": Column("image FID", caveat=_FID),
    "image_fid_shrinkage": Column("image FID, shrunk covariances", caveat=_FID),
}


class Settings(Block):
    """Painted images, judged by a U-Net trained on real images alone (first seed)."""

    detector: str = Field(
        "unet", description="name of a U-Net in `detectors`; its training on real images alone judges the images"
    )
    tile: Count = Field(64, description="px: side of the tiles whose features the FID compares")
    glass: float = Field(
        GLASS, ge=0, description="optical density below which, in every channel, a pixel shows no tissue"
    )
    shrinkage: Shrinkage = Field("none", description="estimate of the covariances, as in spatial_fid")


def image_windows(
    cells: LayoutSet,
    images: Sequence[Image],
    region: int,
    small: Literal["error", "skip"] = "error",
    chosen: slice = slice(None),
) -> tuple[LayoutSet, list[Image]]:
    """Windows of ``region`` px of the chosen images with their cells, evenly spaced, about as many as fit side by side.

    ``small``: images smaller than the region raise CellscaperError (``error``) or are left out (``skip``).
    """
    layouts: list[Layout] = []
    pixels = []
    for i in np.flatnonzero(large_enough(cells, region, small))[chosen].tolist():
        layout = cells.layout(i)
        rows, columns = (
            np.linspace(0, length - region, max(1, round(length / region))).round().astype(int).tolist()
            for length in layout.size
        )
        for y in rows:
            for x in columns:
                layouts.append(crop(layout, y, x, region, region))
                pixels.append(images[i][y : y + region, x : x + region])
    return LayoutSet.build(layouts, cells.classes, cells.mpp), pixels


def unet_reader(
    model: unet.UNet, settings: unet.Settings, tile: int, device: torch.device | str
) -> tuple[Encode, Find]:
    """Two functions of an image by a trained U-Net: the features (T, d) of its tiles of ``tile`` px, and its cells."""

    def encode(image: Image) -> NDArray[np.float32]:
        inputs = to_input(channels_first(image)[None].to(device))
        return unet.tile_features(model, inputs, tile).cpu().numpy()

    return encode, partial(detect, unet.maps, unet.cells, model, settings=settings, device=device)


def image_scores(
    reference: Sequence[Image],
    layouts: LayoutSet,
    images: Sequence[Image],
    encode: Encode,
    find: Find | None,
    glass: float = GLASS,
    shrinkage: Shrinkage = "none",
    radius: float = RADIUS,
) -> dict[str, dict[str, float]]:
    """{metric: {class or "total": value}} of ``images`` against the ``reference`` images.

    ``encode`` gives the features (T, d) of the tiles of an image. ``find`` gives the cells that a detector sees in it,
    to be compared with the ``layouts`` of the images; without ``find``, recall and precision of the dots are left out.
    """
    values = stain_distances(stain(images, glass), stain(reference, glass))
    real, own = _features(reference, encode, "reference"), _features(images, encode, "images")
    values[image_fid_name(shrinkage)] = image_fid(real, own, shrinkage)
    found = {name: {"total": value} for name, value in values.items()}
    if find is not None:
        recall, precision = dots_found(layouts, found_in(layouts, images, find, "detections"), radius)
        found |= {"dot_recall": recall, "dot_precision": precision}
    return found


def _features(images: Sequence[Image], encode: Encode, what: str) -> NDArray[np.float32]:
    """Features (T, d) of the tiles of all images; ``what`` names the images in the progress line."""
    found = []
    with Progress(len(images), f"{what}: features") as progress:
        for image in images:
            found.append(encode(image))
            progress.update()
    return np.concatenate(found)


def dots_found(
    layouts: LayoutSet, detections: LayoutSet, radius: float = RADIUS
) -> tuple[dict[str, float], dict[str, float]]:
    """Recall and precision of a detector's cells against the dots of the layouts that images were painted for.

    Both {class: …, "mean": …, "detection": …}, 0…1, one-to-one within ``radius`` px over all images together: a class
    counts dots with a cell of that class, ``mean`` is over the classes, ``detection`` counts cells of any class.
    Errors as in :func:`cellscaper.metrics.detection.image_counts`.
    """
    found = detection_scores(layouts, detections, radius)
    return found["recall"], found["precision"]


def stain_distances(one: Stain, two: Stain) -> dict[str, float]:
    """How far apart the stains of two sets are, 0 for equal ones.

    ``stain_mean``: Euclidean distance of the means, in optical density. ``stain_frechet``: root of the Fréchet (Bures)
    distance of the two Gaussians, in optical density and never below ``stain_mean``. ``glass``: difference of the
    shares of glass pixels. The first two are NaN where a side shows no tissue.
    """
    gap = abs(one.glass - two.glass)
    if np.isnan(one.mean).any() or np.isnan(two.mean).any():
        return {"stain_mean": np.nan, "stain_frechet": np.nan, "glass": gap}
    squared = frechet_distance(one.mean, one.cov, two.mean, two.cov)
    apart = float(np.linalg.norm(one.mean - two.mean))
    return {"stain_mean": apart, "stain_frechet": float(np.sqrt(squared)), "glass": gap}


def image_fid_name(shrinkage: Shrinkage) -> str:
    """The name of an image FID in tables; it shows whether covariances are shrunk."""
    return fid_name("image_fid", shrinkage)


def image_fid(real: NDArray, painted: NDArray, shrinkage: Shrinkage = "none") -> float:
    """Squared Fréchet distance of the features (n, d) and (m, d) of image tiles, in the squared unit of the features.

    ``shrinkage`` as in spatial-FID; without it CellscaperError if a side has no more tiles than features.
    The value depends on the network that made the features, and it falls as tiles are added: compare only rows of the
    same network, and with their floor. Tiles of one image are not independent.
    """
    return fid("image FID", "tiles", {"real": real, "painted": painted}, shrinkage)
