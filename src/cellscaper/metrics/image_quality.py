"""Scores of H&E images: nuclei under the dots, stain statistics, image FID.

Painted images are compared with real training images, which the model that paints imitates; what real test images
have against the same training images is the floor of each distance.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.detection import RADIUS, detection_scores
from cellscaper.metrics.frechet import Shrinkage, fid, fid_name, frechet_distance

GLASS = 0.15  # optical density (Macenko et al., ISBI 2009): pixels below it in every channel show no tissue

_DENSITY = -np.log10((np.arange(256) + 1) / 256)  # of each value of a channel


def dots_found(
    layouts: LayoutSet, detections: LayoutSet, radius: float = RADIUS
) -> tuple[dict[str, float], dict[str, float]]:
    """Recall and precision of a detector's cells under the dots that images were painted for.

    Both {class: …, "mean": …, "detection": …}, 0…1, one-to-one within ``radius`` px over all images together: a class
    counts dots with a cell of that class, ``mean`` is over the classes, ``detection`` counts cells of any class.
    Errors as in :func:`cellscaper.metrics.detection.image_counts`.
    """
    found = detection_scores(layouts, detections, radius)
    return found["recall"], found["precision"]


def optical_density(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """−log10((I + 1) / 256) of each value of an image (…, 3) uint8: 0 for white, 2.41 for black."""
    if image.dtype != np.uint8:
        raise CellscaperError(f"optical density: an image of {image.dtype}, expected uint8 on 0…255")
    return _DENSITY[image]


@dataclass(frozen=True)
class Stain:
    """Optical density of the tissue of a set of images: ``mean`` (3,) and ``cov`` (3, 3) over its pixels, RGB, NaN
    where there are fewer than two of them; ``glass``: the part of all pixels that shows none."""

    mean: NDArray[np.float64]
    cov: NDArray[np.float64]
    glass: float


def stain(images: Iterable[NDArray[np.uint8]], glass: float = GLASS) -> Stain:
    """Stain statistics of RGB images (H, W, 3) uint8. A pixel is glass if all its channels are below ``glass``."""
    total, kept = 0, 0
    first, second = np.zeros(3), np.zeros((3, 3))
    for image in images:
        density = optical_density(image).reshape(-1, 3)
        tissue = density[(density >= glass).any(axis=1)]
        total, kept = total + len(density), kept + len(tissue)
        first, second = first + tissue.sum(axis=0), second + tissue.T @ tissue
    if not total:
        raise CellscaperError("stain statistics: no images; give at least one")
    share = 1 - kept / total
    if kept < 2:
        return Stain(np.full(3, np.nan), np.full((3, 3), np.nan), share)
    mean = first / kept
    return Stain(mean, (second - kept * np.outer(mean, mean)) / (kept - 1), share)


def stain_distances(one: Stain, two: Stain) -> dict[str, float]:
    """How far apart the stains of two sets are, 0 for equal ones.

    ``stain_mean``: Euclidean distance of the means, in optical density. ``stain_frechet``: root of the Fréchet (Bures)
    distance of the two Gaussians, in optical density and never below ``stain_mean``. ``glass``: difference of the
    parts of pixels that are glass. The first two are NaN where a side shows no tissue.
    """
    gap = abs(one.glass - two.glass)
    if np.isnan(one.mean).any() or np.isnan(two.mean).any():
        return {"stain_mean": np.nan, "stain_frechet": np.nan, "glass": gap}
    squared = frechet_distance(one.mean, one.cov, two.mean, two.cov)
    apart = float(np.linalg.norm(one.mean - two.mean))
    return {"stain_mean": apart, "stain_frechet": float(np.sqrt(squared)), "glass": gap}


def image_fid_name(shrinkage: Shrinkage) -> str:
    """Under which name an image FID is written: a shrunk covariance shows in it."""
    return fid_name("image_fid", shrinkage)


def image_fid(real: NDArray, painted: NDArray, shrinkage: Shrinkage = "none") -> float:
    """Squared Fréchet distance of the features (n, d) and (m, d) of image tiles, in the squared unit of the features.

    ``shrinkage`` as in spatial-FID; without it CellscaperError where a side has no more tiles than features.
    Its value belongs to the network that made the features and falls as tiles are added: compare rows of one network
    beside their floor. Tiles of one image are not independent.
    """
    return fid("image FID", "tiles", {"real": real, "painted": painted}, shrinkage)
