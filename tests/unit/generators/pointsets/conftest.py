"""Denoisers that are known exactly, in place of a network: what stands around one is tested with them."""

import math

import pytest
import torch

from cellscaper.generators.pointsets.generate import SAMPLING


class Uniform:
    """Cells that lie anywhere in the window, each for itself: the mean of a normal distribution cut to the window."""

    def __init__(self, region=256, classes=3):
        self.region, self.classes, self.largest = region, classes, 0

    def __call__(self, x, sigma, labels, counts, mask):
        assert torch.equal(counts.sum(dim=1).long(), mask.sum(dim=1))
        self.largest = max(self.largest, mask.shape[0] * mask.shape[1] ** 2)
        half, s, x = self.region / 2, sigma[:, None, None].double(), x.double()
        a, b = (-half - x) / s, (half - x) / s
        mass = torch.special.ndtr(b) - torch.special.ndtr(a)
        mean = x + s * (torch.exp(-a * a / 2) - torch.exp(-b * b / 2)) / math.sqrt(2 * math.pi) / mass.clamp(min=1e-12)
        return torch.where(mass < 1e-9, x, mean).clamp(-half, half)


class Columns:
    """Cells on lines x = 0, ±16, ±32 … px from the window's centre: their mean given the noisy position."""

    def __init__(self, region=256, classes=3):
        self.region, self.classes = region, classes
        self.lines = torch.arange(-region // 2, region // 2 + 1, 16, dtype=torch.float64)

    def __call__(self, x, sigma, labels, counts, mask):
        x = x.double()
        logits = -((x[..., 1:] - self.lines) ** 2) / (2 * sigma[:, None, None].double() ** 2)
        column = (logits.softmax(dim=-1) * self.lines).sum(dim=-1)
        return torch.stack([Uniform(self.region)(x, sigma, labels, counts, mask)[..., 0], column], dim=-1)


@pytest.fixture(scope="session")
def uniform():
    return Uniform()


@pytest.fixture(scope="session")
def columns():
    return Columns()


@pytest.fixture(scope="session")
def sampling():
    return SAMPLING.model_copy(update={"heun": False})  # half the time
