"""ResNet-50 (He et al., CVPR 2016) as a fully convolutional network on layouts: the released evaluation of TC.

The released code loads weights that are not public and does not say what they were trained for. Here the network
learns what the autoencoder learns, to draw the layout again. Features: the output of the second stage (conv3_x),
3×3 max-pool of stride 2, global average (papers.md section 9).
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from cellscaper.errors import CellscaperError
from cellscaper.features.network import FeatureNetwork, convolution, global_average

BLOCKS = (3, 4, 6, 3)  # bottlenecks of the four stages (He et al., Table 1)
EXPANSION = 4
STRIDE = 8  # of all that follows the second stage


class Bottleneck(nn.Module):
    """1×1, 3×3 (with the stride) and 1×1 convolutions around a shortcut: ``inputs`` → 4 · ``width`` channels."""

    def __init__(self, inputs: int, width: int, stride: int = 1, dilation: int = 1):
        super().__init__()
        outputs = EXPANSION * width
        self.body = nn.Sequential(
            convolution(inputs, width, 1),
            nn.ReLU(inplace=True),
            convolution(width, width, 3, stride, dilation),
            nn.ReLU(inplace=True),
            convolution(width, outputs, 1),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else convolution(inputs, outputs, 1, stride)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.shortcut(x))


def build(section: Mapping[str, Any], classes: int) -> FeatureNetwork:
    """The network of a config block with ``width`` features: 512 is ResNet-50, other multiples of 8 scale its channels.

    Stages 3 and 4 are dilated instead of strided, as fully convolutional ResNets are, and a head of sub-pixel
    convolutions draws at full resolution: bilinear upsampling of stride 8 cannot place a marker of 1 or 3 pixels.
    """
    width = section["width"]
    if width < 8 or width % 8:
        raise CellscaperError(f"resnet50: width {width} must be a multiple of 8, 512 for ResNet-50 itself")
    base = width // 8
    channels = [base, *(EXPANSION * base * 2**k for k in range(4))]  # after the stem and each stage
    stem = (convolution(classes, base, 7, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1))
    return FeatureNetwork(
        encoder=nn.Sequential(*stem, _stage(channels, 0), _stage(channels, 1, stride=2)),
        decoder=nn.Sequential(
            _stage(channels, 2, dilation=2), _stage(channels, 3, dilation=4), _head(channels[4], classes)
        ),
        pool=nn.Sequential(nn.MaxPool2d(3, stride=2, padding=1), *global_average()),
        features=width,
    )


def _stage(channels: list[int], k: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    inputs, outputs = channels[k], channels[k + 1]
    first = Bottleneck(inputs, outputs // EXPANSION, stride, dilation)
    rest = (Bottleneck(outputs, outputs // EXPANSION, 1, dilation) for _ in range(BLOCKS[k] - 1))
    return nn.Sequential(first, *rest)


def _head(inputs: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        convolution(inputs, inputs // 4),
        nn.ReLU(inplace=True),
        nn.Conv2d(inputs // 4, classes * STRIDE**2, 1),
        nn.PixelShuffle(STRIDE),
    )
