"""The network of point diffusion: a transformer that moves labelled noisy points to where cells would be.

Points are tokens. In each layer they attend to all others, with a bias from distance and class pair, and receive
messages from their nearest neighbours. Noise level and counts modulate every layer (adaptive norm). Input and output
are scaled by the preconditioning of EDM (Karras et al. 2022, Table 1): at little noise the output is nearly the input.

Nothing depends on the order of the points: if two points of a class are swapped, so are their outputs.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cellscaper.generators.pointsets.settings import PointNetwork

DATA_SCALE = 0.29  # standard deviation of a uniform coordinate, as a fraction of the region's side
DISTANCES = 6  # Gaussians of the attention's distance bias, each half as wide as the one before
RADIAL = 14  # Gaussians of log2 distance in the messages
OCTAVES = 5  # waves of a position: ½, 1, … 8 cycles in the region
FAR = 1e6  # px: coordinate of padding
TINY = 1e-8  # smaller values of a Gaussian become 0: their fourth power would be a denormal number, which is slow
MASKED = -3e4  # a logit of padding
ROWS = 16  # products of fewer rows are rounded in another way: a layout would depend on its batch
SPREAD = 3.0  # about √neighbours: divisor of the sum of their messages


class Edges(NamedTuple):
    """The k nearest neighbours of each point.

    own, other (B·N·k,) int64: the two points of each edge among the B·N
    direction (B, N, k, 2): unit vector towards the neighbour
    weight (B·N, 1, k): 1 for near points, falling to 0 at the distance of the first point that is no neighbour, so that
        messages do not jump when neighbours change
    hidden (B·N·k, E): features before the last layer ``out``, which each block joins with its own first layer
    """

    own: Tensor
    other: Tensor
    direction: Tensor
    weight: Tensor
    hidden: Tensor
    out: nn.Linear


class Product(nn.Linear):
    """A linear layer whose computation and output have the precision of its weights: see :func:`in_precision`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


class PointDenoiser(nn.Module):
    """Denoised positions of labelled points, given the noise level and the requested counts.

    ``classes`` of cells; ``region`` px, the side of the square it is trained on; ``width`` of a token, ``layers``,
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
        self.token = Product(2 + 4 * OCTAVES + 8 + classes, width)
        self.level = nn.Sequential(
            nn.Linear(17 + 2 * (classes + 1), width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.edge_in = Product(RADIAL + 6 + classes * classes, edge_width)
        self.edge_level = nn.Linear(width, edge_width)
        self.edge_out = nn.Linear(edge_width, edge_width)
        self.blocks = nn.ModuleList(_Block(classes, width, heads, edge_width, expansion) for _ in range(layers))
        self.final = nn.Linear(width, 2 * width)
        self.final_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.head = nn.Linear(width, 2)
        self.ends = Product(width, 2 * edge_width)
        self.force_in = nn.Linear(edge_width, edge_width)
        self.force = nn.Linear(edge_width, 1)
        for last in (self.head, self.force, self.final):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor, counts: Tensor, mask: Tensor) -> Tensor:
        """x (B, N, 2) noisy positions, px from the region's centre; sigma (B,) px; labels (B, N) long; counts (B, C)
        requested cells; mask (B, N) bool, False for padding → (B, N, 2) expected clean positions.

        Padding may hold any finite value; its output is 0. The computation has the precision of the weights.
        """
        exact = self.final.weight.dtype
        sigma, mask = sigma.to(exact)[:, None, None], mask[..., None]
        x = torch.where(mask, x.to(exact), 0.0)
        norm = (sigma**2 + self.sigma_data**2).sqrt()
        classes = F.one_hot(labels, self.classes).to(exact) * mask
        moved = self._network(x, sigma, norm, labels, classes, counts.to(exact), mask)
        clean = (self.sigma_data / norm) ** 2 * x + sigma * self.sigma_data / norm * moved
        return torch.where(mask, clean, 0.0)

    def _network(
        self, x: Tensor, sigma: Tensor, norm: Tensor, labels: Tensor, classes: Tensor, counts: Tensor, mask: Tensor
    ) -> Tensor:
        b, n, _ = x.shape
        level = self.level(_at_least(_level_features(sigma[:, 0], counts), ROWS))  # (B or ROWS, width)
        away = torch.where(mask, x, FAR)
        down, right = away.unbind(dim=-1)
        square = (down[:, None] - down[:, :, None]).square() + (right[:, None] - right[:, :, None]).square()  # px²
        edges = self._edges(x, square, sigma, labels, level, mask)
        blocks = [block.modulated(level, b) for block in self._blocks()]
        bias = self._bias(square, norm, classes, mask, torch.cat([distance for _, distance in blocks], dim=1))
        h = self.token(torch.cat([_position_features(x, norm, self.region), classes], dim=-1)).to(x.dtype)
        for block, (modulation, _), one in zip(self.blocks, blocks, bias.chunk(len(blocks), dim=1), strict=True):
            h = block(h, modulation, one, edges)
        shift, scale = self.final(level)[:b, None].chunk(2, dim=-1)
        h = torch.addcmul(shift, self.final_norm(h), 1 + scale)
        force = self.force(_messages(self.ends(h), self.force_in, edges).to(x.dtype)).view(b, n, -1, 1)
        pulled = force * edges.weight.view(force.shape).to(x.dtype) * edges.direction
        return self.head(h).to(x.dtype) + pulled.sum(dim=2)

    def _blocks(self) -> "Iterator[_Block]":
        return (cast(_Block, block) for block in self.blocks)

    def _bias(self, square: Tensor, norm: Tensor, classes: Tensor, mask: Tensor, distance: Tensor) -> Tensor:
        """(B, layers · heads, N, N) bias of all layers' attention, in the precision of the products.

        The sum of: a function of the squared distance (B, N, N), and a second one for points of the same class, with
        coefficients ``distance`` (B, layers · heads, 2 · DISTANCES); a number for each pair of classes; MASKED where
        the key is padding.
        """
        precision = self.token.weight.dtype
        b, n, _ = classes.shape
        pairs = torch.cat([block.class_bias for block in self._blocks()])  # (layers · heads, C, C)
        asked = torch.cat([classes[:, None] @ pairs, classes.new_ones(b, len(pairs), n, 1)], dim=-1)
        given = torch.cat([classes, MASKED * (~mask).to(classes.dtype)], dim=-1)  # (B, N, C + 1)
        bias = (distance.to(precision) @ _near(square, norm, classes, precision)).view(b, -1, n)
        bias = bias.baddbmm_(asked.flatten(1, 2).to(bias.dtype), given.transpose(1, 2).to(bias.dtype))
        return bias.view(b, -1, n, n)

    def _edges(self, x: Tensor, square: Tensor, sigma: Tensor, labels: Tensor, level: Tensor, mask: Tensor) -> Edges:
        b, n = square.shape[:2]
        alone = torch.eye(n, dtype=torch.bool, device=x.device) | ~(mask & mask.transpose(1, 2))
        k = min(self.neighbours, n)
        near, found = square.masked_fill(alone, FAR**2).topk(min(k + 1, n), dim=-1, largest=False, sorted=True)
        reach = near[..., -1:] if k < n else near.new_full((), FAR**2)
        near, found = near[..., :k], found[..., :k]
        numbers = torch.arange(b * n, device=x.device)
        own, other = numbers.repeat_interleave(k), (found + numbers[::n, None, None]).flatten()
        weight = (1 - (near / reach).square()) * (near < FAR**2)  # (1 - (d / reach)⁴): 0 from the reach on
        distance = near.sqrt().clamp(min=1e-3)[..., None]
        step = x.reshape(b * n, 2)[other].view(b, n, k, 2) - x[:, :, None]
        direction = step / distance
        pair = labels.flatten()[own] * self.classes + labels.flatten()[other]
        features = [
            _radial_features(distance),
            direction,
            direction * torch.tanh(distance / sigma[..., None]),
            direction * torch.tanh(distance / 16.0),
            torch.eye(self.classes**2, dtype=x.dtype, device=x.device)[pair].view(b, n, k, -1),
        ]
        precision = self.edge_in.weight.dtype
        of_level = (self.edge_level(level)[:b, None] + self.edge_in.bias).to(precision)
        into = self.edge_in.weight.t().expand(b, -1, -1)
        hidden = torch.baddbmm(of_level, torch.cat(features, dim=-1).view(b, n * k, -1).to(precision), into)
        hidden = F.silu(hidden, inplace=True).flatten(0, 1)
        return Edges(own, other, direction, weight.view(b * n, 1, k).to(precision), hidden, self.edge_out)


def network(settings: PointNetwork, classes: int, region: int) -> PointDenoiser:
    """The network of these settings for regions of ``region`` px, on the default device."""
    return PointDenoiser(classes, region, **dict(settings))


def class_axes(layers: int, classes: Sequence[str]) -> dict[str, dict[int, list[object]]]:
    """Parameter → axis → what each index belongs to: a class, a pair of classes, or a number for everything else."""
    pairs = [(one, other) for one in classes for other in classes]
    logs, shares = ([(kind, name) for name in [*classes, None]] for kind in ("log", "share"))  # None: all cells
    return {
        "token.weight": {1: [*range(2 + 4 * OCTAVES + 8), *classes]},
        "level.0.weight": {1: [*range(17), *logs, *shares]},
        "edge_in.weight": {1: [*range(RADIAL + 6), *pairs]},
        **{f"blocks.{i}.class_bias": {1: list(classes), 2: list(classes)} for i in range(layers)},
    }


def in_precision(model: PointDenoiser, precision: str) -> PointDenoiser:
    """The model for sampling, with the products of its tokens and edges in ``fp32`` (itself) or ``bf16`` (a copy).

    Positions, distances, norms and the sums over layers stay as they are.
    """
    if precision == "fp32":
        return model
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, Product):
            module.to(torch.bfloat16)
    return model


class _Block(nn.Module):
    """Attention and messages in parallel, then an MLP; the noise level modulates the norm before each."""

    def __init__(self, classes: int, width: int, heads: int, edge_width: int, expansion: int):
        super().__init__()
        self.heads, self.width, self.edge_width = heads, width, edge_width
        self.modulate = nn.Linear(width, 6 * width + 2 * DISTANCES * heads)
        self.class_bias = nn.Parameter(torch.zeros(heads, classes, classes))
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
        self.inputs = Product(width, 3 * width + 2 * edge_width)
        self.edge = nn.Linear(edge_width, edge_width)
        self.mix = Product(width + edge_width, width)
        self.mlp = nn.Sequential(Product(width, expansion * width), nn.SiLU(), Product(expansion * width, width))
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def modulated(self, level: Tensor, b: int) -> tuple[Tensor, Tensor]:
        """Levels (B or more, width) → modulation (B, 1, 6 · width), weights of distance (B, heads, 2 · DISTANCES)."""
        modulation, distance = self.modulate(level)[:b].split([6 * self.width, 2 * DISTANCES * self.heads], dim=1)
        return modulation[:, None], distance.view(b, self.heads, -1)

    def forward(self, h: Tensor, modulation: Tensor, bias: Tensor, edges: Edges) -> Tensor:
        """h (B, N, width) tokens, ``modulation`` of :meth:`modulated`, bias (B, heads, N, N) → new tokens."""
        b, n, width = h.shape
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation.chunk(6, dim=-1)
        inputs = self.inputs(torch.addcmul(shift1, self.norm1(h), 1 + scale1))
        qkv, ends = inputs.split([3 * width, 2 * self.edge_width], dim=-1)
        q, k, v = qkv.view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # each (B, H, N, width / H)
        seen = F.scaled_dot_product_attention(q, k, v, bias).transpose(1, 2).reshape(b, n, width)
        told = edges.weight @ _messages(ends, self.edge, edges).view(b * n, -1, self.edge_width)
        told = told.view(b, n, -1) / SPREAD
        h = torch.addcmul(h, 1 + gate1, self.mix(torch.cat([seen, told], dim=-1)))
        return torch.addcmul(h, 1 + gate2, self.mlp(torch.addcmul(shift2, self.norm2(h), 1 + scale2)))


def _near(square: Tensor, norm: Tensor, classes: Tensor, precision: torch.dtype) -> Tensor:
    """(B, 2 · DISTANCES, N²) Gaussians of the distance (B, N, N; squared, px²), and again for points of the same class.

    The first is twice as wide as the points' scale ``norm`` (B, 1, 1) px; each next one is half as wide.
    """
    near = square.new_empty(len(square), 2, DISTANCES, *square.shape[1:], dtype=precision)
    same = classes @ classes.transpose(1, 2)
    gaussian = torch.exp(square * (-0.125 / norm**2))
    for i in range(DISTANCES):
        if i:
            gaussian = F.threshold(gaussian, TINY, 0.0).square().square()
        near[:, 0, i] = gaussian
        near[:, 1, i] = gaussian * same
    return near.view(len(square), 2 * DISTANCES, -1)


def _messages(ends: Tensor, layer: nn.Linear, edges: Edges) -> Tensor:
    """(B·N·k, E) the message of each neighbour: a function of both points (``ends`` (B, N, 2 E)) and of the edge."""
    precision = ends.dtype
    own, other = ends.flatten(0, 1).chunk(2, dim=-1)
    own = own + (layer.bias + layer.weight @ edges.out.bias).to(precision)
    said = own.index_select(0, edges.own).add_(other.index_select(0, edges.other))
    said = said.addmm_(edges.hidden, (layer.weight @ edges.out.weight).to(precision).t())
    return F.silu(said, inplace=True)


def _at_least(rows: Tensor, n: int) -> Tensor:
    """(max(B, n), F): rows (B, F), then rows of zeros."""
    return F.pad(rows, (0, 0, 0, max(n - len(rows), 0)))


def _level_features(sigma: Tensor, counts: Tensor) -> Tensor:
    """(B, 17 + 2 (C + 1)) features of noise levels (B, 1) px and counts (B, C)."""
    octave = sigma.log2()
    waves = octave * (2 * math.pi / 2.0 ** torch.arange(1, 5, device=sigma.device))  # periods 2 … 16 octaves
    fine = torch.exp(-0.5 * (octave - torch.arange(-1, 8, device=sigma.device) * 1.25).square())
    all_counts = torch.cat([counts, counts.sum(dim=1, keepdim=True)], dim=1)
    return torch.cat([waves.sin(), waves.cos(), fine, all_counts.log1p() / 3, all_counts / 100], dim=1)


def _position_features(x: Tensor, norm: Tensor, region: int) -> Tensor:
    """(B, N, 2 + 4 · octaves + 8) features of positions px: scaled, as waves, as nearness to the four borders."""
    place = (x / region).clamp(-1.5, 1.5)  # ±½ at the borders
    frequency = torch.bitwise_left_shift(1, torch.arange(OCTAVES, device=x.device)) / 2  # no copy from the host
    waves = (place[..., None] * (2 * math.pi * frequency.to(x.dtype))).flatten(2)
    inside = region * (0.5 - torch.cat([place, -place], dim=-1)).abs()  # px to each border
    border = torch.cat([torch.exp(-inside / 8), torch.exp(-inside / 32)], dim=-1)
    return torch.cat([x / norm, waves.sin(), waves.cos(), border], dim=-1)


def _radial_features(distance: Tensor) -> Tensor:
    """(…, RADIAL) Gaussians of log2 of a distance (…, 1) px, centred on 1, 1.7, 2.8 … px."""
    centres = torch.arange(RADIAL, device=distance.device) * 0.75
    return torch.exp(-((distance.log2() - centres) / 0.75).square().clamp(max=-math.log(TINY)))
