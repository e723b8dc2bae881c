"""DDIM sampling (Song et al. 2021) with ADM's choice of steps."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cellscaper.diffusion.objective import Prediction, predicted_noise
from cellscaper.diffusion.schedule import Bounds, Schedule, make_schedule
from cellscaper.diffusion.settings import Ddim, Diffusion
from cellscaper.errors import CellscaperError


def ddim_steps(total: int, steps: int) -> list[int]:
    """``steps`` of the training steps 0 … total-1, rising: evenly spaced from 0 as in ADM's DDIM.

    The stride is whole if a whole stride gives exactly this number (1000, 100: 0, 10, …, 990). Otherwise it is
    fractional, ends at total-1, and the steps are rounded. Raises CellscaperError unless 2 ≤ steps ≤ total.
    """
    if not 2 <= steps <= total:
        raise CellscaperError(f"{steps} sampling steps of a {total}-step diffusion: use 2 to {total}")
    for stride in range(1, total):
        if len(range(0, total, stride)) == steps:
            return list(range(0, total, stride))
    return [round(i * (total - 1) / (steps - 1)) for i in range(steps)]


def initial_noise(shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
    """(B, *shape) float32 standard normal noise on the CPU, one generator for each seed."""
    return _draw(shape, _generators(seeds))


def sample(
    settings: Diffusion,
    network: Callable[[Tensor, Tensor], Tensor],
    shape: Sequence[int],
    seeds: Sequence[int],
    sampling: Ddim,
    clip: Bounds = (-1.0, 1.0),
    device: torch.device | str = "cpu",
    prediction: Prediction | None = None,
) -> Tensor:
    """:func:`ddim` samples (B, C, H, W) of a trained network(x_t, t) with any prediction.

    settings: of its training. ``prediction``: one of each channel, or None for the settings'.
    """
    schedule = make_schedule(settings.schedule, settings.steps).to(device)
    kind = settings.prediction if prediction is None else prediction

    def noise(x: Tensor, t: Tensor) -> Tensor:
        return predicted_noise(schedule, network(x, t)[:, : shape[0]], x, t, kind)

    return ddim(noise, schedule, shape, seeds, sampling.steps, sampling.eta, clip, device)


@torch.no_grad()
def ddim(
    model_fn: Callable[[Tensor, Tensor], Tensor],
    schedule: Schedule,
    shape: Sequence[int],
    seeds: Sequence[int],
    steps: int,
    eta: float = 0.0,
    clip: Bounds | None = (-1.0, 1.0),
    device: torch.device | str = "cpu",
) -> Tensor:
    """Samples (B, C, H, W) float32, one for each seed, from x_T ~ N(0, 1).

    model_fn(x (B, C, H, W), t (B,) int64) predicts the noise in the first C channels of its output.
    shape (C, H, W); ``eta`` 0 is deterministic, 1 as random as DDPM; ``clip`` bounds x̂0 at every step.
    All noise comes from one CPU generator for each seed: a seed gives the same sample in any batch and on any device.
    """
    schedule = schedule.to(device)
    generators = _generators(seeds)
    x = _draw(shape, generators).to(device)
    chosen = ddim_steps(schedule.steps, steps)
    levels = [1.0, *schedule.alphas_bar[chosen].tolist()]  # ᾱ after each step; 1: clean
    for i in reversed(range(steps)):
        t = torch.full((len(x),), chosen[i], device=device)
        eps = model_fn(x, t)[:, : shape[0]].float()
        x0 = schedule.predict_x0(x, t, eps)
        if clip is not None:
            x0 = x0.clamp(*clip)
            eps = schedule.predict_eps(x, t, x0)
        now, then = levels[i + 1], levels[i]
        sigma = eta * ((1 - then) / (1 - now) * (1 - now / then)) ** 0.5  # Eq. 16
        x = then**0.5 * x0 + (1 - then - sigma**2) ** 0.5 * eps  # Eq. 12
        if sigma > 0:
            x = x + sigma * _draw(shape, generators).to(device)
    return x


def _generators(seeds: Sequence[int]) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(int(seed)) for seed in seeds]


def _draw(shape: Sequence[int], generators: list[torch.Generator]) -> Tensor:
    return torch.stack([torch.randn(tuple(shape), generator=generator) for generator in generators])
