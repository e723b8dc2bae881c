"""The plain U-Net (Ronneberger et al., MICCAI 2015) that segments dilated dots by class (papers.md section 8)."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cellscaper.errors import CellscaperError


class UNet(nn.Module):
    """Images (B, 3, H, W) from :func:`to_input` → logits (B, classes + 1, H, W); channel 0 is background.

    ``width`` channels at full resolution, doubled at each of ``depth`` halvings. Differs from the paper in
    group normalisation, padded convolutions, and any H, W: the input is padded to a multiple of 2^depth by
    repeating its border, the output is cut back.
    """

    def __init__(self, classes: int, width: int, depth: int):
        super().__init__()
        if classes < 1 or width < 1 or depth < 1:
            raise CellscaperError(f"U-Net: {classes} classes, width {width}, depth {depth} must all be at least 1")
        widths = [width * 2**level for level in range(depth + 1)]
        self.multiple = 2**depth
        self.down = nn.ModuleList(_block(a, b) for a, b in pairwise([3, *widths]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.merge = nn.ModuleList(_block(2 * a, a) for a in widths[:-1])
        self.head = nn.Conv2d(width, classes + 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        x = F.pad(images, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")
        skips = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)  # (B, width · 2^level, H / 2^level, W / 2^level)
        skips.pop()
        for up, merge in zip(reversed(self.up), reversed(self.merge), strict=True):
            x = merge(torch.cat([skips.pop(), up(x)], dim=1))
        return self.head(x)[..., :height, :width]


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(math.gcd(8, outputs), outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def channels_first(image: NDArray[np.uint8] | Tensor) -> Tensor:
    """Image (H, W, 3), array or tensor on the CPU → its own tensor (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(image), -1, 0)))


def to_input(images: Tensor) -> Tensor:
    """RGB (…, 3, H, W), uint8 or float on 0…255 → the network's input on −1…1."""
    return images.float() / 127.5 - 1


def build(settings: Mapping[str, Any], classes: int) -> UNet:
    """The network of a detector's config block: ``width`` and ``depth``."""
    return UNet(classes, settings["width"], settings["depth"])
