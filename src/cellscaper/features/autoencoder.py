"""The fully convolutional autoencoder of spatial-FID (SD section 3). The paper gives no layers; these are ours.

Features come from the middle of the encoder. Its first level hardly separates real from uniform layouts, its deepest
level separates them less well than the middle (docs/results/metrics.md has the numbers).
"""

from itertools import pairwise

from pydantic import Field
from torch import nn

from cellscaper.errors import CellscaperError
from cellscaper.features.network import FeatureNetwork, convolution, global_average
from cellscaper.run.settings import Count, Small
from cellscaper.run.settings import Settings as Base
from cellscaper.training.settings import Training
from cellscaper.views.grid import Grid

SCORE = "spatial_fid"  # name of the score that compares its features
LABEL = "FID"  # label of that score in tables


class Settings(Base):
    """The autoencoder, its input and its training."""

    grid: Grid = Field(Grid(256), description="raster of the layouts that the network sees")
    small: Small = Field("error", description="training images smaller than the region: an error, or left out")
    width: Count = Field(128, description="features of a layout: fewer than layouts on each side")
    depth: Count = Field(6, description="halvings down to the bottleneck")
    level: Count = Field(4, description="halvings before the features: at 4 a feature pixel is 16 raster pixels wide")
    standardise: bool = Field(
        True, description="features in units of their standard deviation over training crops (ours); false: raw (SD)"
    )
    training: Training = Field(
        Training(steps=20000, batch=32, lr=1e-3, ema=0.0, precision="bf16", grad_clip=1.0),
        description="optimizer, precision and saving",
    )


def build(settings: Settings, classes: int) -> FeatureNetwork:
    """The network with ``width`` features at halving ``level`` of ``depth``.

    Level k has width / 2^(level − k) channels before ``level`` (at least 8, at most ``width``), and ``width`` from
    there on. There are no skip connections around the bottleneck.
    """
    width, depth, level = settings.width, settings.depth, settings.level
    if level >= depth:
        raise CellscaperError(f"autoencoder: level {level}, depth {depth}: expected a level below the depth; lower it")
    widths = [min(width, max(8, width >> max(level - k, 0))) for k in range(1, depth + 1)]
    down = [_halve(a, b) for a, b in pairwise([classes, *widths])]
    up = [_double(b, a) for a, b in pairwise(widths)][::-1]
    head = nn.ConvTranspose2d(widths[0], classes, 4, stride=2, padding=1)
    return FeatureNetwork(
        encoder=nn.Sequential(*down[:level]),
        decoder=nn.Sequential(*down[level:], *up, head),
        pool=global_average(),
        features=width,
        standardise=settings.standardise,
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
