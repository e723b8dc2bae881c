"""The fully convolutional autoencoder of spatial-FID (SD section 3); its layers are ours, the paper gives none.

Features come from the middle of the encoder: its first level hardly tells real from uniform layouts, its deepest
less well than the middle (docs/decisions.md has the numbers).
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from torch import nn

from cellscaper.errors import CellscaperError
from cellscaper.features.network import FeatureNetwork, convolution, global_average


def build(section: Mapping[str, Any], classes: int) -> FeatureNetwork:
    """The network of a config block: ``width`` features at halving ``level`` of ``depth``.

    Level k has width / 2^(level − k) channels before ``level`` (at least 8, at most ``width``), and ``width`` from
    there on. The bottleneck is the only way from the encoder to the decoder.
    """
    width, depth, level = section["width"], section["depth"], section["level"]
    if not (width >= 1 and 1 <= level < depth):
        raise CellscaperError(
            f"autoencoder: width {width}, level {level}, depth {depth}: expected width ≥ 1 and 1 ≤ level < depth"
        )
    widths = [min(width, max(8, width >> max(level - k, 0))) for k in range(1, depth + 1)]
    down = [_halve(a, b) for a, b in pairwise([classes, *widths])]
    up = [_double(b, a) for a, b in pairwise(widths)][::-1]
    head = nn.ConvTranspose2d(widths[0], classes, 4, stride=2, padding=1)
    return FeatureNetwork(
        encoder=nn.Sequential(*down[:level]),
        decoder=nn.Sequential(*down[level:], *up, head),
        pool=global_average(),
        features=width,
    )


def _halve(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        convolution(inputs, outputs, stride=2),
        nn.ReLU(inplace=True),
        convolution(outputs, outputs),
        nn.ReLU(inplace=True),
    )


def _double(inputs: int, outputs: int) -> nn.Sequential:
    up = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(up, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
