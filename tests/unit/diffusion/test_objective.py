"""The hybrid objective against torch.distributions and closed forms."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from cellscaper.diffusion.objective import (
    LEVELS,
    draw_noise,
    log_variance,
    losses,
    noised,
    p2_weight,
    predicted_noise,
    velocity,
    vlb,
)
from cellscaper.diffusion.schedule import make_schedule

T = 200
SHAPE = (4, 2, 5, 5)


@pytest.fixture(params=["linear", "cosine"])
def schedule(request):
    return make_schedule(request.param, T)


def example(schedule, t=(1, 20, 100, T - 1)):
    """(x0, x_t, t, noise, output with variance channels)."""
    generator = torch.Generator().manual_seed(0)
    x0 = torch.rand(SHAPE, generator=generator) * 2 - 1
    noise = torch.randn(SHAPE, generator=generator)
    steps = torch.tensor(t)
    output = torch.randn(4, 4, 5, 5, generator=generator).requires_grad_()
    return x0, schedule.q_sample(x0, steps, noise), steps, noise, output


def test_bound_is_the_divergence_between_true_and_predicted_posterior(schedule):
    x0, x_t, t, _, output = example(schedule)
    x0_hat, v = output.detach().split(2, dim=1)
    ours = vlb(schedule, x0_hat, v, x0, x_t, t, (-1.0, 1.0))
    for i, step in enumerate(t.tolist()):
        beta, bar = schedule.betas[step], schedule.alphas_bar[step]
        before = schedule.alphas_bar[step - 1]
        variance = beta * (1 - before) / (1 - bar)

        def mean(x, beta=beta, bar=bar, before=before, i=i):  # DDPM, Eq. 7
            return (before.sqrt() * beta * x.double() + (1 - beta).sqrt() * (1 - before) * x_t[i].double()) / (1 - bar)

        frac = (v[i].double() + 1) / 2
        sd = torch.exp(0.5 * (frac * beta.log() + (1 - frac) * variance.log()))
        true = Normal(mean(x0[i]), variance.sqrt().expand_as(sd))
        expected = kl_divergence(true, Normal(mean(x0_hat[i]), sd)).mean() / math.log(2)
        assert ours[i].item() == pytest.approx(expected.item(), rel=2e-3, abs=1e-5)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0)])
def test_likelihood_of_step_zero_sums_to_one_over_the_levels(low, high):
    schedule = make_schedule("linear", T)
    levels = torch.linspace(low, high, LEVELS).reshape(-1, 1, 1, 1)
    t = torch.zeros(LEVELS, dtype=torch.long)
    for centre in (low, low + 0.3 * (high - low), high):
        bits = vlb(schedule, torch.full_like(levels, centre), torch.ones_like(levels), levels, levels, t, (low, high))
        assert (2**-bits).sum().item() == pytest.approx(1, abs=1e-3)


def test_likelihood_of_step_zero_is_a_difference_of_normal_distributions():
    schedule = make_schedule("linear", T)
    x = torch.tensor([-1.0, -0.2, 0.5, 1.0]).reshape(4, 1, 1, 1)
    mean = x + 0.01
    bits = vlb(schedule, mean, torch.ones_like(x), x, x, torch.zeros(4, dtype=torch.long), (-1.0, 1.0))
    normal = Normal(mean.double().flatten(), schedule.betas[0].sqrt())
    edges = torch.tensor([[-math.inf, -0.2 - 1 / 255, 0.5 - 1 / 255, 1 - 1 / 255],
                          [-1 + 1 / 255, -0.2 + 1 / 255, 0.5 + 1 / 255, math.inf]]).double()  # fmt: skip
    expected = -(normal.cdf(edges[1]) - normal.cdf(edges[0])).log2()
    np.testing.assert_allclose(bits.numpy(), expected.numpy(), rtol=1e-4)


def test_learned_variance_runs_from_the_posterior_to_beta(schedule):
    t = torch.tensor([1, 50])
    ends = [log_variance(schedule, torch.full((2, 1), v), t).exp().flatten() for v in (-1.0, 1.0)]
    torch.testing.assert_close(ends[0], schedule.posterior_variance[t].float(), rtol=1e-4, atol=0)
    torch.testing.assert_close(ends[1], schedule.betas[t].float(), rtol=1e-4, atol=0)


def test_bound_trains_the_variance_alone_and_the_noise_loss_the_noise_alone(schedule):
    x0, x_t, t, noise, output = example(schedule, (0, 5, 100, T - 1))
    terms, *_ = losses(schedule, output, x0, x_t, t, noise, learn_variance=True)
    (bound,) = torch.autograd.grad(terms["vlb"].sum(), output, retain_graph=True)
    assert torch.count_nonzero(bound[:, :2]) == 0
    assert (bound[1:, 2:].abs().sum(dim=(1, 2, 3)) > 0).all()
    (plain,) = torch.autograd.grad(terms["noise"].sum(), output)
    assert torch.count_nonzero(plain[:, 2:]) == 0
    assert (plain[:, :2].abs().sum(dim=(1, 2, 3)) > 0).all()


@pytest.mark.parametrize("steps", [T, 1000])
def test_bound_is_rescaled_by_the_number_of_steps(steps):
    schedule = make_schedule("cosine", steps)
    x0, x_t, t, noise, output = example(schedule)
    terms, x0_hat, _ = losses(schedule, output, x0, x_t, t, noise, learn_variance=True)
    bits = vlb(schedule, x0_hat, output[:, 2:], x0, x_t, t, (-1.0, 1.0))
    torch.testing.assert_close(terms["vlb"], bits * steps / 1000)
    torch.testing.assert_close(terms["total"], terms["noise"] + terms["vlb"])


def test_noise_loss_is_the_weighted_mean_squared_error(schedule):
    x0, x_t, t, noise, output = example(schedule)
    plain, *_ = losses(schedule, output[:, :2], x0, x_t, t, noise, learn_variance=False)
    weighted, *_ = losses(schedule, output[:, :2], x0, x_t, t, noise, learn_variance=False, p2_gamma=1.0, p2_k=1.0)
    error = ((noise - output[:, :2]) ** 2).detach().numpy().mean(axis=(1, 2, 3))
    bar = np.cumprod(1 - schedule.betas.numpy())[t.numpy()]
    np.testing.assert_allclose(plain["noise"].detach().numpy(), error, rtol=1e-5)
    np.testing.assert_allclose(weighted["noise"].detach().numpy(), error * (1 - bar), rtol=1e-4)  # 1/(1+snr) = 1-ᾱ
    assert set(plain) == {"noise", "total"}


def test_p2_weight_is_its_closed_form(schedule):
    t = torch.arange(0, T, 17)
    bar = np.cumprod(1 - schedule.betas.numpy())[t.numpy()]
    expected = 1 / (0.5 + bar / (1 - bar)) ** 2
    np.testing.assert_allclose(p2_weight(schedule, t, gamma=2.0, k=0.5).numpy(), expected, rtol=1e-5)


def test_predicted_layout_is_exact_for_the_true_noise_and_carries_a_gradient(schedule):
    x0, x_t, t, noise, _ = example(schedule, (0, 5, 50, 100))
    output = noise.clone().requires_grad_()
    _, x0_hat, _ = losses(schedule, output, x0, x_t, t, noise, learn_variance=False)
    torch.testing.assert_close(x0_hat, x0, atol=1e-4, rtol=1e-4)
    (slope,) = torch.autograd.grad(x0_hat.sum(), output)
    bar = np.cumprod(1 - schedule.betas.numpy())[t.numpy()]
    np.testing.assert_allclose(slope[:, 0, 0, 0].numpy(), -np.sqrt((1 - bar) / bar), rtol=1e-4)


def test_extra_terms_see_the_predicted_layout_and_join_the_total(schedule):
    x0, x_t, t, noise, output = example(schedule)
    seen = {}

    def extra(x0_hat, steps):
        seen.update(x0_hat=x0_hat, t=steps)
        return {"count": 0.5 * x0_hat.flatten(1).sum(dim=1)}, {"cells": steps.float()}

    terms, x0_hat, shown = losses(schedule, output, x0, x_t, t, noise, learn_variance=True, extra=extra)
    assert seen["x0_hat"] is x0_hat
    assert torch.equal(seen["t"], t)
    assert torch.equal(shown["cells"], t.float())
    torch.testing.assert_close(terms["total"], terms["noise"] + terms["vlb"] + 0.5 * x0_hat.flatten(1).sum(dim=1))
    assert all(value.shape == (4,) for value in terms.values())
    (slope,) = torch.autograd.grad(terms["count"].sum(), output)
    assert slope[:, :2].abs().min() > 0


def test_output_channels_must_fit_the_data():
    schedule = make_schedule("linear", T)
    x0, x_t, t, noise, output = example(schedule)
    with pytest.raises(ValueError, match="4 channels for 2"):
        losses(schedule, output, x0, x_t, t, noise, learn_variance=False)


def test_noised_draws_uniform_steps_and_repeats_with_the_generator(schedule):
    x0 = torch.zeros(4000, 1, 2, 2)
    x_t, t, noise = noised(schedule, x0, draw_noise(T, x0.shape, torch.Generator().manual_seed(3)))
    again, *_ = noised(schedule, x0, draw_noise(T, x0.shape, torch.Generator().manual_seed(3)))
    assert torch.equal(x_t, again)
    torch.testing.assert_close(x_t, schedule.q_sample(x0, t, noise))
    thirds = torch.bincount(t * 4 // T, minlength=4)
    assert (thirds - 1000).abs().max() < 150
    assert {int(t.min()), int(t.max())} == {0, T - 1}


def test_v_is_the_derivative_of_x_along_the_noise_angle(schedule):
    x0, _, t, noise, _ = example(schedule)
    angle = torch.acos(schedule.alphas_bar[t].sqrt()).reshape(-1, 1, 1, 1)

    def x(phi):
        return phi.cos() * x0.double() + phi.sin() * noise.double()

    step = 1e-6  # Salimans & Ho 2022, appendix D: v = dx / dφ
    slope = (x(angle + step) - x(angle - step)) / (2 * step)
    torch.testing.assert_close(velocity(schedule, x0, noise, t).double(), slope, rtol=0, atol=1e-5)


def test_a_predicted_v_means_the_noise_that_made_x(schedule):
    x0, x_t, t, noise, _ = example(schedule)
    found = predicted_noise(schedule, velocity(schedule, x0, noise, t), x_t, t, "v")
    torch.testing.assert_close(found, noise, rtol=0, atol=1e-5)
    torch.testing.assert_close(predicted_noise(schedule, x0, x_t, t, "data"), noise, rtol=0, atol=1e-3)
    assert predicted_noise(schedule, noise, x_t, t, "noise") is noise
    with pytest.raises(ValueError, match="'x0'"):
        predicted_noise(schedule, noise, x_t, t, "x0")


@pytest.mark.parametrize("prediction", ["v", "data"])
def test_a_perfect_prediction_costs_nothing_and_gives_the_clean_data(schedule, prediction):
    x0, x_t, t, noise, _ = example(schedule, t=(1, 20, 60, 100))
    output = x0 if prediction == "data" else velocity(schedule, x0, noise, t)
    terms, x0_hat, _ = losses(schedule, output, x0, x_t, t, noise, learn_variance=False, prediction=prediction)
    assert terms["total"].abs().max() < 1e-10
    torch.testing.assert_close(x0_hat, x0, rtol=0, atol=1e-3)


def test_each_channel_may_have_a_prediction_of_its_own(schedule):
    x0, x_t, t, noise, _ = example(schedule, t=(1, 20, 60, 100))
    v = velocity(schedule, x0, noise, t)
    output = torch.stack([v[:, 0], x0[:, 1]], dim=1)
    terms, x0_hat, _ = losses(schedule, output, x0, x_t, t, noise, learn_variance=False, prediction=("v", "data"))
    assert terms["total"].abs().max() < 1e-10
    torch.testing.assert_close(x0_hat, x0, rtol=0, atol=1e-3)


def test_shares_weigh_the_channels_errors(schedule):
    x0, x_t, t, noise, output = example(schedule)
    error = ((noise - output[:, :2]) ** 2).mean(dim=(2, 3))
    shares = torch.tensor([1.0, 0.25])[:, None, None]
    terms, *_ = losses(schedule, output[:, :2], x0, x_t, t, noise, learn_variance=False, shares=shares)
    torch.testing.assert_close(terms["noise"], (error[:, 0] + 0.25 * error[:, 1]) / 2)
