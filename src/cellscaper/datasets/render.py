"""A simple H&E renderer: labelled cells → an RGB image, by optical density.

I = white · exp(−(H·h + E·e)), with the absorption vectors h of haematoxylin and e of eosin near those of Ruifrok and
Johnston (2001). The tissue between the nuclei depends only on the cells: cytoplasm around epithelial cells, white
lumen where they enclose an empty place, elsewhere stroma with fibres along the lines of stromal cells.
Images are schematic, not photorealistic, but the eye can recognise the class of a nucleus.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cellscaper.datasets.noise import smooth_noise
from cellscaper.datasets.nuclei import NUCLEI, aligned, paint_nuclei
from cellscaper.errors import CellscaperError
from cellscaper.views.pixels import pixels_of

HAEMATOXYLIN = (0.62, 0.71, 0.33)
EOSIN = (0.11, 0.87, 0.48)


def render(
    points: NDArray[np.float32],
    labels: NDArray[np.uint8],
    size: tuple[int, int],
    classes: Sequence[str],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Paint a layout: points (N, 2), y then x, px at 20×; labels (N,) into class names. Returns (H, W, 3) uint8.

    Raises CellscaperError for a class without a look.
    """
    unknown = [name for name in classes if name not in NUCLEI]
    if unknown:
        raise CellscaperError(f"renderer: class {unknown[0]!r} has no look; it can paint {sorted(NUCLEI)}")
    names = np.array(classes)[labels] if len(labels) else np.zeros(0, str)
    dots = pixels_of(np.reshape(points, (-1, 2)), size)
    flow = _fibre_direction(dots[aligned(names)], size, rng)
    stains = _tissue(dots, names == "epithelial", flow, size, rng)  # (2, H, W): H and E
    stains = paint_nuclei(stains, dots, names, flow, rng)
    return _develop(stains, rng)


def _bells(at: NDArray, centres: NDArray, sigma: float) -> NDArray[np.float32]:
    """(len(at), len(centres)) values of Gaussian bells of height 1."""
    return np.exp(-((at[:, None] - centres) ** 2) / np.float32(2 * sigma**2)).astype(np.float32)


# -- the tissue between the nuclei ------------------------------------------------------------------------


def _fibre_direction(
    stromal: NDArray[np.int64], size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.complex64]:
    """(H, W) doubled angles exp(2iθ) of a smooth field that follows the lines of stromal cells."""
    turn = rng.uniform(0, 2 * np.pi)
    real, imaginary = (0.25 * main + 0.1 * smooth_noise(size, 60, rng) for main in (np.cos(turn), np.sin(turn)))
    if len(stromal) > 1:
        step = (stromal[:, None, 1] - stromal[:, 1]) + 1j * (stromal[:, None, 0] - stromal[:, 0])
        squared = np.abs(step) ** 2 + 1e-9
        weight = np.exp(-squared / (2 * 22**2)) * (squared > 1)
        line = (weight * step**2 / squared).sum(1) / (weight.sum(1) + 0.3)  # (M,)
        rows = _bells(np.arange(size[0]), stromal[:, 0], 22)
        columns = _bells(np.arange(size[1]), stromal[:, 1], 22)
        real += (rows * line.real.astype(np.float32)) @ columns.T
        imaginary += (rows * line.imag.astype(np.float32)) @ columns.T
    field = real + 1j * imaginary
    return field / (np.abs(field) + 1e-6)


def _fibres(flow: NDArray[np.complex64], rng: np.random.Generator) -> NDArray[np.float32]:
    """White noise averaged along the flow (line integral convolution at half size), about unit variance. (H, W)."""
    height, width = flow.shape
    half = flow[::2, ::2]
    angle = np.angle(half) / 2 + 0.3 * smooth_noise(half.shape, 12, rng)
    noise = rng.standard_normal(half.shape, np.float32) + 0.8 * smooth_noise(half.shape, 1.5, rng)
    rows, columns = np.indices(half.shape, np.float32)
    down, right = np.sin(angle).astype(np.float32), np.cos(angle).astype(np.float32)
    total = np.zeros_like(noise)
    for step in 1.5 * np.arange(-6, 7, dtype=np.float32):
        y = (rows + step * down).astype(np.int32)
        x = (columns + step * right).astype(np.int32)
        total += noise[np.clip(y, 0, half.shape[0] - 1), np.clip(x, 0, half.shape[1] - 1)]
    return _double(total / max(float(total.std()), 1e-6), (height, width))


def _double(field: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float32]:
    """A field of half the size → size, each pixel repeated and then averaged with its neighbour."""
    full = field.repeat(2, 0).repeat(2, 1)[: size[0], : size[1]]
    full[1:] = (full[1:] + full[:-1]) / 2
    full[:, 1:] = (full[:, 1:] + full[:, :-1]) / 2
    return full


def _tissue(
    dots: NDArray[np.int64],
    epithelial: NDArray[np.bool_],
    flow: NDArray[np.complex64],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Stroma, epithelial cytoplasm and lumen: haematoxylin and eosin (2, H, W)."""
    slow, fine = smooth_noise(size, 25, rng), smooth_noise(size, 1.3, rng)
    fibres = _fibres(flow, rng)
    stain_h = 0.06 + 0.02 * fibres + 0.03 * slow
    stain_e = 0.42 + 0.13 * fibres + 0.10 * slow
    gaps = np.clip(-fibres - 1.5 - 0.4 * slow, 0, 1)  # clefts between fibres
    stain_e *= 1 - 0.8 * gaps
    stains = np.stack([stain_h, stain_e])
    if epithelial.any():
        nest, lumen, membrane = _epithelium(dots, dots[epithelial], size)
        body = np.stack([0.22 + 0.05 * fine + 0.03 * slow, 0.27 + 0.07 * fine + 0.05 * slow - 0.12 * membrane])
        stains = (stains + nest * (body - stains)) * (1 - 0.93 * lumen)
    return np.maximum(stains, 0.0)


def _epithelium(
    dots: NDArray[np.int64], epithelial: NDArray[np.int64], size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Three (H, W) maps from 0 to 1: epithelial cytoplasm, lumen, borders between cells."""
    rows, columns = np.arange(size[0]), np.arange(size[1])
    crowd = _bells(rows, epithelial[:, 0], 10) @ _bells(columns, epithelial[:, 1], 10).T
    nest = np.clip((crowd - 0.42) / 0.16, 0, 1)
    half = np.ones((-(-size[0] // 2), -(-size[1] // 2)), bool)
    half[dots[:, 0] // 2, dots[:, 1] // 2] = False
    away, (near_y, near_x) = ndimage.distance_transform_edt(half, return_indices=True)
    owner = near_y * half.shape[1] + near_x
    edge = np.zeros(half.shape, np.float32)
    edge[1:] += owner[1:] != owner[:-1]
    edge[:, 1:] += owner[:, 1:] != owner[:, :-1]
    membrane = _double(np.minimum(edge, 1), size)
    return nest, _lumen(away, epithelial, size), membrane


def _lumen(away: NDArray[np.float64], epithelial: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) 1 inside the empty discs that a ring of epithelial cells encloses, ending 9 px from the cells.

    away (H/2, W/2): distance to the nearest cell, in pixels of the half-size grid.
    """
    lumen = np.zeros(size, np.float32)
    peaks = (2 * away > 15) & (away == ndimage.maximum_filter(away, 9))
    for y, x in 2 * np.argwhere(peaks):
        empty = 2 * away[y // 2, x // 2]
        step = epithelial - (y, x)
        ring = step[(step**2).sum(1) < (empty + 5) ** 2]
        sectors = np.unique(np.arctan2(ring[:, 0], ring[:, 1]) // (2 * np.pi / 10))
        if len(sectors) >= 9:
            top, left, reach = max(y - int(empty), 0), max(x - int(empty), 0), int(empty) + 1
            window = lumen[top : y + reach, left : x + reach]
            rows, columns = np.ogrid[: window.shape[0], : window.shape[1]]
            centre = np.hypot(rows + (top - y), columns + (left - x))  # px to the middle of the disc
            np.maximum(window, np.clip((empty - 9 - centre) / 2 + 0.5, 0, 1), out=window)
    return lumen


# -- the camera -------------------------------------------------------------------------------------------


def _develop(stains: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Stain amounts (2, H, W) → RGB (H, W, 3): this image's stain strengths and colours, blur, light, sensor noise."""
    strength = rng.uniform(0.87, 1.15, 2)
    vectors = np.array([HAEMATOXYLIN, EOSIN]) + rng.normal(0, 0.03, (2, 3))
    vectors = np.maximum(vectors, 0.05)
    vectors *= (strength / np.linalg.norm(vectors, axis=1))[:, None]
    sharp = ndimage.gaussian_filter(stains, (0, 0.7, 0.7))
    density = np.tensordot(sharp, vectors.astype(np.float32), (0, 0))  # (H, W, 3)
    light = rng.uniform(240, 250) * np.exp(-density)
    light += 2.5 * rng.standard_normal(light.shape, np.float32)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)
