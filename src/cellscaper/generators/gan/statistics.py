"""The statistics that the TMCCG-style generator must match besides counts: cross K-functions and persistence of holes.

Both are differentiable functions of the coordinates: K counts pairs softly, and each birth and death of a hole is a
function of two or three points (``topology/alpha.py``).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cellscaper.topology.alpha import alpha_losses, alpha_pairs_of_all

SOFTNESS = 1.0  # px: width of the step at each radius
HOLES = 6  # holes of each class, and of all cells, in a description: the most persistent ones
HOLE_SCALE = 16.0  # px
COUNT_SCALE = 50.0  # cells


class Pattern(NamedTuple):
    """B layouts padded to N cells: points (B, N, 2) px in the region, labels (B, N) int64, mask (B, N) bool."""

    points: Tensor
    labels: Tensor
    mask: Tensor

    def one_hot(self, classes: int) -> Tensor:
        """(B, N, C) float: the class of each cell, 0 for padding."""
        return F.one_hot(self.labels, classes) * self.mask[..., None].to(self.points.dtype)


def distances(points: Tensor) -> Tensor:
    """(B, N, N) px, with a gradient that is zero instead of NaN where points coincide."""
    return ((points[:, :, None] - points[:, None]).square().sum(-1) + 1e-12).sqrt()


def l_functions(pattern: Pattern, classes: int, radii: Sequence[float], region: int) -> tuple[Tensor, Tensor]:
    """Besag's L = √(K/π) in px for all class pairs, (B, C, C, R), and whether each is defined, (B, C, C) bool.

    Ordered pairs of different cells within r are counted softly. There is no edge correction, because both sides of a
    comparison have the same window. L is 0 where a layout lacks a pair.
    """
    near = ((pattern.points.new_tensor(radii) - distances(pattern.points)[..., None]) / SOFTNESS).sigmoid()
    near = near * (1 - torch.eye(near.shape[1], device=near.device, dtype=near.dtype))[..., None]
    cells = pattern.one_hot(classes)
    pairs = torch.einsum("bna,bnmr,bmc->bacr", cells, near, cells)
    n = cells.sum(dim=1)  # (B, C)
    possible = n[:, :, None] * n[:, None] - torch.diag_embed(n)
    k = pairs * region**2 / possible.clamp(min=1)[..., None]
    defined = possible > 0
    return ((k + 1e-6) / np.pi).sqrt() * defined[..., None], defined


def k_loss(found: Pattern, wanted: Pattern, classes: int, radii: Sequence[float], region: int) -> Tensor:
    """Mean of |L − L wanted| / r over radii and defined class pairs; both sides have the same counts."""
    one, defined = l_functions(found, classes, radii, region)
    other, _ = l_functions(wanted, classes, radii, region)
    error = ((one - other).abs() / one.new_tensor(radii)).mean(dim=-1)
    return (error * defined).sum() / defined.sum().clamp(min=1)


def by_class(pattern: Pattern, classes: int) -> list[Tensor]:
    """Points (n, 2) of each class of each layout, and of all its cells: B · (C + 1) sets, layout by layout."""
    sets = []
    for points, labels, mask in zip(*pattern, strict=True):
        sets += [points[mask & (labels == label)] for label in range(classes)] + [points[mask]]
    return sets


def diagrams(pattern: Pattern, classes: int) -> list[NDArray[np.float64]]:
    """Births and deaths (k, 2) px of the sets of :func:`by_class`."""
    sets = [one.detach().cpu().double().numpy() for one in by_class(pattern, classes)]
    return [holes.diagram for holes in alpha_pairs_of_all(sets)]


def hole_loss(found: Pattern, wanted: Sequence[NDArray], classes: int) -> Tensor:
    """Squared Wasserstein-2 distance to the wanted diagrams, divided by theirs to the empty diagram (at least 1 px²).

    Mean over the sets whose wanted diagram has holes: 0 where all holes match, about 1 for layouts without holes.
    """
    size = np.array([((one[:, 1] - one[:, 0]) ** 2).sum() / 2 for one in wanted])
    distance = alpha_losses(by_class(found, classes), wanted)
    keep = torch.from_numpy(size > 0).to(distance.device)
    scaled = distance / torch.from_numpy(np.maximum(size, 1.0)).to(distance)
    return (scaled * keep).sum() / keep.sum().clamp(min=1)


def describe(pattern: Pattern, wanted: Sequence[NDArray], classes: int, radii: Sequence[float], region: int) -> Tensor:
    """(B, D) the condition: counts, L/r − 1 of the unordered class pairs (0 where undefined), the largest holes.

    For each class and for all cells: the number of holes, and persistence and death of the HOLES most persistent ones.
    """
    found, defined = l_functions(pattern, classes, radii, region)
    upper = torch.triu_indices(classes, classes)
    shape = (found / found.new_tensor(radii) - 1) * defined[..., None]
    shape = shape[:, upper[0], upper[1]].flatten(1)
    counts = pattern.one_hot(classes).sum(dim=1) / COUNT_SCALE
    holes = np.stack([_largest(one) for one in wanted]).reshape(len(counts), -1)
    return torch.cat([counts, shape, torch.from_numpy(holes).to(counts)], dim=1)


def condition_size(classes: int, radii: int) -> int:
    """D of :func:`describe`."""
    return classes + classes * (classes + 1) // 2 * radii + (classes + 1) * (1 + 2 * HOLES)


def condition_labels(classes: Sequence[str], radii: int) -> list[object]:
    """What each of the D numbers of :func:`describe` belongs to: a class, a pair of classes, or all cells (None)."""
    pairs = [tuple(sorted((one, other))) for i, one in enumerate(classes) for other in classes[i:]]
    holes = [("holes", name, k) for name in [*classes, None] for k in range(1 + 2 * HOLES)]
    return [*classes, *((pair, k) for pair in pairs for k in range(radii)), *holes]


def _largest(diagram: NDArray) -> NDArray[np.float64]:
    found = np.zeros((HOLES, 2))
    order = np.argsort(diagram[:, 0] - diagram[:, 1], kind="stable")[:HOLES]
    found[: len(order)] = np.stack([diagram[order, 1] - diagram[order, 0], diagram[order, 1]], axis=1) / HOLE_SCALE
    return np.concatenate([[len(diagram) / COUNT_SCALE], found.ravel()])
