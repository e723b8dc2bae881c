"""A simple H&E renderer: labelled cells → an RGB image, by optical density.

I = white · exp(−(H·h + E·e)), with the absorption vectors h of haematoxylin and e of eosin near those of Ruifrok and
Johnston (2001). The tissue between the nuclei follows from the cells alone: cytoplasm around epithelial cells, white
lumen where they enclose an empty place, elsewhere stroma with fibres along the lines of stromal cells.
Schematic, not photorealistic: the class of a nucleus can be told by eye.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cellscaper.errors import CellscaperError

HAEMATOXYLIN = (0.62, 0.71, 0.33)
EOSIN = (0.11, 0.87, 0.48)
HALF = 13  # px: nuclei are drawn on patches of 2·HALF + 1 px


@dataclass(frozen=True)
class Nucleus:
    """How cells of a class look; lengths in px at 20×, stain amounts as optical density."""

    axes: tuple[float, float]  # semi-axes of the nucleus, or of each lobe
    spread: float  # relative standard deviation of the axes
    stain: float  # haematoxylin
    rim: float = 0.0  # additional haematoxylin at the nuclear membrane
    chromatin: float = 0.15  # amplitude of the texture
    nucleoli: int = 0  # at most
    rough: float = 0.04  # irregularity of the outline
    lobes: int = 1
    aligned: bool = False  # lies along the fibres
    body: tuple[float, float, float, float] | None = None  # cytoplasm: radius, offset from the nucleus, H, E


NUCLEI = {
    "lymphocyte": Nucleus((3.7, 3.4), 0.09, 1.75, chromatin=0.22, body=(4.6, 0.0, 0.10, 0.18)),
    "epithelial": Nucleus((6.4, 5.2), 0.12, 0.66, rim=0.40, chromatin=0.22, nucleoli=2, rough=0.06),
    "stromal": Nucleus((7.6, 2.4), 0.14, 1.10, rim=0.1, chromatin=0.20, rough=0.07, aligned=True),
    "plasma": Nucleus((3.6, 3.3), 0.08, 1.45, chromatin=0.30, body=(6.2, 3.2, 0.50, 0.30)),
    "eosinophil": Nucleus((2.5, 2.2), 0.08, 1.35, lobes=2, body=(5.4, 0.0, 0.0, 1.35)),
    "neutrophil": Nucleus((1.9, 1.6), 0.08, 1.60, lobes=3, body=(5.2, 0.0, 0.05, 0.10)),
}
NUCLEI["connective"] = NUCLEI["stromal"]


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
    dots = np.floor(points).astype(np.int64).reshape(-1, 2)
    flow = _fibre_direction(dots[_aligned(names)], size, rng)
    stains = _tissue(dots, names == "epithelial", flow, size, rng)  # (2, H, W): H and E
    stains = _paint_nuclei(stains, dots, names, flow, rng)
    return _develop(stains, rng)


def smooth_noise(size: tuple[int, int], sigma: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian random field (H, W) of unit variance: white noise on knots ``sigma`` px apart, blurred by ``sigma``.

    Summed in double precision, so that the field does not depend on the number of threads.
    """
    sides = []
    for n in size:
        knots = np.arange(-3, n / sigma + 4) * sigma
        weights = np.exp(-((np.arange(n)[:, None] - knots) ** 2) / (2 * sigma**2))  # (n, knots)
        sides.append(weights / np.sqrt((weights**2).sum(1, keepdims=True)))
    rows, columns = sides
    white = rng.standard_normal((rows.shape[1], columns.shape[1]))
    return (rows @ white @ columns.T).astype(np.float32)


def _bells(at: NDArray, centres: NDArray, sigma: float) -> NDArray[np.float32]:
    """(len(at), len(centres)) values of Gaussian bells of height 1."""
    return np.exp(-((at[:, None] - centres) ** 2) / np.float32(2 * sigma**2)).astype(np.float32)


def _aligned(names: NDArray[np.str_]) -> NDArray[np.bool_]:
    return np.array([NUCLEI[name].aligned for name in names], bool)


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


# -- nuclei -----------------------------------------------------------------------------------------------


def _paint_nuclei(
    stains: NDArray[np.float32],
    dots: NDArray[np.int64],
    names: NDArray[np.str_],
    flow: NDArray[np.complex64],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Lay each cell's patch over the stains (2, H, W): its cytoplasm, then its nucleus."""
    canvas = np.pad(stains, ((0, 0), (HALF, HALF), (HALF, HALF)))
    room = _room(dots)
    bank = smooth_noise((160, 160), 1.2, rng)
    for name in dict.fromkeys(names.tolist()):
        mine = names == name
        at = dots[mine]
        look = NUCLEI[name]
        turn = rng.uniform(0, 2 * np.pi, len(at))
        if look.aligned:
            turn = np.angle(flow[at[:, 0], at[:, 1]]) / 2 + rng.normal(0, 0.2, len(at))
        layers = _patches(look, turn.astype(np.float32), room[mine], bank, rng)
        for (y, x), patch in zip(at, layers, strict=True):
            window = canvas[:, y : y + 2 * HALF + 1, x : x + 2 * HALF + 1]
            for cover, amount_h, amount_e in patch:
                window[0] += cover * (amount_h - window[0])
                window[1] += cover * (amount_e - window[1])
    return canvas[:, HALF:-HALF, HALF:-HALF]


def _room(dots: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N,) px to the nearest other cell."""
    if len(dots) < 2:
        return np.full(len(dots), np.inf, np.float32)
    squared = ((dots[:, None] - dots).astype(np.float32) ** 2).sum(2)
    np.fill_diagonal(squared, np.inf)
    return np.sqrt(squared.min(1))


def _patches(
    look: Nucleus,
    turn: NDArray[np.float32],
    room: NDArray[np.float32],
    bank: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """(n, layers, 3, P, P): for cytoplasm (if any) and nucleus its cover 0…1, haematoxylin and eosin."""
    n = len(turn)
    axis = np.arange(-HALF, HALF + 1, dtype=np.float32)
    y, x = axis[:, None], axis[None, :]
    cos, sin = np.cos(turn)[:, None, None], np.sin(turn)[:, None, None]
    along, across = cos * x + sin * y, cos * y - sin * x  # (n, P, P)
    axes = np.array(look.axes, np.float32) * rng.normal(1, look.spread, (n, 2)).clip(0.7, 1.4).astype(np.float32)
    if not look.aligned:
        axes *= np.minimum(1, 0.62 * room / axes.max(1))[:, None].clip(0.6)
    depth = _depth(look, along, across, axes, rng)
    start = rng.integers(0, len(bank) - 2 * HALF - 1, (n, 2))
    grid = np.arange(2 * HALF + 1)
    grain = bank[start[:, :1, None] + grid[:, None], start[:, 1:, None] + grid]  # (n, P, P)
    shade = rng.normal(1, 0.15, (n, 1, 1)).clip(0.7, 1.4).astype(np.float32)
    amount = look.stain * shade * (1 + look.chromatin * grain) + look.rim * np.exp(-((depth - 0.7) ** 2))
    for _ in range(look.nucleoli):
        spot = rng.uniform(-0.45, 0.45, (n, 2)).astype(np.float32) * axes
        squared = (along - spot[:, :1, None]) ** 2 + (across - spot[:, 1:, None]) ** 2
        amount += rng.uniform(0.1, 0.9, (n, 1, 1)).astype(np.float32) * np.exp(-squared / 1.6)
    nucleus = np.stack([np.clip(depth / 1.3 + 0.5, 0, 1), amount, np.full_like(amount, 0.22)], 1)
    if look.body is None:
        return nucleus[:, None]
    radius, offset, body_h, body_e = look.body
    cover = np.clip(radius - np.hypot(along - offset, across) + 0.5, 0, 1)
    granules = 1 + 0.2 * grain
    return np.stack([np.stack([cover, body_h * granules, body_e * granules], 1), nucleus], 1)


def _depth(
    look: Nucleus,
    along: NDArray[np.floating],
    across: NDArray[np.floating],
    axes: NDArray[np.floating],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """(n, P, P) px below the outline, negative outside. Lobes sit on an arc of a circle around the centre."""
    n = len(axes)
    deepest = np.full(along.shape, -np.inf, np.float32)
    for lobe in range(look.lobes):
        arc = np.pi * 4 / 3 * (lobe / max(look.lobes - 1, 1) - 0.5) if look.lobes > 2 else np.pi * lobe
        shift = (0.95 if look.lobes > 1 else 0.0) * axes[:, :1, None]
        u, v = (along - shift * np.float32(np.cos(arc))), (across - shift * np.float32(np.sin(arc)))
        a, b = axes[:, :1, None], axes[:, 1:, None]
        radius = np.hypot(u / a, v / b)
        phase = np.arctan2(v / b, u / a)
        outline = np.ones_like(radius)
        for wave in (2, 3, 4):
            swing = rng.normal(0, 2 * look.rough / wave, (n, 1, 1)).astype(np.float32)
            outline += swing * np.cos(wave * phase + rng.uniform(0, 2 * np.pi, (n, 1, 1)).astype(np.float32))
        # From the relative radius to px: divide by the length of its gradient.
        slope = np.hypot(u / a**2, v / b**2) / np.maximum(radius, 1e-3)
        np.maximum(deepest, (outline - radius) / np.maximum(slope, 1 / a), out=deepest)
    return deepest


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
