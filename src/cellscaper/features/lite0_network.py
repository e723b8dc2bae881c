"""EfficientNet-Lite0 (Tan & Le, ICML 2019; the Lite variants of 2020) as a PyTorch module.

The Lite variants have ReLU6 in place of swish and no squeeze-and-excitation. Layers stand in the order of the public
weights, which are loaded by this order. Padding is TensorFlow's "same", so that any height and width will do.
"""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-3  # of batch normalisation
STAGES = (  # repeats, kernel, stride, expansion, channels (Tan & Le, Table 1, B0)
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD, CLASSES = 32, 1280, 1000


class SameConv2d(nn.Conv2d):
    """A convolution without bias whose output has ⌈side / stride⌉ pixels; an odd padding goes to the end."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        missing = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in (x.shape[-1], x.shape[-2])]
        return super().forward(F.pad(x, [part for one in missing for part in (one // 2, one - one // 2)]))


def normalised(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, activate: bool = True
) -> list[nn.Module]:
    """A convolution, batch norm and, if ``activate``, ReLU6."""
    layers = [SameConv2d(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs, eps=EPSILON)]
    return [*layers, nn.ReLU6()] if activate else layers


class Block(nn.Module):
    """Inverted residual (Sandler et al. 2018): expand, depthwise convolution, project; a shortcut if shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = inputs * expansion
        expand = normalised(inputs, wide) if expansion > 1 else []
        depthwise = normalised(wide, wide, kernel, stride, groups=wide)
        self.layers = nn.Sequential(*expand, *depthwise, *normalised(wide, outputs, activate=False))
        self.is_residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.is_residual else self.layers(x)


class Lite0(nn.Module):
    """Images (B, 3, H, W) on −1…1 → logits (B, 1000) of ImageNet; :meth:`maps` gives the features of the stages."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*normalised(3, STEM, 3, 2))
        inputs, stages = STEM, []
        for repeats, kernel, stride, expansion, channels in STAGES:
            blocks = []
            for number in range(repeats):
                blocks.append(Block(inputs, channels, kernel, stride if number == 0 else 1, expansion))
                inputs = channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.head = nn.Sequential(*normalised(inputs, HEAD))
        self.classes = nn.Linear(HEAD, CLASSES)

    def maps(self, x: Tensor, stages: int = len(STAGES)) -> Tensor:
        """Features after the first ``stages`` stages; after five (B, 112, ⌈H / 16⌉, ⌈W / 16⌉)."""
        x = self.stem(x)
        for stage in self.stages[:stages]:
            x = stage(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.classes(self.head(self.maps(x)).mean(dim=(2, 3)))


def named_alike(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Public weights under the names of :class:`Lite0`; ValueError if they do not fit one by one."""
    own = Lite0().state_dict()
    if len(own) != len(weights):
        raise ValueError(f"{len(weights)} tensors, expected {len(own)}")
    pairs = dict(zip(own, weights.values(), strict=True))
    wrong = [name for name, one in pairs.items() if own[name].shape != one.shape]
    if wrong:
        raise ValueError(f"tensor {wrong[0]} has the shape {tuple(pairs[wrong[0]].shape)}")
    return pairs
