"""Noise schedules and the Gaussian forward process of DDPM (Ho et al. 2020).

T steps, numbered t = 0 … T-1; x_t = √ᾱ_t x0 + √(1-ᾱ_t) ε.
"""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from cellscaper.errors import CellscaperError

Bounds = tuple[float, float] | tuple[Tensor, Tensor]  # bounds of the data; tensors (C, 1, 1) if channels differ


def linear_betas(steps: int) -> Tensor:
    """(T,) float64: 1e-4 … 0.02 for T = 1000 (DDPM), times 1000/T for other T (ADM)."""
    scale = 1000 / steps
    return torch.linspace(scale * 1e-4, scale * 0.02, steps, dtype=torch.float64)


def cosine_betas(steps: int) -> Tensor:
    """(T,) float64: ᾱ(u) ∝ cos²(π/2 · (u + 0.008) / 1.008), betas at most 0.999 (Improved DDPM, Eq. 17)."""
    u = torch.arange(steps + 1, dtype=torch.float64) / steps
    level = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - level[1:] / level[:-1]).clamp(max=0.999)


_BETAS = {"linear": linear_betas, "cosine": cosine_betas}


@dataclass(frozen=True, eq=False)
class Schedule:
    """The constants of a diffusion with T steps, each (T,) float64.

    alphas_bar              ᾱ_t = Π (1 - β_s), s ≤ t
    posterior_variance      variance of q(x_{t-1} | x_t, x0); 0 at t = 0 (DDPM, Eq. 7)
    posterior_log_variance  its logarithm; the value at t = 0 is replaced by the value at t = 1
    posterior_x0, posterior_xt  weights of x0 and x_t in the mean of q(x_{t-1} | x_t, x0)
    snr                     signal-to-noise ratio ᾱ_t / (1 - ᾱ_t)
    """

    betas: Tensor
    alphas_bar: Tensor
    posterior_variance: Tensor
    posterior_log_variance: Tensor
    posterior_x0: Tensor
    posterior_xt: Tensor
    snr: Tensor

    @property
    def steps(self) -> int:
        """T."""
        return len(self.betas)

    def to(self, device: torch.device | str) -> "Schedule":
        """The same schedule on another device."""
        return Schedule(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def q_sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t from x0 and ε, both (B, …), at steps t (B,) int64."""
        return gather(self.alphas_bar.sqrt(), t, x0) * x0 + gather((1 - self.alphas_bar).sqrt(), t, x0) * noise

    def predict_x0(self, x_t: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """The x0 that q_sample turns into x_t with noise ``eps``."""
        return gather(self.alphas_bar.rsqrt(), t, x_t) * x_t - gather(self.snr.rsqrt(), t, x_t) * eps

    def predict_eps(self, x_t: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        """The noise with which q_sample turns ``x0`` into x_t."""
        return (gather(self.alphas_bar.rsqrt(), t, x_t) * x_t - x0) * gather(self.snr.sqrt(), t, x_t)

    def posterior_mean(self, x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Mean of q(x_{t-1} | x_t, x0), (B, …) (DDPM, Eq. 7)."""
        return gather(self.posterior_x0, t, x_t) * x0 + gather(self.posterior_xt, t, x_t) * x_t


def gather(values: Tensor, t: Tensor, x: Tensor) -> Tensor:
    """``values`` (T,) at steps t (B,) as float32, shaped (B, 1, …) to multiply with x (B, …)."""
    return values[t].float().reshape(-1, *[1] * (x.ndim - 1))


def make_schedule(name: str, steps: int) -> Schedule:
    """The ``linear`` or ``cosine`` schedule of ``steps`` steps.

    Raises CellscaperError for another name, or for so few steps that a beta is not below one.
    """
    if name not in _BETAS:
        raise CellscaperError(f"noise schedule {name!r} is unknown; use one of {', '.join(_BETAS)}")
    if steps < 2:
        raise CellscaperError(f"a diffusion of {steps} steps is too short; use at least 2")
    betas = _BETAS[name](steps)
    if betas.max() >= 1:
        raise CellscaperError(f"the linear noise schedule needs more than 20 steps, not {steps}; use more or cosine")
    alphas_bar = torch.cumprod(1 - betas, 0)
    before = torch.cat([alphas_bar.new_ones(1), alphas_bar[:-1]])
    variance = betas * (1 - before) / (1 - alphas_bar)
    return Schedule(
        betas=betas,
        alphas_bar=alphas_bar,
        posterior_variance=variance,
        posterior_log_variance=torch.cat([variance[1:2], variance[1:]]).log(),
        posterior_x0=betas * before.sqrt() / (1 - alphas_bar),
        posterior_xt=(1 - before) * (1 - betas).sqrt() / (1 - alphas_bar),
        snr=alphas_bar / (1 - alphas_bar),
    )
