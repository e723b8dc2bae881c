"""The sampler against denoisers known in closed form."""

import itertools
import math

import pytest
import torch
from scipy.integrate import quad
from scipy.interpolate import lagrange

from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.sampler import Noise, noise_levels, sample, step, weights

DATA = 20.0  # standard deviation of the data, px


def gaussian(x, sigma):
    """The exact denoiser of normal data: E[x0 | x] = x · s² / (s² + σ²)."""
    return x * DATA**2 / (DATA**2 + sigma**2)


def test_noise_levels_fall_between_their_ends():
    levels = noise_levels(5, 100.0, 1.0, 7.0)
    assert levels[0] == pytest.approx(100) and levels[-1] == pytest.approx(1)
    assert all(a > b for a, b in itertools.pairwise(levels))
    assert noise_levels(3, 100.0, 1.0, 1e6)[1] == pytest.approx(10, rel=1e-3)  # even in the logarithm
    assert noise_levels(3, 100.0, 1.0, 1.0)[1] == pytest.approx(50.5)
    for bad in ((0, 9.0, 1.0, 7.0), (3, 1.0, 9.0, 7.0), (3, 9.0, 0.0, 7.0), (3, 9.0, 1.0, 0.0), (3, 9.0, 9.0, 7.0)):
        with pytest.raises(CellscaperError, match="sampling"):
            noise_levels(*bad)


@pytest.mark.parametrize(("options", "tolerance"), [({"churn_above": 1e9, "churn": 0.1}, 0.01), ({"heun": True}, 0.01)])
def test_normal_data_end_where_the_exact_flow_ends(options, tolerance):
    """The flow scales x: from √(s² + σ_max²) to √(s² + σ_min²)."""
    levels = noise_levels(40, 300.0, 0.1, 7.0)
    x = torch.randn(1000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 300
    found = sample(gaussian, x, levels, lambda: torch.zeros_like(x), **options)
    exact = x * DATA / math.sqrt(DATA**2 + 300**2)
    assert ((found - exact).norm() / exact.norm()).item() < tolerance


def test_heun_is_of_second_order_and_the_multistep_method_is_nearer_with_half_the_calls():
    x = torch.tensor([[300.0, -120.0]], dtype=torch.float64)
    exact = x * DATA / math.hypot(DATA, 300)
    errors = {}
    for heun, n in itertools.product((False, True), (20, 40, 80)):
        levels = [300 * (0.01 / 300) ** (i / n) for i in range(n + 1)]  # even in the logarithm
        errors[heun, n] = (sample(gaussian, x, levels, lambda: x, heun=heun) - exact).norm().item()
    assert math.log2(errors[True, 40] / errors[True, 80]) == pytest.approx(2, abs=0.3)
    assert all(errors[False, n] < errors[True, n] / 10 for n in (20, 40, 80))


@pytest.mark.parametrize("levels", [[10.0], [10.0, 17.0], [10.0, 17.0, 50.0]])
def test_a_multistep_step_is_exact_for_polynomials_in_the_logarithm(levels):
    """Against quadrature of x0(λ) e^(λ - λ_end), x0 the Lagrange polynomial through values at the levels."""
    after, values = 6.5, [3.0, -1.0, 2.0][: len(levels)]
    nodes = [-math.log(level) for level in levels]
    polynomial, end = lagrange(nodes, values), -math.log(after)
    exact, _ = quad(lambda t: polynomial(t) * math.exp(t - end), nodes[0], end, epsabs=1e-12)
    assert sum(w * v for w, v in zip(weights(levels, after), values, strict=True)) == pytest.approx(exact, rel=1e-9)
    assert sum(weights(levels, after)) == pytest.approx(1 - after / levels[0])  # all at one place: Euler's step


def test_churn_keeps_the_distribution():
    random = torch.Generator().manual_seed(0)
    draws = lambda: torch.randn(20000, 2, dtype=torch.float64, generator=random)  # noqa: E731
    x = math.hypot(DATA, 300) * draws()
    found = sample(gaussian, x, noise_levels(60, 300.0, 0.1, 7.0), draws, heun=True, churn=0.2)
    assert found.std().item() == pytest.approx(DATA, rel=0.03)
    assert torch.corrcoef(torch.stack([x[:, 0], found[:, 0]]))[0, 1] < 0.5  # fresh noise
    with pytest.raises(CellscaperError, match="churn"):
        sample(gaussian, x, [1.0], draws, churn=0.5)


def test_a_step_moves_along_the_line_to_the_clean_points():
    x, x0 = torch.tensor([[8.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    assert step(x, x0, 4.0, 1.0).tolist() == [[2.0, 0.0]]
    assert step(x, x0, 4.0, 0.0).tolist() == [[0.0, 0.0]]


def test_constraints_act_after_every_call():
    seen = []

    def constrain(x0, sigma):
        seen.append(sigma)
        return x0.clamp(max=3.0)

    x = torch.full((4, 2), 500.0)
    found = sample(lambda x, sigma: x, x, [100.0, 10.0, 1.0], lambda: x, heun=True, constrain=constrain)
    assert found.max().item() == 3.0
    assert seen == [100.0, 10.0, 10.0, 1.0, 1.0]


def test_noise_of_a_layout_depends_on_its_seed_alone():
    together, alone = Noise([5, 6], [3, 7]), Noise([6], [7], 16)
    for draw in ("uniform", "normal", "normal"):
        one, two = getattr(together, draw)(), getattr(alone, draw)()
        assert torch.equal(one[1], two[0, :7])
        assert not one[0, 3:].any() and not two[0, 7:].any()
    assert Noise([1], [1000]).uniform().abs().max() <= 0.5
    assert Noise([1], [4000]).normal().std().item() == pytest.approx(1, abs=0.05)
