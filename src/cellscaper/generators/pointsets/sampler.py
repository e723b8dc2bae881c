"""From noise to positions for any denoiser: the second-order sampler of EDM (Karras et al. 2022, Algorithm 2), or an
exponential multistep method of third order (as DPM-Solver++, Lu et al. 2022), which needs half as many calls.

Positions are px from the region's centre. Noise comes from one generator a layout, so a seed gives the same layout
in any batch.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from cellscaper.errors import CellscaperError

Denoise = Callable[[Tensor, float], Tensor]  # noisy positions (…, 2) px, noise level px → expected clean positions
MAX_CHURN = 2**0.5 - 1  # EDM's limit: a step doubles the variance at most


def noise_levels(steps: int, largest: float, smallest: float, rho: float) -> list[float]:
    """``steps`` falling noise levels, px (EDM Eq. 5, without the last 0); for large ``rho`` even in the logarithm.

    Raises CellscaperError unless steps ≥ 1 and largest > smallest > 0 (one step: ≥) and rho > 0.
    """
    if steps < 1 or not 0 < smallest <= largest or rho <= 0 or (steps > 1 and smallest == largest):
        raise CellscaperError(
            f"sampling: {steps} steps from {largest} to {smallest} px with rho {rho}; expected at least 1 step, "
            "falling levels above 0 and rho above 0"
        )
    part = torch.linspace(0, 1, steps, dtype=torch.float64)
    low, high = smallest ** (1 / rho), largest ** (1 / rho)
    return ((high + part * (low - high)) ** rho).tolist()


class Noise:
    """The random numbers of a batch of layouts, one generator each; padding is 0."""

    def __init__(self, seeds: Sequence[int], sizes: Sequence[int], width: int | None = None):
        """``seeds`` and numbers of cells ``sizes`` of B layouts, padded to ``width`` cells (default: the most)."""
        self._generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        self._sizes = list(sizes)
        self._width = max(self._sizes, default=0) if width is None else width

    def normal(self) -> Tensor:
        """(B, N, 2) float64 standard normal."""
        return self._draw(torch.randn)

    def uniform(self) -> Tensor:
        """(B, N, 2) float64 uniform in -½…½."""
        return self._draw(torch.rand, -0.5)

    def _draw(self, kind: Callable[..., Tensor], shift: float = 0.0) -> Tensor:
        out = torch.zeros(len(self._sizes), self._width, 2, dtype=torch.float64)
        for row, size, generator in zip(out, self._sizes, self._generators, strict=True):
            row[:size] = kind(size, 2, generator=generator, dtype=torch.float64) + shift
        return out


@torch.no_grad()
def sample(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[float],
    normal: Callable[[], Tensor],
    *,
    heun: bool = False,
    churn: float = 0.0,
    churn_above: float = 0.0,
    constrain: Denoise | None = None,
) -> Tensor:
    """Clean positions (…, 2) float64 from noisy ones ``x`` (…, 2) at ``levels[0]``.

    levels: falling noise levels px; the denoised positions at the last level are the answer. By default one call of
        ``denoise`` a level, of third order from the third level on. With ``heun`` two calls (one at the last level).
    normal(): standard normal noise of the shape of x. ``churn``: at levels above ``churn_above`` px, fresh noise first
        raises the noise level by this fraction (EDM's γ, at most √2 - 1; 0 is deterministic). Without ``heun`` such
        levels are of first order.
    constrain(x0, sigma) → x0, after each call of ``denoise``.

    Raises CellscaperError for a churn outside 0…√2 - 1.
    """
    if not 0 <= churn <= MAX_CHURN + 1e-9:
        raise CellscaperError(f"sampling: churn {churn}, expected 0 to {MAX_CHURN:.3f}")

    def clean(x: Tensor, sigma: float) -> Tensor:
        x0 = denoise(x, sigma).double()
        return x0 if constrain is None else constrain(x0, sigma)

    x = x.double()
    past: list[tuple[Tensor, float]] = []  # (x0, level) of the last three calls, newest first
    for sigma, after in zip(levels, [*levels[1:], 0.0], strict=True):
        if churn and sigma > churn_above:
            raised = sigma * (1 + churn)
            x = x + (raised**2 - sigma**2) ** 0.5 * normal()
            sigma, past = raised, []
        x0 = clean(x, sigma)
        past = [(x0, sigma), *past[:2]]
        if after == 0:
            x = x0
        elif heun:
            ahead = step(x, x0, sigma, after)
            slope, slope_ahead = (x - x0) / sigma, (ahead - clean(ahead, after)) / after
            x = x + (after - sigma) * (slope + slope_ahead) / 2
        else:
            x = after / sigma * x
            for weight, (one, _) in zip(weights([level for _, level in past], after), past, strict=True):
                x = x + weight * one
    return x


def weights(levels: Sequence[float], after: float) -> list[float]:
    """Weights of the denoised positions at ``levels`` (rising, from the present one) in the step to ``after``.

    With λ = -log σ the positions obey x' = x0 - x. Here x0 is the polynomial in λ through the denoised positions at the
    levels, and the step is the exact solution (an exponential Adams-Bashforth method): with one level, Euler's step.
    """
    present = levels[0]
    h = math.log(present / after)
    integrals = [1 - after / present]  # of e^(s - h) s^j over 0…h
    for j in range(1, len(levels)):
        integrals.append(h**j - j * integrals[-1])
    powers = np.vander([math.log(present / level) for level in levels], increasing=True)
    return np.linalg.solve(powers.T, integrals).tolist()


def step(x: Tensor, x0: Tensor, sigma: float, after: float) -> Tensor:
    """Positions at noise level ``after`` ≤ ``sigma`` on the straight line from x to x0 (Euler's step)."""
    return x0 + (after / sigma) * (x - x0)
