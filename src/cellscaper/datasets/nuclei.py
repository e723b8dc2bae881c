"""Nuclei of the simple H&E renderer: the look of each class, and its painting as haematoxylin and eosin."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellscaper.datasets.noise import smooth_noise

HALF = 13  # px: nuclei are painted on patches of 2·HALF + 1 px


@dataclass(frozen=True)
class Nucleus:
    """The look of a class of cells; lengths in px at 20×, stain amounts as optical density."""

    axes: tuple[float, float]  # semi-axes of the nucleus, or of each lobe
    spread: float  # relative standard deviation of the axes
    stain: float  # haematoxylin
    rim: float = 0.0  # additional haematoxylin at the nuclear membrane
    chromatin: float = 0.15  # amplitude of the texture
    nucleoli: int = 0  # largest number
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


def aligned(names: NDArray[np.str_]) -> NDArray[np.bool_]:
    """(N,) whether nuclei of these classes lie along the fibres."""
    return np.array([NUCLEI[name].aligned for name in names], bool)


def paint_nuclei(
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
    """(n, layers, 3, P, P): cover 0…1, haematoxylin and eosin of the cytoplasm (if any) and of the nucleus."""
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
    """(n, P, P) depth below the outline, px, negative outside. Lobes lie on an arc of a circle around the centre."""
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
