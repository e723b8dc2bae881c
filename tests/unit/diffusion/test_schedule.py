"""Schedules against closed forms, a simulated chain and Bayes' rule on a grid."""

import numpy as np
import pytest
import torch

from cellscaper.diffusion.schedule import gather, make_schedule
from cellscaper.errors import CellscaperError

EVERY = [("linear", 1000), ("linear", 50), ("cosine", 1000), ("cosine", 50)]


@pytest.mark.parametrize("steps", [1000, 250])
def test_linear_betas_rise_evenly_and_keep_the_total_noise_of_1000_steps(steps):
    betas = make_schedule("linear", steps).betas.numpy()
    k = np.arange(steps)
    np.testing.assert_allclose(betas, 1000 / steps * (1e-4 + (0.02 - 1e-4) * k / (steps - 1)), rtol=1e-12)
    assert betas.dtype == np.float64
    assert betas.sum() == pytest.approx(1000 * (1e-4 + 0.02) / 2)


@pytest.mark.parametrize("steps", [1000, 40])
def test_cosine_alphas_bar_follow_the_squared_cosine(steps):
    schedule = make_schedule("cosine", steps)

    def level(u):
        return np.cos((u + 0.008) / 1.008 * np.pi / 2) ** 2

    expected = level(np.arange(1, steps + 1) / steps) / level(0)
    np.testing.assert_allclose(schedule.alphas_bar.numpy()[:-1], expected[:-1], rtol=1e-9)
    assert schedule.betas[-1] == 0.999
    assert (schedule.betas[:-1] < 0.999).all()


@pytest.mark.parametrize(("name", "steps"), EVERY)
def test_q_sample_has_the_mean_and_variance_of_the_simulated_chain(name, steps):
    schedule = make_schedule(name, steps)
    rng = np.random.default_rng(0)
    x0, n, last = 0.7, 20_000, min(steps, 50) - 1
    chain = np.full(n, x0)
    for beta in schedule.betas.numpy()[: last + 1]:
        chain = np.sqrt(1 - beta) * chain + np.sqrt(beta) * rng.standard_normal(n)
    noise = torch.from_numpy(rng.standard_normal((n, 1))).float()
    x = schedule.q_sample(torch.full((n, 1), x0), torch.full((n,), last), noise).numpy()
    error = 5 * chain.std() / np.sqrt(n)
    assert x.mean() == pytest.approx(chain.mean(), abs=2 * error)
    assert x.std() == pytest.approx(chain.std(), abs=2 * error)


@pytest.mark.parametrize(("name", "steps"), EVERY)
def test_posterior_is_bayes_rule_on_a_grid(name, steps):
    schedule = make_schedule(name, steps)
    betas, bar = schedule.betas.numpy(), np.cumprod(1 - schedule.betas.numpy())
    x0 = 0.4
    for t in (1, steps // 3, steps - 2):
        x_t = np.sqrt(bar[t]) * x0 + 1.3 * np.sqrt(1 - bar[t])
        prior_mean, prior_sd = np.sqrt(bar[t - 1]) * x0, np.sqrt(1 - bar[t - 1])
        grid = prior_mean + prior_sd * np.linspace(-12, 12, 400_001)
        log = -((grid - prior_mean) ** 2) / (2 * prior_sd**2)
        log -= (x_t - np.sqrt(1 - betas[t]) * grid) ** 2 / (2 * betas[t])
        weight = np.exp(log - log.max())
        weight /= weight.sum()
        mean = (weight * grid).sum()
        variance = (weight * (grid - mean) ** 2).sum()
        ours = schedule.posterior_mean(torch.full((1, 1), x0), torch.full((1, 1), x_t), torch.tensor([t]))
        assert ours.item() == pytest.approx(mean, abs=2e-6)
        assert schedule.posterior_variance[t].item() == pytest.approx(variance, rel=1e-4)
        assert schedule.posterior_log_variance[t].item() == pytest.approx(np.log(variance), abs=1e-4)


def test_posterior_at_step_zero_is_x0_and_its_log_variance_stays_finite():
    schedule = make_schedule("linear", 100)
    x0, x_t = torch.randn(2, 3), torch.randn(2, 3)
    torch.testing.assert_close(schedule.posterior_mean(x0, x_t, torch.zeros(2, dtype=torch.long)), x0)
    assert schedule.posterior_variance[0] == 0
    assert schedule.posterior_log_variance[0] == schedule.posterior_variance[1].log()


@pytest.mark.parametrize(("name", "steps"), EVERY)
def test_predictions_invert_q_sample(name, steps):
    schedule = make_schedule(name, steps)
    generator = torch.Generator().manual_seed(0)
    t = torch.tensor([0, 1, steps // 2, steps // 4])
    x0, noise = torch.randn(2, 4, 3, 8, 8, generator=generator)
    x_t = schedule.q_sample(x0, t, noise)
    torch.testing.assert_close(schedule.predict_x0(x_t, t, noise), x0, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(schedule.predict_eps(x_t, t, x0), noise, atol=1e-3, rtol=1e-3)


def test_snr_is_signal_over_noise_power():
    schedule = make_schedule("cosine", 20)
    t = torch.arange(20)
    one, zero = torch.ones(20, 1), torch.zeros(20, 1)
    signal, noise = schedule.q_sample(one, t, zero), schedule.q_sample(zero, t, one)
    torch.testing.assert_close((signal / noise).square()[:, 0], schedule.snr.float(), rtol=1e-4, atol=0)


def test_gather_gives_float32_that_broadcasts_over_the_sample():
    values = gather(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), torch.tensor([2, 0]), torch.zeros(2, 3, 4, 4))
    assert values.shape == (2, 1, 1, 1)
    assert values.dtype == torch.float32
    assert values.flatten().tolist() == [3, 1]


def test_to_moves_every_constant():
    moved = make_schedule("linear", 30).to("meta")
    assert {value.device.type for value in vars(moved).values()} == {"meta"}
    assert moved.steps == 30


@pytest.mark.parametrize(
    ("name", "steps", "words"), [("sigmoid", 100, "sigmoid"), ("linear", 20, "20 steps"), ("cosine", 1, "1 steps")]
)
def test_bad_schedules_are_refused_in_one_line(name, steps, words):
    with pytest.raises(CellscaperError, match=words):
        make_schedule(name, steps)
