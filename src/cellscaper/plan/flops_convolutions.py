"""The work of the feature networks and the detectors, by formula (`plan.flops`)."""

from typing import Any

from cellscaper.plan.flops_sizes import halved, map_side
from cellscaper.plan.layers import Layers

RGB = 3
VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions of each level
RESNET50 = (3, 4, 6, 3)  # bottlenecks of the four stages
CONTEXT = (6, 32)  # surroundings and hidden values of the second pass that names cells (detectors/auto_context.py)

# -- features ------------------------------------------------------------------------------------------------------


def autoencoder(settings: Any, classes: int) -> Layers:
    """The autoencoder of spatial-FID (`features.autoencoder`)."""
    width, depth, level, found = settings["width"], settings["depth"], settings["level"], Layers(wide=False)
    widths = [min(width, max(8, width >> max(level - k, 0))) for k in range(1, depth + 1)]
    side, before = map_side(settings["grid"]), classes
    for i, c in enumerate(widths):
        after = halved(side)
        found.conv(before, c, 3, after**2, side**2, bias=False, backward=1 if i == 0 else 2)
        found.norm(c, after**2, passes=5)
        found.conv(c, c, 3, after**2, bias=False)
        found.norm(c, after**2, passes=5)
        side, before = after, c
    for c in reversed(widths[:-1]):
        found.transposed(before, c, 4, side**2, 4 * side**2, bias=False)
        side, before = 2 * side, c
        found.norm(c, side**2, passes=5)
    found.transposed(before, classes, 4, side**2, 4 * side**2)
    _running_statistics(found, settings)
    found.buffers += sum(2 * c + 1 for c in [*widths, *widths, *widths[:-1]])
    return found


def _running_statistics(found: Layers, settings: Any) -> None:
    if settings["standardise"]:
        found.buffers += 2 * settings["width"] + 1


def resnet50(settings: Any, classes: int) -> Layers:
    """ResNet-50 as a fully convolutional network on layouts (`features.resnet50`)."""
    base, found = settings["width"] // 8, Layers(wide=False)
    side = map_side(settings["grid"])
    _convolution(found, classes, base, 7, halved(side), side, backward=1)
    side = halved(halved(side))  # behind the max-pool
    found.pointwise(base * 5 * side**2)
    before = base
    for k, bottlenecks in enumerate(RESNET50):
        inner = base * 2**k
        for i in range(bottlenecks):
            source, stride = side, k == 1 and i == 0
            side = halved(side) if stride else side
            _convolution(found, before, inner, 1, source)
            _convolution(found, inner, inner, 3, side, source)
            _convolution(found, inner, 4 * inner, 1, side)
            if before != 4 * inner or stride:
                _convolution(found, before, 4 * inner, 1, side, source)
            found.pointwise(3 * 4 * inner * side**2)
            before = 4 * inner
    _convolution(found, before, before // 4, 3, side)
    found.conv(before // 4, classes * 64, 1, side**2)
    _running_statistics(found, settings)
    return found


def _convolution(
    found: Layers, inputs: int, outputs: int, kernel: int, side: int, source: int | None = None, *, backward: int = 2
) -> None:
    """A convolution without bias and its batch norm, with the norm's running statistics."""
    found.conv(inputs, outputs, kernel, side**2, None if source is None else source**2, bias=False, backward=backward)
    found.norm(outputs, side**2, passes=5)
    found.buffers += 2 * outputs + 1


# -- detectors -----------------------------------------------------------------------------------------------------


def unet_detector(settings: Any, classes: int) -> Layers:
    """The U-Net that detects cells (`detectors.unet`)."""
    depth, found = settings["depth"], Layers(copies=True)
    widths = [settings["width"] * 2**level for level in range(depth + 1)]
    side, before = -(-settings["crop"] // 2**depth) * 2**depth, RGB
    for level, c in enumerate(widths):
        pixels = (side // 2**level) ** 2
        _unet_block(found, before, c, pixels, backward=1 if level == 0 else 2)
        before = c
    for level, c in reversed(list(enumerate(widths[:-1]))):
        pixels = (side // 2**level) ** 2
        found.transposed(before, c, 2, pixels // 4, pixels)
        found.pointwise(4 * c * pixels)
        _unet_block(found, 2 * c, c, pixels)
        before = c
    found.conv(before, classes + 1, 1, side**2)
    return found


def decoupled_detector(settings: Any, classes: int) -> Layers:
    """The decoupled detector (`detectors.decoupled`): its U-Net, and the second pass, which is learned at the end."""
    found = unet_detector(settings, classes)
    if settings["auto_context"]:
        surroundings, hidden = CONTEXT
        inputs = classes * (surroundings + 1) + 1
        found.parameters += (inputs + 1) * hidden + (hidden + 1) * classes
        found.buffers += 2 * inputs + 1
    return found


def _unet_block(found: Layers, inputs: int, outputs: int, pixels: int, *, backward: int = 2) -> None:
    found.conv(inputs, outputs, 3, pixels, bias=False, backward=backward)
    found.norm(outputs, pixels, passes=5)
    found.conv(outputs, outputs, 3, pixels, bias=False)
    found.norm(outputs, pixels, passes=5)


def mcspatnet(settings: Any, classes: int) -> Layers:
    """MCSpatNet (`detectors.mcspatnet_network`)."""

    def scaled(channels: int) -> int:
        return max(8, round(channels * settings["width"]))

    found = Layers()
    sizes = [(scaled(channels), n) for channels, n in VGG16]
    last, head = scaled(96), scaled(64)
    side, before = -(-settings["crop"] // 16) * 16, RGB

    def convolutions(inputs: int, outputs: int, n: int, pixels: int, backward: int = 2) -> None:
        for i in range(n):
            found.conv(inputs if i == 0 else outputs, outputs, 3, pixels, backward=backward if i == 0 else 2)
            if settings["norm"] == "group":
                found.norm(outputs, pixels, passes=5)
            else:
                found.pointwise(2 * outputs * pixels)

    for level, (channels, n) in enumerate(sizes):
        convolutions(before, channels, n, (side // 2**level) ** 2, backward=1 if level == 0 else 2)
        before = channels
    for level, (channels, _) in reversed(list(enumerate(sizes[1:-1], 1))):
        pixels = (side // 2**level) ** 2
        found.transposed(before, channels, 2, pixels // 4, pixels)
        found.pointwise(4 * channels * pixels)
        convolutions(2 * channels, channels, 2, pixels)
        before = channels
    found.transposed(before, last, 2, side**2 // 4, side**2)
    for outputs in (1, classes, classes * settings["clusters"], classes * len(settings["radii"])):
        convolutions(last, head, 2, side**2)
        found.conv(head, outputs, 1, side**2)
    return found
