"""DDIM on Gaussian data, where the best noise prediction is known, and with a small real U-Net."""

import itertools

import numpy as np
import pytest
import torch

from cellscaper.diffusion.sampler import ddim, ddim_steps, initial_noise
from cellscaper.diffusion.schedule import gather, make_schedule
from cellscaper.diffusion.unet import UNet
from cellscaper.errors import CellscaperError


def gaussian_model(schedule, mean, sd):
    """E[ε | x_t] for data N(mean, sd²)."""

    def predict(x, t):
        bar = gather(schedule.alphas_bar, t, x)
        return (1 - bar).sqrt() * (x - bar.sqrt() * mean) / (bar * sd**2 + 1 - bar)

    return predict


@pytest.mark.parametrize(("eta", "steps"), [(0.0, 500), (1.0, 1000)])
@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_ddim_recovers_mean_and_variance_of_gaussian_data(name, eta, steps):
    schedule = make_schedule(name, 1000)
    model = gaussian_model(schedule, mean=0.3, sd=0.2)
    x = ddim(model, schedule, (1, 100, 100), [1, 2], steps=steps, eta=eta, clip=None)
    assert x.mean().item() == pytest.approx(0.3, abs=0.01)
    assert x.std().item() == pytest.approx(0.2, rel=0.05)


def test_ddim_without_noise_is_the_known_map_of_the_initial_noise():
    schedule = make_schedule("linear", 1000)
    x = ddim(gaussian_model(schedule, 0.3, 0.2), schedule, (1, 20, 20), [7], steps=1000, clip=None)
    start = initial_noise((1, 20, 20), [7])
    expected = 0.3 + 0.2 * start  # the probability flow of a Gaussian scales and shifts
    torch.testing.assert_close(x, expected, atol=0.01, rtol=0)


def test_known_data_are_reached_exactly_in_a_few_steps():
    schedule = make_schedule("cosine", 100)
    target = torch.rand(1, 3, 4, 4) * 2 - 1
    x = ddim(lambda x, t: schedule.predict_eps(x, t, target), schedule, (3, 4, 4), [0, 1], steps=10)
    torch.testing.assert_close(x, target.expand_as(x), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("total", "steps", "stride"), [(1000, 100, 10), (1000, 50, 20), (200, 200, 1), (100, 34, 3)])
def test_steps_have_a_whole_stride_from_zero_where_one_fits(total, steps, stride):
    assert ddim_steps(total, steps) == list(range(0, total, stride))
    assert len(ddim_steps(total, steps)) == steps


@pytest.mark.parametrize(("total", "steps"), [(1000, 300), (100, 60), (100, 99)])
def test_other_numbers_of_steps_are_spread_from_the_first_to_the_last(total, steps):
    chosen = ddim_steps(total, steps)
    assert len(set(chosen)) == steps
    assert chosen == sorted(chosen)
    assert (chosen[0], chosen[-1]) == (0, total - 1)
    assert max(np.diff(chosen)) - min(np.diff(chosen)) <= 1


@pytest.mark.parametrize("steps", [0, 1, 101])
def test_impossible_numbers_of_steps_are_refused(steps):
    with pytest.raises(CellscaperError, match=f"{steps} sampling steps of a 100-step"):
        ddim_steps(100, steps)


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_a_seed_gives_the_same_sample_in_any_batch(eta):
    torch.manual_seed(0)
    net = UNet(2, 4, size=8, channels=8, blocks=1, multipliers=(1, 2), attention=(4,)).eval()
    torch.nn.init.normal_(net.head[2].weight, std=0.1)
    schedule = make_schedule("linear", 100)
    together = ddim(net, schedule, (2, 8, 8), [5, 6, 7], steps=10, eta=eta)
    alone = torch.cat([ddim(net, schedule, (2, 8, 8), [seed], steps=10, eta=eta) for seed in (5, 6, 7)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert (together[0] - together[1]).abs().max() > 0.1
    assert not together.requires_grad


def test_eta_changes_the_sample_but_not_its_initial_noise():
    schedule = make_schedule("linear", 100)
    model = gaussian_model(schedule, 0.0, 0.5)
    a, b, c = (ddim(model, schedule, (1, 4, 4), [3], steps=10, eta=eta) for eta in (0.0, 0.5, 0.5))
    assert not torch.allclose(a, b)
    assert torch.equal(b, c)
    assert torch.equal(initial_noise((1, 4, 4), [3, 9])[0], initial_noise((1, 4, 4), [3])[0])


def test_clip_bounds_the_samples_and_only_the_first_channels_are_noise():
    schedule = make_schedule("linear", 100)

    def wild(x, t):
        return torch.cat([-5 * x, torch.full_like(x, float("nan"))], dim=1)

    x = ddim(wild, schedule, (1, 4, 4), [0, 1], steps=5, clip=(0.0, 1.0))
    assert x.shape == (2, 1, 4, 4)
    assert x.min() >= 0
    assert x.max() <= 1


def test_noise_is_recomputed_from_the_clipped_prediction():
    schedule = make_schedule("linear", 100)
    seen = []

    def outside(x, t):
        seen.append((x, t))
        return schedule.predict_eps(x, t, torch.full_like(x, 3.0))

    ddim(outside, schedule, (1, 4, 4), [0], steps=4, clip=(-1.0, 1.0))
    for (x, t), (following, then) in itertools.pairwise(seen):
        one = torch.ones_like(x)
        expected = schedule.q_sample(one, then, schedule.predict_eps(x, t, one))
        torch.testing.assert_close(following, expected, atol=1e-5, rtol=1e-5)


def test_eta_one_over_all_steps_is_the_ddpm_posterior():
    schedule = make_schedule("linear", 40)
    model, seen = gaussian_model(schedule, 0.3, 0.2), []

    def watched(x, t):
        seen.append((x, t))
        return model(x, t)

    ddim(watched, schedule, (1, 8, 8), [4], steps=40, eta=1.0, clip=None)
    generator = torch.Generator().manual_seed(4)
    assert torch.equal(torch.randn(1, 8, 8, generator=generator), seen[0][0][0])
    for (x, t), (following, _) in itertools.pairwise(seen):
        mean = schedule.posterior_mean(schedule.predict_x0(x, t, model(x, t)), x, t)
        draw = torch.randn(1, 8, 8, generator=generator)
        expected = mean + schedule.posterior_variance[t].sqrt().float() * draw
        torch.testing.assert_close(following, expected, atol=1e-4, rtol=1e-4)
