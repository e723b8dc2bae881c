"""A second pass that names cells by what lies around them: auto-context (Tu 2008, CVPR) on the maps of a first network.

A detector that learns from small crops names a cell by its own look. What surrounds it says more: a lymphocyte stands
among lymphocytes, and a tissue without any has few. So a small network sees, at each pixel, the logarithms of the first
network's probabilities of each class as means over growing surroundings, up to the whole image, and corrects the names.
It is learned at the cells which the first network finds in its own training images. docs/results/detectors.md has
its gain.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cellscaper.layouts import Layout
from cellscaper.metrics.detection import match
from cellscaper.views.decoding import Cells
from cellscaper.views.pixels import pixels_of

SURROUNDINGS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # px, sd of the Gaussians over the maps
HIDDEN = 32
LEAST = 1e-4  # added to a probability before its logarithm
STEPS, LR, WEIGHT_DECAY = 300, 0.01, 0.01


class AutoContext(nn.Module):
    """Maps (B, 1 + C, H, W) of cells and their names → the names anew, (B, C, H, W) probabilities.

    Until :func:`learn` the names stay as they are; the first network's training leaves these weights alone.
    """

    learned: Tensor
    mean: Tensor
    sd: Tensor

    def __init__(self, classes: int):
        super().__init__()
        inputs = classes * (len(SURROUNDINGS) + 1) + 1
        self.register_buffer("learned", torch.tensor(False))
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("sd", torch.ones(inputs))
        self.layers = nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))
        self.requires_grad_(False)

    def logits(self, seen: Tensor) -> Tensor:
        """Of the names, (…, C), from :func:`surroundings` (…, inputs)."""
        return self.layers((seen - self.mean) / self.sd)

    def forward(self, maps: Tensor) -> Tensor:
        if not self.learned:
            return maps[:, 1:]
        return self.logits(surroundings(maps).movedim(1, -1)).movedim(-1, 1).softmax(1)


def surroundings(maps: Tensor) -> Tensor:
    """What the second pass sees of maps (B, 1 + C, H, W), (B, C · (surroundings + 1) + 1, H, W).

    The logarithm of P(class) = P(cell) · P(class | cell) after each Gaussian, and of its mean over the image; last
    P(cell) after the smallest Gaussian.
    """
    joint = maps[:, :1] * maps[:, 1:]
    whole = joint.mean((2, 3), keepdim=True).expand_as(joint)
    near = [blurred(joint, sd) for sd in SURROUNDINGS]
    seen = torch.cat([*near, whole], 1).clamp(min=0).add(LEAST).log()
    return torch.cat([seen, near[0].sum(1, keepdim=True)], 1)


def blurred(maps: Tensor, sd: float) -> Tensor:
    """Maps (B, C, H, W) after a Gaussian of ``sd`` px, which repeats their border; a wide one on means of blocks."""
    block = max(1, int(sd // 4))
    height, width = maps.shape[-2:]
    small = F.avg_pool2d(maps, block, ceil_mode=True, count_include_pad=False) if block > 1 else maps
    reach = round(3 * sd / block)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=maps.device) * block / sd) ** 2)
    weights = (weights / weights.sum()).to(maps.dtype)
    flat = F.pad(small.flatten(0, 1)[:, None], (reach,) * 4, mode="replicate")
    flat = F.conv2d(F.conv2d(flat, weights[None, None, :, None]), weights[None, None, None, :])
    soft = flat[:, 0].unflatten(0, maps.shape[:2])
    if block > 1:
        soft = F.interpolate(soft, scale_factor=float(block), mode="bilinear")[..., :height, :width]
    return soft


def learn(
    second: AutoContext,
    maps: Iterable[Tensor],
    layouts: Iterable[Layout],
    read: Callable[[NDArray[np.floating]], Cells],
) -> int:
    """Learn ``second`` from the first network's maps (1, 1 + C, H, W) of its training images; the same for the same.

    A cell that ``read`` finds has the name of the cell of ``layouts`` that it matches (one to one, within 6 px); what
    matches none is left out. Returns the number of cells learned from; with none ``second`` stays as it is.
    """
    pairs = [_matched(found, layout, read) for found, layout in zip(maps, layouts, strict=True)]
    seen, names = (torch.cat(part) for part in zip(*pairs, strict=True))
    if not len(names):
        return 0
    second.mean.copy_(seen.mean(0))
    second.sd.copy_(seen.std(0, correction=0).clamp(min=1e-6))
    with torch.enable_grad():
        second.requires_grad_(True)
        optimizer = torch.optim.AdamW(second.parameters(), LR, weight_decay=WEIGHT_DECAY)
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = LR * (1 - step / STEPS)
            optimizer.zero_grad()
            F.cross_entropy(second.logits(seen), names).backward()
            optimizer.step()
        second.requires_grad_(False)
    second.learned.fill_(True)
    return len(names)


def _matched(maps: Tensor, layout: Layout, read: Callable[[NDArray[np.floating]], Cells]) -> tuple[Tensor, Tensor]:
    """Surroundings (N, inputs) and true names (N,) of the cells in maps that match one of the layout."""
    points, _ = read(maps[0].cpu().numpy())
    true, found = match(layout.points, points).T
    y, x = pixels_of(points[found], maps.shape[-2:]).T
    names = torch.from_numpy(layout.labels[true].astype(np.int64)).to(maps.device)
    return surroundings(maps)[0, :, y, x].T, names
