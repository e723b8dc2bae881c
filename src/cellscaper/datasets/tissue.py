"""Phantom tissue: a seeded simulator of cell layouts whose structure is known.

Tumour nests (irregular blobs full of epithelial cells), glands (rings of epithelial cells around an empty lumen:
one persistent loop each), immune clusters at the nests' borders, strands of stromal cells along level lines around
nests. Any two cells keep the minimum distance of their classes. Counts and distances resemble
BRCA-M2C (docs/methods.md, section 1.1) and vary as much between images.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cellscaper.datasets.noise import smooth_noise

CLASSES = {
    3: ("lymphocyte", "epithelial", "stromal"),
    6: ("neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective"),
}
WINDOW = 256 * 256  # px²: rates are per window of 256 × 256 px

# Minimum distance in px between two cells of these roles: slightly below the 1st percentiles of BRCA-M2C.
HARD_CORE = np.array([[6, 8, 7], [8, 7, 8], [7, 8, 5]], np.float64)
IMMUNE, EPITHELIAL, STROMAL = 0, 1, 2
ROLES = {3: (0, 1, 2), 6: (0, 1, 0, 0, 0, 2)}
IMMUNE_MIX = {3: (1.0, 0, 0), 6: (0.08, 0, 0.56, 0.26, 0.10, 0)}  # share of each class among the immune cells


@dataclass(frozen=True)
class Scene:
    """Contents of one kind of image; each pair is the range of a random value."""

    share: float  # fraction of the images
    cover: tuple[float, float]  # fraction of the area inside nests
    glands: tuple[float, float]  # per window
    clusters: tuple[float, float]  # immune clusters per window
    cluster_cells: tuple[float, float]
    stromal: tuple[float, float]  # stromal cells per window of stroma


SCENES = {
    "nests": Scene(0.42, (0.30, 0.75), (0.0, 0.5), (0.2, 1.0), (6, 16), (18, 40)),
    "glands": Scene(0.20, (0.02, 0.15), (1.2, 2.4), (0.2, 0.8), (6, 14), (20, 42)),
    "inflamed": Scene(0.18, (0.12, 0.35), (0.0, 0.5), (1.2, 2.6), (14, 30), (14, 34)),
    "stroma": Scene(0.20, (0.00, 0.05), (0.0, 0.1), (0.0, 0.5), (5, 14), (20, 55)),
}


@dataclass(frozen=True)
class Structure:
    """The ground truth of a phantom layout.

    kind   the scene: nests, glands, inflamed or stroma
    nests  (H, W) int32, number of the nest at each pixel, 0 outside
    glands (G, 3) float32, centre y and x and radius of the ring, px
    angle  (H, W) float32, direction of the strands: along (sin angle, cos angle) in y, x
    gland  (N,) int32, the gland each cell belongs to, −1 for none
    strand (N,) int32, the strand each cell belongs to, −1 for none
    """

    kind: str
    nests: NDArray[np.int32]
    glands: NDArray[np.float32]
    angle: NDArray[np.float32]
    gland: NDArray[np.int32]
    strand: NDArray[np.int32]


def hard_core(classes: int) -> NDArray[np.float64]:
    """(C, C) minimum distance in px between cells of two classes."""
    roles = np.array(ROLES[classes])
    return HARD_CORE[roles[:, None], roles]


class _Ground:
    """The cells placed so far and, for each class, the pixels where no further cell may go."""

    def __init__(self, size: tuple[int, int], classes: int):
        self.size = size
        self.reach = hard_core(classes)
        self.blocked = np.zeros((classes, *size), bool)
        self.cells: list[tuple[int, int, int, int, int]] = []  # y, x, label, gland, strand

    def place(self, y: float, x: float, label: int, spacing: float = 0.0, gland: int = -1, strand: int = -1) -> bool:
        """Put a cell on the nearest pixel if it is free; ``spacing`` keeps later cells of its class further away."""
        y, x = math.floor(y + 0.5), math.floor(x + 0.5)
        height, width = self.size
        if not (0 <= y < height and 0 <= x < width) or self.blocked[label, y, x]:
            return False
        reach = self.reach[label].copy()
        reach[label] = max(reach[label], spacing)
        far = int(np.ceil(reach.max()))
        top, left = max(y - far, 0), max(x - far, 0)
        window = (slice(None), slice(top, y + far + 1), slice(left, x + far + 1))
        rows = np.arange(top, min(y + far + 1, height)) - y
        columns = np.arange(left, min(x + far + 1, width)) - x
        squared = rows[:, None] ** 2 + columns**2
        self.blocked[window] |= squared < reach[:, None, None] ** 2
        self.cells.append((y, x, label, gland, strand))
        return True

    def scatter(
        self, labels: NDArray[np.int64], weight: NDArray, spacing: tuple[float, float], rng: np.random.Generator
    ) -> None:
        """Place cells of these labels (n,) at random pixels, weighted by ``weight`` (H, W), as far as there is room."""
        total = np.cumsum(weight, dtype=np.float64)
        if not len(labels) or total[-1] <= 0:
            return
        darts = np.searchsorted(total, rng.random(12 * len(labels)) * total[-1], side="right")
        gaps = rng.uniform(*spacing, len(darts))
        done = 0
        for dart, gap in zip(darts, gaps, strict=True):
            done += self.place(*divmod(int(dart), self.size[1]), int(labels[done]), gap)
            if done == len(labels):
                return


def simulate(
    size: tuple[int, int], classes: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8], Structure]:
    """One layout of ``size`` (height, width) px at 0.5 µm a pixel with 3 (BRCA-M2C) or 6 (Lizard) classes.

    Returns points (N, 2) float32 with integer values, y then x, in raster order; labels (N,) uint8; the Structure.
    """
    kind = list(SCENES)[rng.choice(len(SCENES), p=[scene.share for scene in SCENES.values()])]
    scene = SCENES[kind]
    ground = _Ground(size, classes)
    epithelial = ROLES[classes].index(EPITHELIAL)
    windows = size[0] * size[1] / WINDOW
    waves = smooth_noise(size, rng.uniform(16, 28), rng)
    glands = _draw_glands(size, rng.poisson(rng.uniform(*scene.glands) * windows), rng)
    away = _distance_to_glands(size, glands)  # (H, W), < 0 inside a ring
    nests = _draw_nests(waves, rng.uniform(*scene.cover), away)

    for number, gland in enumerate(glands):
        _ring(ground, gland, number, epithelial, rng)
    ground.blocked[:, away < 6] = True
    crowding = rng.uniform(0.0012, 0.0029)  # epithelial cells per px² of nest
    count = rng.poisson(crowding * (nests > 0).sum())
    ground.scatter(np.full(count, epithelial), nests > 0, (10, 0.95 / np.sqrt(crowding)), rng)

    outside = np.minimum(_outside(nests > 0), np.maximum(away - 6, 0))  # px to the nearest nest or gland, (H, W)
    _immune(ground, scene, outside, classes, rng)
    angle = _strand_direction(waves, nests > 0, away, rng)
    count = rng.poisson(rng.uniform(*scene.stromal) * (outside > 0).sum() / WINDOW)
    _strands(ground, angle, outside > 4, count, ROLES[classes].index(STROMAL), rng)

    cells = np.array(sorted(ground.cells), np.int32).reshape(-1, 5)
    structure = Structure(kind, nests, glands, angle, cells[:, 3], cells[:, 4])
    return cells[:, :2].astype(np.float32), cells[:, 2].astype(np.uint8), structure


def _draw_glands(size: tuple[int, int], count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(G, 3) centres and radii of rings that lie inside the image and apart from each other."""
    glands: list[tuple[float, float, float]] = []
    largest = min(40.0, min(size) / 2 - 6)
    for _ in range(20 * count):
        radius = rng.uniform(20, largest)
        y, x = rng.uniform(radius + 4, np.array(size) - radius - 4)
        if all(np.hypot(y - b, x - a) > radius + r + 16 for b, a, r in glands):
            glands.append((y, x, radius))
        if len(glands) == count:
            break
    return np.array(glands, np.float32).reshape(-1, 3)


def _distance_to_glands(size: tuple[int, int], glands: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = np.ogrid[: size[0], : size[1]]
    away = np.full(size, np.inf, np.float32)
    for y, x, radius in glands:
        np.minimum(away, np.hypot(rows - y, columns - x) - radius, out=away)
    return away


def _draw_nests(waves: NDArray[np.float32], cover: float, away: NDArray[np.float32]) -> NDArray[np.int32]:
    """Numbered blobs where the noise is highest, away from the glands; small blobs are dropped."""
    high = (waves > np.quantile(waves, 1 - cover)) & (away > 14)
    nests, _ = ndimage.label(high)
    large = np.bincount(nests.ravel()) >= 500  # px²
    large[0] = False
    return np.where(large, np.cumsum(large), 0)[nests].astype(np.int32)


def _ring(ground: _Ground, gland: NDArray[np.float32], number: int, label: int, rng: np.random.Generator) -> None:
    """Epithelial cells 10.5–13 px apart on a circle, jittered by about a pixel."""
    y, x, radius = gland
    n = int(2 * np.pi * radius / rng.uniform(10.5, 13))
    turn = (np.arange(n) + rng.uniform(-0.06, 0.06, n)) * 2 * np.pi / n + rng.uniform(0, 2 * np.pi)
    reach = radius + rng.uniform(-1, 1, n)
    for a, r in zip(turn, reach, strict=True):
        ground.place(y + r * np.sin(a), x + r * np.cos(a), label, gland=number)


def _outside(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(H, W) distance in px to the mask; infinite if the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    return ndimage.distance_transform_edt(~mask).astype(np.float32)


def _immune(
    ground: _Ground, scene: Scene, outside: NDArray[np.float32], classes: int, rng: np.random.Generator
) -> None:
    """Clusters along the borders of nests and glands, sparser towards the stroma, and a few single cells anywhere."""
    windows = outside.size / WINDOW
    rows, columns = np.ogrid[: outside.shape[0], : outside.shape[1]]
    border = (outside > 3) & ((outside < 14) | np.isinf(outside.min()))
    weight = np.zeros(outside.shape, np.float32)
    count = 0
    if border.any():
        for centre in rng.choice(np.flatnonzero(border), rng.poisson(rng.uniform(*scene.clusters) * windows)):
            y, x = divmod(int(centre), outside.shape[1])
            cells = rng.poisson(rng.uniform(*scene.cluster_cells))
            spread = 5.0 * np.sqrt(max(cells, 4))  # px
            near = np.exp(-((rows - y) ** 2) / (2 * spread**2)) * np.exp(-((columns - x) ** 2) / (2 * spread**2))
            weight += cells * (near / near.sum()).astype(np.float32)
            count += cells
    depth = np.where(np.isinf(outside), 0, outside)
    weight *= (outside > 3) * np.exp(-depth / 18)
    mix = np.array(IMMUNE_MIX[classes])
    ground.scatter(rng.choice(classes, count, p=mix), weight, (6, 14), rng)
    lone = rng.choice(classes, rng.poisson(1.5 * windows), p=mix)
    ground.scatter(lone, np.exp(-depth / 40), (6, 14), rng)


def _strand_direction(
    waves: NDArray[np.float32], nests: NDArray[np.bool_], away: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Tangent of the level lines of a ramp with gentle waves and hills on nests and glands: lines go around both."""
    turn, steep = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.06)
    shore = waves[nests].min() if nests.any() else np.inf
    hills = np.maximum(waves - shore + 0.7, 0) + 1.2 * smooth_noise(waves.shape, 80, rng)
    hills += 3 * np.exp(-(np.maximum(away + 10, 0) ** 2) / (2 * 18**2))
    slope_y, slope_x = np.gradient(hills)
    return np.arctan2(-(slope_x + steep * np.cos(turn)), slope_y + steep * np.sin(turn)).astype(np.float32)


def _strands(
    ground: _Ground,
    angle: NDArray[np.float32],
    stroma: NDArray[np.bool_],
    count: int,
    label: int,
    rng: np.random.Generator,
) -> None:
    """Lines of stromal cells along ``angle``, started at random pixels of the stroma, until ``count`` are placed."""
    starts = np.flatnonzero(stroma)
    if not len(starts):
        return
    placed = 0
    for number in range(count):  # more strands than ever needed
        start = divmod(int(rng.choice(starts)), stroma.shape[1])
        for y, x in _walk(start, angle, stroma, rng.uniform(13, 30), rng):
            placed += ground.place(y, x, label, spacing=rng.uniform(5, 18), strand=number)
            if placed == count:
                return


def _walk(
    start: tuple[float, float], angle: NDArray, stroma: NDArray[np.bool_], gap: float, rng: np.random.Generator
) -> Iterator[tuple[float, float]]:
    """Spots about ``gap`` px apart along a streamline, about a pixel off it, while it stays in the stroma."""
    (y, x), length, walked, due = start, rng.uniform(50, 220), 0.0, 0.0
    while walked < length and 0 <= y < stroma.shape[0] and 0 <= x < stroma.shape[1] and stroma[int(y), int(x)]:
        if walked >= due:
            yield y + rng.normal(0, 1), x + rng.normal(0, 1)
            due += gap * rng.uniform(0.75, 1.25)
        a = angle[int(y), int(x)]
        y, x, walked = y + 3 * np.sin(a), x + 3 * np.cos(a), walked + 3
