"""The network of MCSpatNet: a VGG-16 encoder, a U-Net decoder and four heads (docs/methods.md, section 8.1).

Its input is normalised by ImageNet's mean and deviation, as torchvision's weights expect. It stays so with He's
initialisation, which assumes values of about unit square: on the training images of BRCA-M2C the normalised channels
have means of 0.5 to 1.4 and deviations of 0.8 to 0.9.
"""

import math
from collections.abc import Iterator, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cellscaper.errors import CellscaperError
from cellscaper.run.progress import log

VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions of each level
LAST, HEAD = 96, 64  # channels of the decoder's end and of each head
MULTIPLE = 2 ** (len(VGG16) - 1)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, RGB on 0…1
K_SCALE = 100.0  # cells: divisor of the targets of the K head


class MCSpatNet(nn.Module):
    """Images (B, 3, H, W) on −1…1 → raw outputs of all heads, (B, 1 + C + C·clusters + C·radii, H, W) in this order.

    ``width`` multiplies all channels (at least 8 remain). ``norm``: none (paper) | group, after each convolution.
    Any H, W: the input is padded to a multiple of 16 by repeating its border, the output is cut back.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, classes: int, clusters: int, radii: int, width: float, norm: str, dropout: float):
        super().__init__()
        if min(classes, clusters, radii) < 1 or width <= 0:
            raise CellscaperError(
                f"MCSpatNet: {classes} classes, {clusters} clusters, {radii} radii, width {width} must all be above 0"
            )
        sizes = [(_scaled(channels, width), n) for channels, n in VGG16]
        last, head = _scaled(LAST, width), _scaled(HEAD, width)
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.seen = 2 * head  # channels of `cell_features`
        self.outputs = (1, classes, classes * clusters, classes * radii)
        self.down, before = nn.ModuleList(), 3
        for level, (channels, n) in enumerate(sizes):
            pool = [nn.MaxPool2d(2), nn.Dropout(dropout)] if level else []
            self.down.append(nn.Sequential(*pool, *_convolutions(before, channels, n, norm)))
            before = channels
        self.up, self.merge = nn.ModuleList(), nn.ModuleList()
        for channels, _ in reversed(sizes[1:-1]):
            self.up.append(nn.ConvTranspose2d(before, channels, 2, stride=2))
            self.merge.append(nn.Sequential(*_convolutions(2 * channels, channels, 2, norm)))
            before = channels
        self.up.append(nn.ConvTranspose2d(before, last, 2, stride=2))  # to full resolution, without a skip
        self.features = nn.ModuleList(nn.Sequential(*_convolutions(last, head, 2, norm)) for _ in self.outputs)
        self.heads = nn.ModuleList(nn.Conv2d(head, n, 1) for n in self.outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor, heads: Sequence[int] = (0, 1, 2, 3)) -> Tensor:
        x, (height, width) = self._decode(images), images.shape[-2:]
        return torch.cat([self.heads[i](self.features[i](x)) for i in heads], dim=1)[..., :height, :width]

    def cell_features(self, images: Tensor) -> Tensor:
        """Features (B, 2·head channels, H, W) of the sub-class and the K head, for the k-means of sub-classes."""
        x, (height, width) = self._decode(images), images.shape[-2:]
        return torch.cat([self.features[i](x) for i in (2, 3)], dim=1)[..., :height, :width]

    def _decode(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        x = ((images + 1) / 2 - self.mean) / self.deviation
        x = F.pad(x, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)  # (B, channels, H / 2^level, W / 2^level)
        for up, merge, skip in zip(self.up, self.merge, reversed(skips[1:-1]), strict=False):
            x = merge(torch.cat([skip, up(x)], dim=1))
        return self.up[-1](x)

    def split(self, outputs: Tensor) -> tuple[Tensor, ...]:
        """Outputs of all heads → one tensor a head; the K head squared: edge-corrected cells / K_SCALE."""
        detection, label, subclass, k = outputs.float().split(self.outputs, dim=1)
        return detection, label, subclass, k.square()


def _scaled(channels: int, width: float) -> int:
    return max(8, round(channels * width))


def _convolutions(inputs: int, outputs: int, n: int, norm: str) -> Iterator[nn.Module]:
    for channels in [inputs, *[outputs] * (n - 1)]:
        yield nn.Conv2d(channels, outputs, 3, padding=1)
        if norm == "group":
            yield nn.GroupNorm(math.gcd(8, outputs), outputs)
        yield nn.ReLU(inplace=True)


def imagenet_encoder() -> nn.Sequential | None:
    """torchvision's VGG-16 with ImageNet weights, fetched once; None, with a log line, if it is impossible."""
    try:
        from torchvision.models import VGG16_Weights, vgg16

        return cast(nn.Sequential, vgg16(weights=VGG16_Weights.IMAGENET1K_V1).features)
    except Exception as error:  # not installed, not compatible with this torch, no network: each has its own type
        reason = (str(error) or type(error).__name__).splitlines()[0]
        log(f"MCSpatNet: no ImageNet weights from torchvision ({reason}); He initialisation")
        return None


def load_imagenet(model: MCSpatNet) -> bool:
    """Put torchvision's ImageNet weights of VGG-16 into the encoder; False, with a log line, if it is impossible."""
    mine = [module for module in model.down.modules() if isinstance(module, nn.Conv2d)]
    if [module.out_channels for module in mine] != [channels for channels, n in VGG16 for _ in range(n)]:
        log("MCSpatNet: ImageNet weights fit width 1 only; He initialisation")
        return False
    theirs = imagenet_encoder()
    if theirs is None:
        return False
    for one, other in zip(mine, (m for m in theirs if isinstance(m, nn.Conv2d)), strict=True):
        one.load_state_dict(other.state_dict())
    return True
