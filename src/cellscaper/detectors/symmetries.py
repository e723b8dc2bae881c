"""Maps of any detector as means over the square's eight symmetries: eight times the time, steadier cells."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cellscaper.views.symmetries import EIGHT


def over_symmetries(maps: Callable[[nn.Module, Tensor], Tensor]) -> Callable[[nn.Module, Tensor], Tensor]:
    """The function ``maps`` (a detector's), whose result turns and flips with its input (B, 3, H, W)."""

    def mean(model: nn.Module, inputs: Tensor) -> Tensor:
        total = torch.zeros(())
        for symmetry in EIGHT:
            total = total + _turned_back(maps(model, _turned(inputs, symmetry)), symmetry)
        return total / len(EIGHT)

    return mean


def _turned(images: Tensor, symmetry: int) -> Tensor:
    """Bit 1 mirrors y, bit 2 mirrors x, bit 4 then swaps the axes, as `views.symmetries.transform` turns points."""
    axes = [axis for bit, axis in ((0, -2), (1, -1)) if symmetry >> bit & 1]
    flipped = images.flip(axes) if axes else images
    return flipped.mT if symmetry & 4 else flipped


def _turned_back(images: Tensor, symmetry: int) -> Tensor:
    swapped = images.mT if symmetry & 4 else images
    axes = [axis for bit, axis in ((0, -2), (1, -1)) if symmetry >> bit & 1]
    return swapped.flip(axes) if axes else swapped
