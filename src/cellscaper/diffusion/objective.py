"""The training objective: noise loss with P2 weighting, and the learned variance of Improved DDPM."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cellscaper.diffusion.schedule import Bounds, Schedule, gather
from cellscaper.diffusion.settings import Diffusion
from cellscaper.run.transfer import to_device

Prediction = str | Sequence[str]  # noise, v or data; for all channels or one for each
Extra = Callable[[Tensor, Tensor], tuple[dict[str, Tensor], dict[str, Tensor]]]

LEVELS = 256  # bins of the data range in the likelihood of step 0 (DDPM, Eq. 13)


class Noise(NamedTuple):
    """Steps t (B,) int64, uniform, and standard normal noise (B, …) of a training batch, on the host."""

    t: Tensor
    noise: Tensor


def draw_noise(steps: int, shape: Sequence[int], generator: torch.Generator) -> Noise:
    """The noise of a batch x0 of this shape, for a process of so many steps."""
    t = torch.randint(steps, (shape[0],), generator=generator)
    return Noise(t, torch.randn(tuple(shape), generator=generator))


def noised(schedule: Schedule, x0: Tensor, drawn: Noise) -> tuple[Tensor, Tensor, Tensor]:
    """(x_t, t, noise) for a training batch x0 (B, …), on its device."""
    t, noise = (to_device(one, x0.device) for one in drawn)
    return schedule.q_sample(x0, t, noise), t, noise


def batch_losses(
    settings: Diffusion,
    schedule: Schedule,
    network: Callable[[Tensor, Tensor], Tensor],
    x0: Tensor,
    drawn: Noise,
    prediction: Prediction | None = None,
    data_range: Bounds = (-1.0, 1.0),
    shares: Tensor | float = 1.0,
    extra: Extra | None = None,
) -> dict[str, Tensor]:
    """The losses of one training step on x0 (B, C, H, W): means of :func:`losses` by name, their sum as ``loss``.

    network(x_t, t) is called once, on noised x0. ``prediction``: one of each channel, or None for the settings'.
    ``extra(x0_hat, t)`` gives further terms and values that are only logged, both by name and each (B,).
    """
    x_t, t, noise = noised(schedule, x0, drawn)
    terms, _, shown = losses(
        schedule,
        network(x_t, t),
        x0,
        x_t,
        t,
        noise,
        learn_variance=settings.learn_variance,
        prediction=settings.prediction if prediction is None else prediction,
        p2_gamma=settings.p2_gamma,
        p2_k=settings.p2_k,
        data_range=data_range,
        shares=shares,
        extra=extra,
    )
    means = {name: value.mean() for name, value in terms.items()}
    return {"loss": means.pop("total"), **means, **{name: value.detach().mean() for name, value in shown.items()}}


def losses(
    schedule: Schedule,
    output: Tensor,
    x0: Tensor,
    x_t: Tensor,
    t: Tensor,
    noise: Tensor,
    *,
    learn_variance: bool,
    prediction: Prediction = "noise",
    p2_gamma: float = 0.0,
    p2_k: float = 1.0,
    data_range: Bounds = (-1.0, 1.0),
    shares: Tensor | float = 1.0,
    extra: Extra | None = None,
) -> tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]:
    """Loss terms of a batch, the predicted clean data x̂0 (B, C, H, W) with its gradient, and values only logged.

    Terms and logged values are by name, each (B,).

    output (B, C, H, W), or (B, 2C, H, W) with ``learn_variance``: the prediction, then the variance's
    interpolation in [-1, 1]. x0, x_t, noise (B, C, H, W); t (B,) int64; ``data_range`` are the bounds of x0.
    ``prediction`` is the predicted quantity: noise (the papers), v or data (:func:`predicted_noise`).

    "noise"  mean squared error of the prediction × P2 weight (Choi et al. 2022); gamma 0 is the plain loss;
             ``shares`` (C, 1, 1) are factors of the channels' errors, 1 in the papers
    "vlb"    (learn_variance only) variational bound in bits a dimension × T / 1000; it trains only the variance,
             because the predicted noise has no gradient here (Improved DDPM, section 3.1)
    "total"  their sum, plus all terms of ``extra``

    ``extra(x0_hat, t)`` returns further terms, weighted, e.g. topology losses, and values that are only logged.
    Raises ValueError if the channels of output and x0 do not fit.
    """
    channels = x0.shape[1]
    if output.shape[1] != channels * (1 + learn_variance):
        raise ValueError(f"output has {output.shape[1]} channels for {channels} of data, {learn_variance=}")
    predicted = output[:, :channels].float()
    x0_hat = schedule.predict_x0(x_t, t, predicted_noise(schedule, predicted, x_t, t, prediction))
    wanted = _wanted(schedule, x0, noise, t, prediction)
    terms = {"noise": p2_weight(schedule, t, p2_gamma, p2_k) * _mean(shares * (wanted - predicted) ** 2)}
    if learn_variance:
        bound = vlb(schedule, x0_hat.detach(), output[:, channels:].float(), x0, x_t, t, data_range)
        terms["vlb"] = bound * (schedule.steps / 1000)
    shown: dict[str, Tensor] = {}
    if extra is not None:
        more, shown = extra(x0_hat, t)
        terms |= more
    terms["total"] = torch.stack(list(terms.values())).sum(dim=0)
    return terms, x0_hat, shown


def _wanted(schedule: Schedule, x0: Tensor, noise: Tensor, t: Tensor, prediction: Prediction) -> Tensor:
    """The target of a network with this prediction, in the shape of x0."""
    if not isinstance(prediction, str):
        return _by_channel(prediction, lambda kind, x, e: _wanted(schedule, x, e, t, kind), x0, noise)
    return {"noise": noise, "data": x0}[prediction] if prediction != "v" else velocity(schedule, x0, noise, t)


def _by_channel(kinds: Sequence[str], function: Callable[..., Tensor], *maps: Tensor) -> Tensor:
    """function(kind, *channels) for each channel of maps (B, C, …), joined again."""
    found = [function(kind, *(one[:, k] for one in maps)) for k, kind in enumerate(kinds)]
    return torch.stack(found, dim=1)


def velocity(schedule: Schedule, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """v = √ᾱ ε − √(1−ᾱ) x0 (Salimans & Ho 2022): the clean data at high noise, the noise at low."""
    alphas_bar = gather(schedule.alphas_bar, t, x0)
    return alphas_bar.sqrt() * noise - (1 - alphas_bar).sqrt() * x0


def predicted_noise(schedule: Schedule, predicted: Tensor, x_t: Tensor, t: Tensor, prediction: Prediction) -> Tensor:
    """The noise (B, C, H, W) from a network's output; ``prediction``: noise, v or data, for all channels or for each.

    v: ε = √ᾱ v + √(1−ᾱ) x_t; data: ε = (x_t − √ᾱ x0) / √(1−ᾱ). ValueError for another prediction.
    """
    if not isinstance(prediction, str):
        return _by_channel(prediction, lambda kind, out, x: predicted_noise(schedule, out, x, t, kind), predicted, x_t)
    if prediction == "noise":
        return predicted
    alphas_bar = gather(schedule.alphas_bar, t, x_t)
    if prediction == "v":
        return alphas_bar.sqrt() * predicted + (1 - alphas_bar).sqrt() * x_t
    if prediction == "data":
        return schedule.predict_eps(x_t, t, predicted)
    raise ValueError(f"prediction {prediction!r}: noise, v or data")


def p2_weight(schedule: Schedule, t: Tensor, gamma: float, k: float) -> Tensor:
    """(B,) float32: 1 / (k + snr_t)^gamma, the perception-prioritised weight (Choi et al. 2022, Eq. 8)."""
    return (k + schedule.snr[t]).pow(-gamma).float()


def log_variance(schedule: Schedule, v: Tensor, t: Tensor) -> Tensor:
    """Learned log variance: v (B, …) in [-1, 1] goes from the posterior's to log β (Improved DDPM, Eq. 15)."""
    low = gather(schedule.posterior_log_variance, t, v)
    high = gather(schedule.betas.log(), t, v)
    return low + (v + 1) / 2 * (high - low)


def vlb(
    schedule: Schedule, x0_hat: Tensor, v: Tensor, x0: Tensor, x_t: Tensor, t: Tensor, data_range: Bounds
) -> Tensor:
    """(B,) bits a dimension: KL(q(x_{t-1} | x_t, x0) ‖ p(x_{t-1} | x_t)), at t = 0 -log p(x0 | x_1).

    p has the mean that x0_hat implies and the learned variance of ``v``; all (B, C, H, W).
    """
    mean, logvar = schedule.posterior_mean(x0_hat, x_t, t), log_variance(schedule, v, t)
    true_mean = schedule.posterior_mean(x0, x_t, t)
    true_logvar = gather(schedule.posterior_log_variance, t, x_t)
    ratio = true_logvar - logvar
    divergence = 0.5 * (ratio.exp() - 1 - ratio + (true_mean - mean) ** 2 * (-logvar).exp())
    nats = torch.where(t == 0, _mean(_binned_nll(x0, mean, logvar, data_range)), _mean(divergence))
    return nats / math.log(2)


def _binned_nll(x: Tensor, mean: Tensor, logvar: Tensor, data_range: Bounds) -> Tensor:
    """-log P(x's bin) under N(mean, exp(logvar)); the range's bins are LEVELS wide, the outer two are open."""
    low, high = data_range
    half = (high - low) / (LEVELS - 1) / 2
    scale = (-0.5 * logvar).exp()
    below = torch.special.ndtr((x - half - mean) * scale)
    upto = torch.special.ndtr((x + half - mean) * scale)
    below = torch.where(x < low + half, 0.0, below)
    upto = torch.where(x > high - half, 1.0, upto)
    return -(upto - below).clamp(min=1e-12).log()


def _mean(x: Tensor) -> Tensor:
    return x.flatten(1).mean(dim=1)
