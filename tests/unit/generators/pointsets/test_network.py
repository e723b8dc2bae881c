"""The point denoiser: what must hold by construction, whatever its weights."""

import pytest
import torch

from cellscaper.generators.pointsets.network import DATA_SCALE, PointDenoiser

CLASSES, REGION = 3, 256


def model(seed=0, **settings):
    """A small network whose last layers are not zero, as after a training."""
    torch.manual_seed(seed)
    net = PointDenoiser(CLASSES, REGION, **{"width": 32, "layers": 2, "heads": 2, "edge_width": 16, **settings})
    with torch.no_grad():
        for p in net.parameters():
            if not p.any():
                p.normal_(0, 0.2)
    return net.eval()


def batch(n=20, b=2, seed=1):
    random = torch.Generator().manual_seed(seed)
    x = (torch.rand(b, n, 2, generator=random) - 0.5) * REGION
    labels = torch.randint(CLASSES, (b, n), generator=random)
    counts = torch.stack([torch.bincount(one, minlength=CLASSES) for one in labels]).float()
    return x, torch.tensor([5.0, 60.0][:b]), labels, counts, torch.ones(b, n, dtype=torch.bool)


@torch.no_grad()
def test_order_does_not_matter():
    net, (x, sigma, labels, counts, mask) = model(), batch()
    order = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(2))
    found = net(x, sigma, labels, counts, mask)
    moved = net(x[:, order], sigma, labels[:, order], counts, mask)
    assert torch.allclose(found[:, order], moved, atol=1e-3)
    assert not torch.allclose(found, x, atol=1.0)


@torch.no_grad()
def test_classes_matter():
    net, (x, sigma, labels, counts, mask) = model(), batch()
    other = net(x, sigma, (labels + 1) % CLASSES, counts, mask)
    assert (other - net(x, sigma, labels, counts, mask)).abs().max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("n", [1, 3, 20])
def test_padding_changes_nothing(n):
    net, (x, sigma, labels, counts, mask) = model(), batch(n)
    wider = torch.zeros(2, n + 13, dtype=torch.bool)
    wider[:, :n] = True
    junk = torch.full((2, 13, 2), 7.0)
    padded = net(torch.cat([x, junk], 1), sigma, torch.cat([labels, labels.new_ones(2, 13)], 1), counts, wider)
    assert torch.allclose(padded[:, :n], net(x, sigma, labels, counts, mask), atol=1e-3)
    assert not padded[:, n:].any()


@torch.no_grad()
def test_layouts_do_not_see_each_other_and_may_be_empty():
    net, (x, sigma, labels, counts, mask) = model(), batch(b=2)
    mask = mask.clone()
    mask[1] = False
    found = net(x, sigma, labels, counts, mask)
    alone = net(x[:1], sigma[:1], labels[:1], counts[:1], mask[:1])
    assert torch.allclose(found[:1], alone, atol=1e-3)
    assert not found[1].any()


@torch.no_grad()
def test_little_noise_leaves_the_points_and_much_noise_forgets_them():
    net, (x, _, labels, counts, mask) = model(), batch()
    near = net(x, torch.full((2,), 1e-3), labels, counts, mask)
    assert (near - x).abs().max() < 0.1  # c_out = σ
    torch.nn.init.zeros_(net.head.weight)
    torch.nn.init.zeros_(net.head.bias)
    torch.nn.init.zeros_(net.force.weight)
    torch.nn.init.zeros_(net.force.bias)
    scale = DATA_SCALE * REGION
    for sigma in (1.0, 74.0, 5000.0):  # Table 1 of EDM: c_skip x where the network says nothing
        found = net(x, torch.full((2,), sigma), labels, counts, mask)
        assert torch.allclose(found, x * scale**2 / (scale**2 + sigma**2), atol=1e-3)


@torch.no_grad()
def test_answers_do_not_jump_where_neighbours_change():
    net, (x, sigma, labels, counts, mask) = model(neighbours=2), batch(5, b=1)
    x[0] = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 12.0], [-14.0, 0.0], [60.0, 60.0]])
    found = []
    for radius in (13.999, 14.001):  # the second and third neighbour of the first point swap places
        x[0, 2] = torch.tensor([0.0, radius])
        found.append(net(x, sigma[:1], labels, counts, mask))
    assert (found[1] - found[0]).abs().max() < 0.05


def test_has_at_most_three_million_parameters():
    assert sum(p.numel() for p in PointDenoiser(6, 256).parameters()) < 3e6


def test_gradients_reach_every_parameter_under_bfloat16():
    net, (x, sigma, labels, counts, mask) = model(), batch()
    with torch.autocast("cpu", torch.bfloat16):
        loss = net(x, sigma, labels, counts, mask).square().mean()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert sum(bool(p.grad.any()) for p in net.parameters()) == len(list(net.parameters()))
