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
