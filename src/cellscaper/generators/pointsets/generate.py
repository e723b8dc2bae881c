"""Layouts for a request, one by one, by a point denoiser: constraints held exactly, any size, one seed a layout."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cellscaper.generators.pointsets.constraints import separate
from cellscaper.generators.pointsets.request import Request
from cellscaper.generators.pointsets.sampler import Noise, noise_levels, sample
from cellscaper.generators.pointsets.scene import Scene, scene
from cellscaper.generators.pointsets.settings import LevelSampling
from cellscaper.generators.pointsets.tiling import Network, Tiles
from cellscaper.layouts import Layout

# Two calls a step and fresh noise: overlapping windows agree better, and cells that were pushed apart find other places
SAMPLING = LevelSampling(
    steps=20, sigma_max=800.0, sigma_min=0.5, rho=7.0, heun=True, churn=0.3, churn_above=10.0, precision="fp32"
)
BATCH = 32  # layouts of one window that are denoised together


def calls(n: int, sampling: LevelSampling) -> int:
    """Number of denoisings that :func:`generate` reports to ``advance`` for n layouts."""
    return n * (2 * sampling.steps - 1 if sampling.heun else sampling.steps)


def generate(
    network: Network,
    request: Request,
    seeds: Sequence[int],
    sampling: LevelSampling,
    device: torch.device,
    advance: Callable[[int], None] = lambda layouts: None,
) -> Iterator[Layout]:
    """One layout for each seed: the given cells first, then the new ones by class.

    ``precision`` and ``batch`` of the sampling are not used. Each denoising of n layouts ends with ``advance(n)``.

    Raises CellscaperError if the cells do not fit at the minimum distance.
    """
    canvas = scene(request, network.region)
    together = BATCH if len(canvas.corners) == 1 else 1  # a layout of several windows has batches of windows
    for first in range(0, len(seeds), together):
        some = seeds[first : first + together]
        for new in _positions(network, canvas, request.min_distance, some, sampling, device, advance):
            placed = separate(new - canvas.shift, request.fixed, request.min_distance, request.area)
            labels = canvas.labels[: len(placed)].astype(np.uint8)
            yield Layout(
                np.concatenate([request.fixed, placed]), np.concatenate([request.fixed_labels, labels]), request.size
            )


def _positions(
    network: Network,
    canvas: Scene,
    distance: float,
    seeds: Sequence[int],
    sampling: LevelSampling,
    device: torch.device,
    advance: Callable[[int], None],
) -> NDArray[np.float64]:
    """(L, N, 2) positions of the new cells, px from the canvas's corner."""
    n = len(canvas.labels)
    noise = Noise(seeds, [n] * len(seeds))
    levels = noise_levels(sampling.steps, sampling.sigma_max, sampling.sigma_min, sampling.rho)
    half = np.array(canvas.size) / 2
    start = canvas.start(noise.uniform().numpy() + 0.5)
    labels = np.broadcast_to(canvas.labels, (len(seeds), n))
    tiles = Tiles(network, canvas.size, labels, canvas.corners, start, device)

    def constrain(x0: Tensor, sigma: float) -> Tensor:
        kept = canvas.constrain(x0.double().cpu().numpy() + half, sigma, distance)
        tiles.estimate = canvas.belonging(kept)
        advance(len(seeds))
        return torch.from_numpy(kept - half)

    x = sample(
        tiles,
        torch.from_numpy(start - half) + levels[0] * noise.normal(),
        levels,
        noise.normal,
        heun=sampling.heun,
        churn=sampling.churn,
        churn_above=sampling.churn_above,
        constrain=constrain,
    )
    return x.numpy()[:, : canvas.numbers[0]] + half
