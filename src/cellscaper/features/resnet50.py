"""ResNet-50 (He et al., CVPR 2016) as a fully convolutional network on layouts: the released evaluation of TC.

The released code loads weights that are not public, and their training is unknown. Here the network learns the same
task as the autoencoder, to reconstruct the layout. Features: the output of the second stage (conv3_x), upsampled to the
input's size as torchvision's fully convolutional networks do, 3×3 max-pool of stride 2 without padding, global average,
not standardised (docs/methods.md, section 9.1).
"""

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from cellscaper.features.network import FeatureNetwork, convolution
from cellscaper.run.settings import Settings as Base
from cellscaper.run.settings import Small
from cellscaper.training.settings import Training
from cellscaper.views.grid import Grid

SCORE = "spatial_fid_released"  # name of the score that compares its features
LABEL = "FID released"  # label of that score in tables
BLOCKS = (3, 4, 6, 3)  # bottlenecks of the four stages (He et al., Table 1)
EXPANSION = 4
STRIDE = 8  # stride of all layers after the second stage


class Settings(Base):
    """The network, its input and its training."""

    grid: Grid = Field(Grid(256), description="raster of the layouts that the network sees")
    small: Small = Field("error", description="training images smaller than the region: an error, or left out")
    width: int = Field(
        512, ge=8, multiple_of=8, description="features of a layout: 512 is ResNet-50, other multiples of 8 scale it"
    )
    standardise: bool = Field(
        False, description="features in units of their standard deviation over training crops; false: raw (released)"
    )
    training: Training = Field(
        Training(steps=20000, batch=32, lr=1e-3, ema=0.0, precision="bf16", grad_clip=1.0),
        description="optimizer, precision and saving",
    )


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


class UpsampledPool(nn.Module):
    """Maps (B, F, h, w) of stride 8 → features (B, F): upsampled to the input's size, max-pooled, averaged.

    One sample at a time: 512 maps of 256 × 256 px take 134 MB.
    """

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.cat([self._pooled(one[None]) for one in hidden])

    @staticmethod
    def _pooled(hidden: Tensor) -> Tensor:
        fine = F.interpolate(hidden, scale_factor=STRIDE, mode="bilinear", align_corners=False)
        return F.max_pool2d(fine, 3, stride=2).mean(dim=(2, 3))


def build(settings: Settings, classes: int) -> FeatureNetwork:
    """The network with ``width`` features: 512 is ResNet-50, other multiples of 8 scale its channels.

    Stages 3 and 4 are dilated instead of strided, as in fully convolutional ResNets. A head of sub-pixel convolutions
    gives full resolution, because bilinear upsampling of stride 8 cannot place a marker of 1 or 3 pixels.
    """
    base = settings.width // 8
    channels = [base, *(EXPANSION * base * 2**k for k in range(4))]  # after the stem and each stage
    stem = (convolution(classes, base, 7, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1))
    return FeatureNetwork(
        encoder=nn.Sequential(*stem, _stage(channels, 0), _stage(channels, 1, stride=2)),
        decoder=nn.Sequential(
            _stage(channels, 2, dilation=2), _stage(channels, 3, dilation=4), _head(channels[4], classes)
        ),
        pool=UpsampledPool(),
        features=settings.width,
        standardise=settings.standardise,
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
