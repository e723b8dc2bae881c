"""The condition of a layout: per-class cell counts, turned into a vector that is added to the timestep embedding.

Every condition takes counts (B, C) and derives its own quantities, so that training and sampling code is the same
for all conditions (papers: Spatial Diffusion conditions on a category of the total, TopoCellGen on the counts).
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cellscaper.diffusion.settings import CategoryCondition, CountsCondition, Unconditional
from cellscaper.errors import CellscaperError


class NoCondition(nn.Module):
    """Unconditional: zeros (B, width), no parameters."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width

    def forward(self, counts: Tensor) -> Tensor:
        """counts (B, C) → (B, width)."""
        return torch.zeros(len(counts), self.width, device=counts.device)


class CountCategory(nn.Module):
    """A learned vector for each of K categories of the total count (Spatial Diffusion)."""

    edges: Tensor

    def __init__(self, edges: Sequence[float], width: int):
        super().__init__()
        self.register_buffer("edges", torch.tensor(edges, dtype=torch.float32))
        self.embed = nn.Embedding(len(edges) + 1, width)

    def category(self, counts: Tensor) -> Tensor:
        """counts (B, C) → (B,) int64: the number of edges that are at most the total, 0 … K-1."""
        return torch.bucketize(counts.sum(dim=1).float(), self.edges, right=True)

    def forward(self, counts: Tensor) -> Tensor:
        """counts (B, C) → (B, width)."""
        return self.embed(self.category(counts))


WITHHELD = -1.0  # in place of the counts of a crop: the network is not told them


class ClassCounts(nn.Module):
    """An MLP (linear, SiLU, linear) of the per-class counts divided by ``scale`` (TopoCellGen).

    With ``drop`` there is a learned vector for withheld counts, as classifier-free guidance needs it (Ho and Salimans
    2022).
    """

    def __init__(self, classes: int, width: int, scale: float, drop: float = 0.0):
        super().__init__()
        self.scale = scale
        self.mlp = nn.Sequential(nn.Linear(classes, width), nn.SiLU(), nn.Linear(width, width))
        self.withheld = nn.Parameter(torch.zeros(width)) if drop else None

    def forward(self, counts: Tensor) -> Tensor:
        """counts (B, C), rows of ``WITHHELD`` for withheld ones → (B, width)."""
        told = self.mlp(counts.float() / self.scale)
        return told if self.withheld is None else torch.where(counts[:, :1] == WITHHELD, self.withheld, told)


def withhold(counts: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Counts (B, C), each row withheld with probability ``share``; no number is drawn for 0."""
    if not share:
        return counts
    return torch.where(torch.rand((len(counts), 1), generator=generator) < share, WITHHELD, counts)


class Denoiser(nn.Module):
    """A U-Net with its condition: one module to train, average and store."""

    def __init__(self, net: nn.Module, condition: nn.Module):
        super().__init__()
        self.net, self.condition = net, condition

    def forward(self, x: Tensor, t: Tensor, counts: Tensor) -> Tensor:
        """x (B, C_in, H, W), t (B,) int64, counts (B, C) cells of each class → (B, C_out, H, W)."""
        return self.net(x, t, self.condition(counts))


def make_condition(
    settings: Unconditional | CategoryCondition | CountsCondition, classes: int, width: int
) -> nn.Module:
    """The module of a condition, which maps counts (B, classes) to (B, width).

    The edges of count categories must be numbers (`views.training_crops.category_edges` finds quantiles).
    CellscaperError if they do not fit the number of categories.
    """
    if isinstance(settings, Unconditional):
        return NoCondition(width)
    if isinstance(settings, CountsCondition):
        return ClassCounts(classes, width, settings.scale, settings.drop)
    if settings.edges == "quantiles":
        raise CellscaperError("count categories by quantiles: their edges are found from the training crops first")
    edges, categories = [float(edge) for edge in settings.edges], settings.categories
    if len(edges) != categories - 1 or any(b <= a for a, b in itertools.pairwise(edges)):
        raise CellscaperError(f"{categories} count categories need {categories - 1} rising edges, not {edges}")
    return CountCategory(edges, width)
