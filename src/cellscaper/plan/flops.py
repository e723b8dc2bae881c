"""The work of each method's networks, by formula from the settings of the configuration alone (`plan.layers`).

The tests compare parameters and FLOPs with the networks themselves and torch's own counter. A method without an entry
in NETWORKS has no formula, and `cellscaper plan` names it as not counted.
"""

from collections.abc import Callable
from typing import Any

from cellscaper.plan.flops_convolutions import autoencoder, decoupled_detector, mcspatnet, resnet50, unet_detector
from cellscaper.plan.flops_points import point_diffusion, tmccg
from cellscaper.plan.flops_sizes import cells, map_side
from cellscaper.plan.layers import Layers

RGB = 3
WIDE_NORMS = False  # ADM's U-Net calls its group norms in bf16, outside autocast (diffusion/unet.py)
WAVES = 24  # features of a position: sines and cosines of 6 frequencies, of y and x (diffusion/unet.py)


def unet(net: Any, side: int, inputs: int, outputs: int, context: int | None = None, tokens: int = 0) -> Layers:
    """ADM's U-Net (`diffusion.unet`) of ``settings.network`` for maps of ``side`` pixels.

    ``context``: width of the tokens of cross-attention, ``tokens``: their number.
    """
    found, fold, c0 = Layers(WIDE_NORMS, copies=True), net["fold"], net["channels"]
    width, inner = 4 * c0, side // fold
    widths = [c0 * one for one in net["multipliers"]]
    found.linear(c0, width, backward=1)
    found.linear(width, width)
    found.conv(inputs * fold**2, widths[0], 3, inner**2, backward=1)

    def attended(c: int, pixels: int) -> None:
        _attention(found, c, pixels)
        if context is not None:
            _cross_attention(found, c, pixels, context, tokens)

    def residual(a: int, b: int, pixels: int, resample: str | None = None) -> None:
        _residual(found, net, a, b, width, pixels, resample)

    def resampled(c: int, pixels: int, how: str) -> None:
        if net["resample_in_blocks"]:
            residual(c, c, pixels, how)
        else:
            with found.block():
                found.conv(c, c, 3, pixels // 4 if how == "down" else pixels * 4, pixels)

    c, skips = widths[0], [widths[0]]
    for level, b in enumerate(widths):
        pixels = (inner // 2**level) ** 2
        for _ in range(net["blocks"]):
            residual(c, b, pixels)
            if inner // 2**level in net["attention"]:
                attended(b, pixels)
            c = b
            skips.append(c)
        if level < len(widths) - 1:
            resampled(c, pixels, "down")
            skips.append(c)
    pixels = (inner // 2 ** (len(widths) - 1)) ** 2
    residual(c, c, pixels)
    attended(c, pixels)
    residual(c, c, pixels)
    for level, b in reversed(list(enumerate(widths))):
        pixels = (inner // 2**level) ** 2
        for i in range(net["blocks"] + 1):
            joined = c + skips.pop()
            found.pointwise(2 * joined * pixels)
            residual(joined, b, pixels)
            if inner // 2**level in net["attention"]:
                attended(b, pixels)
            c = b
            if level > 0 and i == net["blocks"]:
                resampled(c, pixels, "up")
    found.norm(c, inner**2, passes=5)
    found.conv(c, outputs * fold**2, 3, inner**2, full=True)
    return found


def _residual(found: Layers, net: Any, a: int, b: int, width: int, pixels: int, resample: str | None) -> None:
    after = {None: pixels, "down": pixels // 4, "up": pixels * 4}[resample]
    with found.block():
        found.norm(a, pixels, passes=5)
        if resample is not None:
            found.pointwise(2 * a * (pixels + after))
        found.conv(a, b, 3, after)
        found.linear(width, 2 * b if net["scale_shift"] else b)
        found.norm(b, after, passes=7)
        if a != b:
            found.conv(a, b, 1, after)
        found.conv(b, b, 3, after)
        found.pointwise(3 * b * after)


def _attention(found: Layers, c: int, pixels: int) -> None:
    with found.block():
        found.norm(c, pixels, passes=5)
        found.linear(c, 3 * c, pixels)
        found.attention(pixels, pixels, c)
        found.pointwise(2 * c * pixels)
        found.linear(c, c, pixels)
        found.pointwise(3 * c * pixels)


def _cross_attention(found: Layers, c: int, pixels: int, context: int, tokens: int) -> None:
    with found.block():
        found.norm(c, pixels, passes=5)
        found.linear(c + WAVES, c, pixels)
        found.linear(context, 2 * c, tokens)
        found.attention(pixels, tokens, c)
        found.pointwise(2 * c * pixels)
        found.linear(c, c, pixels)
        found.pointwise(3 * c * pixels)


def layout_maps(recipe: Any, classes: int) -> Layers:
    """A diffusion on layout maps (`generators.maps.engine`): U-Net and condition; ``recipe`` is train_layout's."""
    settings, condition = recipe["settings"], recipe["condition"]
    channels = 2 * classes if "density" in recipe else classes
    outputs = channels * (2 if settings["diffusion"]["learn_variance"] else 1)
    found = unet(settings["network"], map_side(recipe["grid"]), channels, outputs)
    width = 4 * settings["network"]["channels"]
    if condition["kind"] == "class_counts":
        found.linear(classes, width, backward=1)
        found.linear(width, width)
    elif condition["kind"] == "count_category":
        found.parameters += condition["categories"] * width
        found.buffers += condition["categories"] - 1
    return found


def painter(settings: Any, classes: int) -> Layers:
    """The painter `painters.diffusion`: a U-Net on images, with markers or distance maps, or cells as tokens."""
    condition, grid = settings["condition"], settings["grid"]
    outputs = RGB * (2 if settings["diffusion"]["learn_variance"] else 1)
    side = map_side(grid)
    if condition["kind"] != "cross_attention":
        return unet(settings["network"], side, RGB + classes, outputs)
    width, n = condition["width"], cells(grid["region"])
    found = unet(settings["network"], side, RGB, outputs, context=width, tokens=n + 1)
    found.linear(WAVES + classes, width, n, backward=1)
    found.linear(width, width, n)
    found.parameters += width  # the token that stands for no cell
    return found


NETWORKS: dict[tuple[str, str], Callable[[Any, int], Layers]] = {  # kind and name of a method: settings, classes → work
    ("generators", "adm"): layout_maps,
    ("generators", "spatial_diffusion"): layout_maps,
    ("generators", "topocellgen"): layout_maps,
    ("generators", "point_diffusion"): point_diffusion,
    ("generators", "tmccg"): tmccg,
    ("painters", "diffusion"): painter,
    ("features", "autoencoder"): autoencoder,
    ("features", "resnet50"): resnet50,
    ("detectors", "unet"): unet_detector,
    ("detectors", "mcspatnet"): mcspatnet,
    ("detectors", "decoupled"): decoupled_detector,
}
