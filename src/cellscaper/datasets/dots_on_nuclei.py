"""How surely the dots of one image lie on its nuclei: each dot is compared with the places around it."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from cellscaper.datasets.nuclei_under_dots import darkness

MOST = 300  # dots of an image that are looked at
INSIDE = 0.95  # share of the dots that must lie in the image
SUREST = 30.0  # a fit is cut there, where probabilities are too small for a float
FLAT = 1e-5  # optical density that is no difference
DARK_GROUND = 1.0  # median optical density above which an image is no bright field
SEEN = 0.12  # optical density by which the darkest twentieth of places differs from what is around it
_SPOT = np.array([(y, x) for y in (-2, 0, 2) for x in (-2, 0, 2)])  # px: a part of a nucleus
_TURNS = np.arange(24) * np.pi * (3 - np.sqrt(5))  # golden angles: no direction twice
_AROUND = np.linspace(10, 40, 24)[:, None] * np.stack([np.sin(_TURNS), np.cos(_TURNS)], -1)  # px
_GRID = 2000  # places of an image at which nuclei are looked for


def fit(image: NDArray[np.uint8], points: NDArray[np.float64]) -> float:
    """How surely an image (H, W, 3) is darker under points (N, 2) y, x px than 10 to 40 px around them.

    The normal score of Student's t of the differences, so that few dots are not surer than many: about standard normal
    for dots that have nothing to do with the nuclei, whatever the tissue; negative where nuclei are bright. NaN for
    under 3 dots, if over 5 % of them lie outside the image, and for an image without anything in red.
    """
    inside = ((points >= 0) & (points <= np.array(image.shape[:2]) - 1)).all(axis=1)
    if len(points) < 3 or inside.mean() < INSIDE:
        return float("nan")
    return score(contrast(image, few(points[inside], MOST)))


def score(found: NDArray[np.float64]) -> float:
    """The normal score of Student's t of contrasts (N,); NaN for under 3, and for an image without anything in red."""
    if len(found) < 3 or np.abs(found).max() < FLAT:
        return float("nan")
    t = float(found.mean() / max(float(found.std(ddof=1)) / np.sqrt(len(found)), FLAT))
    value = -float(ndtri(stdtr(len(found) - 1, -abs(t))))
    return float(np.copysign(min(value, SUREST), t))


def spot(image: NDArray[np.uint8], points: NDArray[np.float64]) -> float:
    """Mean darkness under points, those outside at the border: quick, to choose what `fit` looks at."""
    places = np.clip(np.round(points).astype(np.int64), 0, np.array(image.shape[:2]) - 1)
    return float(_densities()[image[places[:, 0], places[:, 1], 0]].mean())


def shows_nuclei(image: NDArray[np.uint8]) -> bool:
    """Whether a bright image (H, W, 3) has dark spots, as with haematoxylin; not so faint stains and fluorescence."""
    if on_dark_ground(image):
        return False
    step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / _GRID)))
    axes = [np.arange(0, side, step, dtype=np.float64) for side in image.shape[:2]]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    return float(np.quantile(contrast(image, places), 0.95)) > SEEN


def on_dark_ground(image: NDArray[np.uint8]) -> bool:
    """Whether most of an image (H, W, 3) is dark, as in fluorescence."""
    return float(np.median(darkness(image[::4, ::4]))) > DARK_GROUND


def few(points: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """At most ``most`` of the points (N, 2), evenly from their order."""
    return points[:: max(1, -(-len(points) // most))]


def contrast(image: NDArray[np.uint8], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) optical density under points less that around them; points without any place around them are left out."""
    size = np.array(image.shape[:2])
    own = np.clip(np.round(points[:, None] + _SPOT).astype(np.int64), 0, size - 1)
    ring = np.round(points[:, None] + _AROUND).astype(np.int64)
    inside = ((ring >= 0) & (ring < size)).all(axis=-1)
    ring = np.clip(ring, 0, size - 1)
    dark = _densities()
    under = dark[image[own[..., 0], own[..., 1], 0]].mean(axis=1)
    around = (dark[image[ring[..., 0], ring[..., 1], 0]] * inside).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    return np.asarray((under - around)[inside.any(axis=1)], np.float64)


@cache
def _densities() -> NDArray[np.float32]:
    """(256,) the darkness of each value of red."""
    values = np.arange(256, dtype=np.uint8)
    return darkness(values[:, None])
