"""The work of the networks on points: point diffusion and the TMCCG-style GAN, by formula (`plan.flops`)."""

from itertools import pairwise
from typing import Any

from cellscaper.plan.flops_sizes import cells, halved
from cellscaper.plan.layers import Layers


def point_diffusion(recipe: Any, classes: int, n: int | None = None) -> Layers:
    """The transformer of point diffusion (`generators.pointsets.network`) for ``n`` cells (default: :func:`cells`)."""
    net, found = recipe["settings"]["network"], Layers()
    n = cells(recipe["region"]) if n is None else n
    width, layers, heads, e = net["width"], net["layers"], net["heads"], net["edge_width"]
    k, near = min(net["neighbours"], n), 12  # Gaussians of a distance, with those of the same class
    found.linear(17 + 2 * (classes + 1), width, backward=1)
    found.linear(width, width)
    found.linear(width, e)
    found.linear(20 + classes**2, e, n * k, backward=1)
    found.linear(30 + classes, width, n, backward=1)
    found.product(n, classes, n, backward=1)
    found.product(n, classes, classes, layers * heads, backward=1)
    found.product(layers * heads, near, n * n, backward=1)
    found.product(layers * heads * n, classes + 1, n)
    found.linear(e, e, 0)  # its weights are joined with those of each layer
    for _ in range(layers):
        found.linear(width, 6 * width + near * heads)
        found.parameters += heads * classes**2
        found.norm(width, n, affine=False)
        found.linear(width, 3 * width + 2 * e, n)
        found.attention(n, n, width)
        found.linear(e, e, n * k)
        found.product(1, k, e, n)
        found.linear(width + e, width, n)
        found.norm(width, n, affine=False)
        found.linear(width, net["expansion"] * width, n)
        found.linear(net["expansion"] * width, width, n)
    found.linear(width, 2 * width)
    found.norm(width, n, affine=False)
    found.linear(width, 2 * e, n)
    found.linear(e, e, n * k)
    found.linear(e, 1, n * k)
    found.linear(width, 2, n)
    return found


def mover(recipe: Any, classes: int, n: int | None = None) -> Layers:
    """The generator of the TMCCG-style GAN (`generators.gan.network.PointMover`) for ``n`` cells."""
    settings, found = recipe["settings"], Layers()
    net, condition = settings["network"], condition_size(classes, len(settings["radii"]))
    n = cells(recipe["region"]) if n is None else n
    width, radial, rank, said = net["width"], net["radial"], 4, 8
    found.parameters += classes * width
    found.buffers += 2 * radial
    found.linear(condition + net["noise"], width, backward=1)
    found.linear(width, width)
    for i in range(net["layers"]):
        placed = 1 if i == 0 else 2  # the first places are noise
        kept = 0 if i == net["layers"] - 1 else 2  # the last features serve nothing
        found.norm(width, n)
        found.linear(width + 4, 2 * radial * rank, n)
        found.linear(width, said, n, backward=kept)
        found.product(n * radial, n, said, backward=min(placed, kept))
        found.linear(said * radial + 4, width, n, backward=kept)
        found.norm(width, n)
        found.linear(width, 2 * width, n, backward=kept)
        found.linear(2 * width, width, n, backward=kept)
        found.product(n, rank, n, radial)
        found.product(1, radial, 1, n * n, backward=placed)
    return found


def discriminator(recipe: Any, classes: int) -> Layers:
    """The discriminator of the TMCCG-style GAN (`generators.gan.network.Discriminator`)."""
    settings, found = recipe["settings"], Layers()
    width, side = settings["discriminator"]["width"], recipe["region"] // settings["discriminator"]["stride"]
    sizes = [classes, width, 2 * width, 2 * width]
    for a, b in pairwise(sizes):
        found.conv(a, b, 3, halved(side) ** 2, side**2)
        side = halved(side)
    found.linear(condition_size(classes, len(settings["radii"])), 2 * width)
    found.linear(2 * width, 1)
    return found


def condition_size(classes: int, radii: int) -> int:
    """Numbers that describe a layout in the GAN's condition (`generators.gan.statistics`)."""
    return classes + classes * (classes + 1) // 2 * radii + 13 * (classes + 1)


def tmccg(recipe: Any, classes: int) -> Layers:
    """Both networks of the TMCCG-style GAN. A training step calls the discriminator three times, once with a double
    backward pass: ten times its forward FLOPs, the generator three times its own."""
    found, judge = mover(recipe, classes), discriminator(recipe, classes)
    found.kernels += judge.kernels * 3
    found.parameters += judge.parameters
    bank = classes + condition_size(classes, len(recipe["settings"]["radii"]))
    found.buffers += recipe["settings"]["bank"] * bank
    return found
