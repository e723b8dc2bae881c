"""The network of point diffusion: a transformer that moves labelled noisy points to where cells would be.

Points are tokens. Each layer lets them attend to all others, with a bias from distance and class pair, and take
messages from their nearest neighbours. Noise level and counts modulate every layer (adaptive norm). Around it stands
the preconditioning of EDM (Karras et al. 2022, Table 1): at little noise the answer is nearly the input.

Nothing depends on the order of the points: swapping two of a class swaps their answers.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DATA_SCALE = 0.29  # standard deviation of a uniform coordinate, as a part of the region's side
DISTANCES = 6  # Gaussians of the attention's distance bias, each half as wide as the one before
RADIAL = 14  # Gaussians of log2 distance in the messages
FREQUENCIES = (0.5, 1.0, 2.0, 4.0, 8.0)  # of a position, cycles in the region
FAR = 1e6  # px: where padding lies
MASKED = -3e4  # a logit of padding
ROWS = 16  # products of fewer rows are rounded in another way: a layout would depend on its batch
SPREAD = 3.0  # about √neighbours: what the sum of their messages is divided by


class Edges(NamedTuple):
    """The k nearest neighbours of each point.

    points (B·N·k,) int64, their numbers among the B·N; direction (B, N, k, 2) towards the neighbour, unit length;
    weight (B, N, k, 1): 1 for near ones, falling to 0 at the first point that is no neighbour any more, so that
    messages do not jump where neighbours change; features (B, N, k, E)
    """

    points: Tensor
    direction: Tensor
    weight: Tensor
    features: Tensor


class PointDenoiser(nn.Module):
    """Denoised positions of labelled points, given the noise level and the counts asked for.

    classes of cells; ``region`` px, the side of the square it is trained on; ``width`` of a token, ``layers``,
    ``heads``; ``neighbours`` and ``edge_width`` of the messages; ``expansion`` of the token MLPs.
    """

    def __init__(
        self,
        classes: int,
        region: int,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        neighbours: int = 8,
        edge_width: int = 48,
        expansion: int = 3,
    ):
        super().__init__()
        self.classes, self.region, self.neighbours = classes, region, neighbours
        self.sigma_data = DATA_SCALE * region
        self.token = nn.Linear(2 + 4 * len(FREQUENCIES) + 8 + classes, width)
        self.level = nn.Sequential(
            nn.Linear(17 + 2 * (classes + 1), width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.edge_in = nn.Linear(RADIAL + 6 + classes * classes, edge_width)
        self.edge_level = nn.Linear(width, edge_width)
        self.edge_out = nn.Linear(edge_width, edge_width)
        self.blocks = nn.ModuleList(_Block(classes, width, heads, edge_width, expansion) for _ in range(layers))
        self.final = nn.Linear(width, 2 * width)
        self.final_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.head = nn.Linear(width, 2)
        self.ends = nn.Linear(width, 2 * edge_width)
        self.force_in = nn.Linear(edge_width, edge_width)
        self.force = nn.Linear(edge_width, 1)
        for last in (self.head, self.force, self.final):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor, counts: Tensor, mask: Tensor) -> Tensor:
        """x (B, N, 2) noisy positions, px from the region's centre; sigma (B,) px; labels (B, N) long; counts (B, C)
        cells asked for; mask (B, N) bool, False for padding → (B, N, 2) expected clean positions.

        Padding may hold anything finite; its answer is 0. Computes in the precision of the weights.
        """
        exact = self.token.weight.dtype
        sigma, mask = sigma.to(exact)[:, None, None], mask[..., None]
        x = torch.where(mask, x.to(exact), 0.0)
        norm = (sigma**2 + self.sigma_data**2).sqrt()
        classes = F.one_hot(labels, self.classes).to(exact) * mask
        moved = self._network(x, sigma, norm, classes, counts.to(exact), mask)
        clean = (self.sigma_data / norm) ** 2 * x + sigma * self.sigma_data / norm * moved
        return torch.where(mask, clean, 0.0)

    def _network(self, x: Tensor, sigma: Tensor, norm: Tensor, classes: Tensor, counts: Tensor, mask: Tensor) -> Tensor:
        level = self.level(_at_least(_level_features(sigma[:, 0], counts), ROWS))  # (B or ROWS, width)
        away = torch.where(mask, x, FAR)
        down, right = away.unbind(dim=-1)
        square = (down[:, None] - down[:, :, None]) ** 2 + (right[:, None] - right[:, :, None]) ** 2  # (B, N, N) px²
        near = _near(square, norm, classes).to(level.dtype)
        edges = self._edges(x, square, sigma, classes, level, mask)
        h = self.token(torch.cat([_position_features(x, norm, self.region), classes], dim=-1))
        for block in self.blocks:
            h = block(h, level, near, classes, mask, edges)
        shift, scale = self.final(level)[: len(x), None].chunk(2, dim=-1)
        h = self.final_norm(h) * (1 + scale) + shift
        own, other = self.ends(h).chunk(2, dim=-1)
        force = self.force(_messages(own, other, self.force_in(edges.features), edges))
        return self.head(h).to(x.dtype) + (force.to(x.dtype) * edges.weight * edges.direction).sum(dim=2)

    def _edges(self, x: Tensor, square: Tensor, sigma: Tensor, classes: Tensor, level: Tensor, mask: Tensor) -> Edges:
        b, n = square.shape[:2]
        alone = torch.eye(n, dtype=torch.bool, device=x.device) | ~(mask & mask.transpose(1, 2))
        k = min(self.neighbours, n)
        near, found = square.masked_fill(alone, FAR**2).topk(min(k + 1, n), dim=-1, largest=False, sorted=True)
        reach = near[..., -1:] if k < n else near.new_full((), FAR**2)
        near, found = near[..., :k], found[..., :k]
        index = (found + torch.arange(b, device=x.device)[:, None, None] * n).flatten()
        weight = (1 - (near / reach).square()) * (near < FAR**2)  # (1 - (d / reach)⁴): 0 from the reach on
        distance = near.sqrt().clamp(min=1e-3)[..., None]
        step = x.reshape(b * n, 2)[index].view(b, n, k, 2) - x[:, :, None]
        direction = step / distance
        pair = classes.reshape(b * n, -1)[index].view(b, n, k, 1, -1) * classes[:, :, None, :, None]
        features = torch.cat(
            [
                _radial_features(distance),
                direction,
                direction * torch.tanh(distance / sigma[..., None]),
                direction * torch.tanh(distance / 16.0),
                pair.flatten(3),
            ],
            dim=-1,
        )
        hidden = F.silu(self.edge_in(features) + self.edge_level(level)[:b, None, None])
        return Edges(index, direction, weight[..., None], self.edge_out(hidden))


def network(section: Mapping[str, Any], classes: int) -> PointDenoiser:
    """The network of a training section, on the default device."""
    return PointDenoiser(classes, section["grid"]["region"], **section["points"]["network"])


class _Block(nn.Module):
    """Attention and messages side by side, then an MLP, each from a norm that the noise level modulates.

    The attention's logits have two biases: a function of the distance, another for points of one class, both set by
    the noise level; and a number for each pair of classes.
    """

    def __init__(self, classes: int, width: int, heads: int, edge_width: int, expansion: int):
        super().__init__()
        self.heads, self.edge_width = heads, edge_width
        self.modulate = nn.Linear(width, 6 * width + 2 * DISTANCES * heads)
        self.class_bias = nn.Parameter(torch.zeros(heads, classes, classes))
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
        self.inputs = nn.Linear(width, 3 * width + 2 * edge_width)
        self.edge = nn.Linear(edge_width, edge_width)
        self.mix = nn.Linear(width + edge_width, width)
        self.mlp = nn.Sequential(nn.Linear(width, expansion * width), nn.SiLU(), nn.Linear(expansion * width, width))
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, h: Tensor, level: Tensor, near: Tensor, classes: Tensor, mask: Tensor, edges: Edges) -> Tensor:
        b, n, width = h.shape
        modulation, distance = self.modulate(level)[:b, None].split([6 * width, 2 * DISTANCES * self.heads], dim=-1)
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation.chunk(6, dim=-1)
        inputs = self.inputs(self.norm1(h) * (1 + scale1) + shift1)
        qkv, own, other = inputs.split([3 * width, self.edge_width, self.edge_width], dim=-1)
        q, k, v = qkv.view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # each (B, H, N, width / H)
        # Classes and padding as more channels of the keys: no array of all pairs is needed for their bias.
        asked, given = classes[:, None], torch.cat([classes, MASKED * (~mask).to(classes.dtype)], dim=-1)[:, None]
        q = torch.cat([q * (width // self.heads) ** -0.5, asked @ self.class_bias, torch.ones_like(q[..., :1])], dim=-1)
        k = torch.cat([k, given.expand(b, self.heads, n, -1).to(k.dtype)], dim=-1)
        bias = distance.view(b, self.heads, -1) @ near  # (B, H, N²)
        logits = torch.baddbmm(bias.view(-1, n, n), q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2))
        seen = (logits.softmax(dim=-1).to(v.dtype) @ v.flatten(0, 1)).view(b, self.heads, n, -1)
        seen = seen.transpose(1, 2).reshape(b, n, width)
        messages = _messages(own, other, self.edge(edges.features), edges)
        told = (messages * edges.weight).sum(dim=2) / SPREAD
        h = h + (1 + gate1) * self.mix(torch.cat([seen, told.to(seen.dtype)], dim=-1))
        return h + (1 + gate2) * self.mlp(self.norm2(h) * (1 + scale2) + shift2)


def _near(square: Tensor, norm: Tensor, classes: Tensor) -> Tensor:
    """(B, 2 · DISTANCES, N²) Gaussians of the distance (B, N, N; squared, px²), and again for points of one class.

    The first is twice as wide as the points' scale ``norm`` (B, 1, 1) px, each other half as wide as the one before.
    """
    widths = [torch.exp(square * (-0.125 / norm**2))]
    for _ in range(DISTANCES - 1):
        widths.append(widths[-1].square().square())
    near = torch.stack(widths, dim=1)
    same = (classes @ classes.transpose(1, 2))[:, None]
    return torch.cat([near, near * same], dim=1).flatten(2)


def _messages(own: Tensor, other: Tensor, edge: Tensor, edges: Edges) -> Tensor:
    """(B, N, k, E) what each neighbour says: a function of both points (B, N, E) and of the edge (B, N, k, E)."""
    sender = other.reshape(-1, other.shape[-1]).index_select(0, edges.points).view_as(edge)
    return F.silu(edge + sender + own[:, :, None])


def _at_least(rows: Tensor, n: int) -> Tensor:
    """(max(B, n), F): rows (B, F), and below them zeros."""
    return F.pad(rows, (0, 0, 0, max(n - len(rows), 0)))


def _level_features(sigma: Tensor, counts: Tensor) -> Tensor:
    """(B, 17 + 2 (C + 1)) of noise levels (B, 1) px and counts (B, C)."""
    octave = sigma.log2()
    waves = octave * (2 * math.pi / 2.0 ** torch.arange(1, 5, device=sigma.device))  # periods 2 … 16 octaves
    fine = torch.exp(-0.5 * (octave - torch.arange(-1, 8, device=sigma.device) * 1.25).square())
    all_counts = torch.cat([counts, counts.sum(dim=1, keepdim=True)], dim=1)
    return torch.cat([waves.sin(), waves.cos(), fine, all_counts.log1p() / 3, all_counts / 100], dim=1)


def _position_features(x: Tensor, norm: Tensor, region: int) -> Tensor:
    """(B, N, 2 + 4 · frequencies + 8) of positions px: scaled, as waves, and as nearness to the four borders."""
    place = (x / region).clamp(-1.5, 1.5)  # ±½ at the borders
    waves = (place[..., None] * (2 * math.pi * x.new_tensor(FREQUENCIES))).flatten(2)
    inside = region * (0.5 - torch.cat([place, -place], dim=-1)).abs()  # px to each border
    border = torch.cat([torch.exp(-inside / 8), torch.exp(-inside / 32)], dim=-1)
    return torch.cat([x / norm, waves.sin(), waves.cos(), border], dim=-1)


def _radial_features(distance: Tensor) -> Tensor:
    """(…, RADIAL) Gaussians of log2 of a distance (…, 1) px, centred on 1, 1.7, 2.8 … px."""
    centres = torch.arange(RADIAL, device=distance.device) * 0.75
    return torch.exp(-((distance.log2() - centres) / 0.75).square())
