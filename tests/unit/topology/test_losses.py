import numpy as np
import pytest
import torch

from cellscaper.topology.losses import Topology, count_loss, inter_loss, intra_loss, targets, topology_losses

SIDE = 64


def layout(cells, rng, classes=1, side=SIDE, gap=7):
    """(1, classes, side, side) maps of 3×3 markers, centres at least ``gap`` px apart over all classes."""
    maps, centres = np.zeros((1, classes, side, side), np.float32), []
    while len(centres) < cells:
        y, x = rng.integers(1, side - 1, 2)
        if all(np.hypot(y - a, x - b) >= gap for a, b in centres):
            maps[0, len(centres) % classes, y - 1 : y + 2, x - 1 : x + 2] = 1
            centres.append((y, x))
    return torch.from_numpy(maps), centres


def mark(maps, y, x, value):
    changed = maps.clone()
    changed[..., y - 1 : y + 2, x - 1 : x + 2] = value
    return changed


def gradient(loss, maps):
    maps = maps.clone().requires_grad_()
    loss(maps).sum().backward()
    return maps.grad


def descend(loss, start, steps=50, rate=0.2):
    """Adam on the map alone, values kept in 0…1, step size falling; (best loss / first loss)."""
    maps = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([maps], betas=(0.5, 0.99))
    values = []
    for i in range(steps + 1):
        optimiser.zero_grad()
        value = loss(maps).sum()
        values.append(float(value.detach()))
        value.backward()
        optimiser.param_groups[0]["lr"] = rate * (1 - 0.9 * i / steps)
        optimiser.step()
        with torch.no_grad():
            maps.clamp_(0, 1)
    return min(values) / values[0]


LOSSES = {"intra": intra_loss, "inter": inter_loss}


@pytest.mark.parametrize("name", LOSSES)
def test_equal_maps_cost_nothing_and_have_no_gradient(name):
    maps, _ = layout(40, np.random.default_rng(0), classes=2, side=96)
    wanted = targets(maps, Topology())
    loss = LOSSES[name]
    assert loss(maps, wanted, Topology()).item() == 0
    assert not gradient(lambda u: loss(u, wanted, Topology()), maps).any()


@pytest.mark.parametrize("name", LOSSES)
def test_one_cell_too_many_is_lowered(name):
    """A ring of cells with one in its middle that does not belong there."""
    angle = np.arange(0, 2 * np.pi, 0.5)
    maps = torch.zeros(1, 2, 60, 66)
    for a in angle:
        maps[:, :1] = mark(maps[:, :1], round(30 + 20 * np.sin(a)), round(33 + 20 * np.cos(a)), 1)
    extra = maps.clone()
    extra[:, :1] = mark(maps[:, :1], 30, 33, 1)
    wanted = targets(maps, Topology())
    slope = gradient(lambda u: LOSSES[name](u, wanted, Topology()), extra)
    assert (slope[0, 0, 29:32, 32:35] > 0).any()
    assert slope[0, 0, 29:32, 32:35].sum() > 0
    assert LOSSES[name](extra - 0.6 * (slope > 0), wanted, Topology()) < LOSSES[name](extra, wanted, Topology())


@pytest.mark.parametrize("belief", [0.0, 0.3])
@pytest.mark.parametrize("name", LOSSES)
def test_one_cell_too_few_is_raised(name, belief):
    maps = torch.zeros(1, 1, 60, 66)
    for y in range(8, 60, 11):
        for x in range(8, 66, 11):
            maps = mark(maps, y, x, 1)
    wanted = targets(maps, Topology())
    slope = gradient(lambda u: LOSSES[name](u, wanted, Topology()), mark(maps, 30, 30, belief))
    around = slope[0, 0, 20:41, 20:41]
    assert around.min() < 0
    assert around.min() == slope.min()
    if belief:  # the pixels that the prediction half believes in are those that rise
        assert slope[0, 0, 29:32, 29:32].sum() < 0


def test_count_loss_has_the_straight_through_gradient_of_the_wrong_count():
    maps, _ = layout(12, np.random.default_rng(1), classes=2)
    for wanted, sign in (([5.0, 6.0], 1), ([8.0, 6.0], -1), ([6.0, 6.0], 0)):
        slope = gradient(lambda u, w=wanted: count_loss(u, torch.tensor([w])), maps)
        assert count_loss(maps, torch.tensor([wanted])).item() == pytest.approx(abs(wanted[0] - 6) / 2)
        assert torch.equal(slope[:, 0], torch.full_like(slope[:, 0], sign / 9 / 2))
        assert not slope[:, 1].any()


@pytest.mark.parametrize("seed", range(3))
def test_fifty_steps_reduce_the_count_loss_by_ninety_percent(seed):
    maps, _ = layout(40, np.random.default_rng(seed), side=96)
    start = maps + 0.25 * torch.randn(maps.shape, generator=torch.Generator().manual_seed(seed))
    assert descend(lambda u: count_loss(u, torch.tensor([[40.0]])), start, rate=0.05) <= 0.1


@pytest.mark.parametrize("name", LOSSES)
def test_fifty_steps_reduce_the_topology_losses_from_noisy_maps(name):
    """By 90 % in the mean over starts, and by 80 % from each."""
    left = []
    for seed in range(5):
        maps, _ = layout(60, np.random.default_rng(seed), side=96, gap=8)
        wanted = targets(maps, Topology())
        start = maps + 0.25 * torch.randn(maps.shape, generator=torch.Generator().manual_seed(seed))
        left.append(descend(lambda u, w=wanted: LOSSES[name](u, w, Topology()), start))
    assert np.mean(left) <= 0.1
    assert max(left) <= 0.2


@pytest.mark.parametrize("name", LOSSES)
def test_fifty_steps_reduce_the_topology_losses_from_other_layouts(name):
    left = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        maps, start = layout(60, rng, side=96, gap=8)[0], layout(50, rng, side=96, gap=5)[0]
        wanted = targets(maps, Topology())
        left.append(descend(lambda u, w=wanted: LOSSES[name](u, w, Topology()), start))
    assert max(left) <= 0.5


@pytest.mark.parametrize("settings", [Topology(), Topology(window=40), Topology(normalise="max")])
def test_both_at_once_are_as_one_by_one(settings):
    rng = np.random.default_rng(3)
    maps, other = (torch.cat([layout(30, rng, 2, 90)[0] for _ in range(2)]) for _ in range(2))
    other = other + 0.2 * torch.randn(other.shape, generator=torch.Generator().manual_seed(0))
    wanted = targets(maps, settings)
    joint = topology_losses(other, wanted, settings)
    for name, loss in LOSSES.items():
        assert torch.allclose(joint[name], loss(other, wanted, settings))
        alone = gradient(lambda u, n=name: topology_losses(u, wanted, settings)[n], other)
        assert torch.allclose(alone, gradient(lambda u, f=loss: f(u, wanted, settings), other))
    assert torch.equal(targets(maps, settings, intra=False).inter[0].windows[0].diagram.__class__ and alone, alone)
