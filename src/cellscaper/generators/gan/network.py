"""The two networks of the TMCCG-style generator: the mover of cells, and the discriminator of splatted layouts.

Neither network depends on the order of the cells.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cellscaper.generators.gan.statistics import Pattern, distances

RANK = 4  # rank of the pair forces of two cells at each distance
REACH = 64.0  # px: the largest distance that radial functions tell apart


class PointMover(nn.Module):
    """Cells at uniform places → cells of a layout: ``layers`` rounds of pair forces and messages.

    Each cell carries ``width`` features of its class, the condition and the layout's noise. In a round two cells push
    or pull each other. The force depends on their features and on ``radial`` functions of their distance. A cell moves
    at most ``step`` px in a round. Places are mirrored at the border of the region, so cells never leave it.
    """

    def __init__(
        self, classes: int, region: int, condition: int, width: int, layers: int, radial: int, step: float, noise: int
    ):
        super().__init__()
        self.region, self.step, self.noise = region, step, noise
        self.of_class = nn.Embedding(classes, width)
        self.of_layout = nn.Sequential(nn.Linear(condition + noise, width), nn.SiLU(), nn.Linear(width, width))
        self.rounds = nn.ModuleList(_Round(width, radial) for _ in range(layers))
        centres = REACH ** (torch.arange(radial) / (radial - 1)) - 1 + torch.linspace(0, 1, radial)
        self.register_buffer("centres", centres)
        self.register_buffer("widths", torch.cat([centres.diff(), centres.diff()[-1:]]).clamp(min=1.0))

    centres: Tensor
    widths: Tensor

    def forward(self, start: Tensor, noise: Tensor, condition: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        """(B, N, 2) px from uniform places ``start``; noise (B, noise), condition (B, D), labels and mask (B, N)."""
        cells = self.of_class(labels) + self.of_layout(torch.cat([condition, noise], dim=1))[:, None]
        pairs = (mask[:, :, None] & mask[:, None]) & ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
        x = start
        for one in self.rounds:
            away = x[:, :, None] - x[:, None]  # (B, N, N, 2), from the other cell to this one
            distance = distances(x)
            radial = torch.exp(-(((distance[..., None] - self.centres) / self.widths) ** 2)) * pairs[..., None]
            place = torch.cat([x / self.region, 1 - x / self.region], dim=-1) - 0.5
            cells, force = one(cells, place, radial)
            move = (force[..., None] * away / (distance[..., None] + 1)).sum(dim=2)  # (B, N, 2)
            length = (move.square().sum(-1, keepdim=True) + 1e-12).sqrt()
            x = mirrored(x + move * (self.step * torch.tanh(length / self.step) / length), self.region)
        return x


class _Round(nn.Module):
    """Forces (B, N, N) between cells, and the cells' features after a message from all other cells."""

    def __init__(self, width: int, radial: int):
        super().__init__()
        self.radial = radial
        self.norm = nn.LayerNorm(width)
        self.ends = nn.Linear(width + 4, 2 * radial * RANK)
        self.says = nn.Linear(width, 8)
        self.hears = nn.Linear(8 * radial + 4, width)
        self.think = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )

    def forward(self, cells: Tensor, place: Tensor, radial: Tensor) -> tuple[Tensor, Tensor]:
        quiet = self.norm(cells)
        one, other = self.ends(torch.cat([quiet, place], -1)).unflatten(-1, (2, self.radial, RANK)).unbind(-3)
        heard = torch.einsum("bnmk,bmv->bnkv", radial, self.says(quiet)).flatten(2)
        cells = cells + self.hears(torch.cat([heard, place], dim=-1))
        cells = cells + self.think(cells)
        return cells, torch.einsum("bnkr,bmkr,bnmk->bnm", one, other, radial) / RANK


def mirrored(x: Tensor, region: float) -> Tensor:
    """Coordinates folded into 0…region at its borders; the slope is ±1."""
    folded = torch.remainder(x, 2 * region)
    return torch.where(folded > region, 2 * region - folded, folded)


def splat(pattern: Pattern, classes: int, region: int, stride: int, spread: float) -> Tensor:
    """Layouts as maps (B, C, region/stride, region/stride): a bell of ``spread`` px around each cell, 1 at its top."""
    middle = torch.arange(region // stride, device=pattern.points.device) * stride + (stride - 1) / 2
    bells = torch.exp(-(((pattern.points[..., None] - middle) / spread) ** 2) / 2)  # (B, N, 2, side)
    return torch.einsum("bnc,bnh,bnw->bchw", pattern.one_hot(classes), bells[:, :, 0], bells[:, :, 1])


class Discriminator(nn.Module):
    """Splatted maps (B, C, side, side) and their condition (B, D) → logits (B,): above 0 is real."""

    def __init__(self, classes: int, condition: int, width: int):
        super().__init__()
        sizes = [classes, width, 2 * width, 2 * width]
        self.see = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(sizes))
        self.ask = nn.Linear(condition, 2 * width)
        self.judge = nn.Linear(2 * width, 1)

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        for layer in self.see:
            maps = F.leaky_relu(layer(maps), 0.2)
        seen = maps.mean(dim=(2, 3))
        return self.judge(seen)[:, 0] + (seen * self.ask(condition)).sum(dim=1) / seen.shape[1] ** 0.5
