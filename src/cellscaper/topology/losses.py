"""TopoCellGen's three losses on predicted clean layouts, with gradients (TC section 3.2, Eqs. 3–8).

Maps are (B, C, H, W) in unit range, 0 background … 1 marker. The topology losses binarise them at a threshold, take
the Euclidean distance to the nearest cell, its holes and their optimal matching to the holes of the clean
layout. The value is their squared Wasserstein-2 distance.

Backwards, each critical pixel of the matching has a wished distance: that of the matched hole of the target, or the
middle of a hole matched to the diagonal. :mod:`cellscaper.topology.routing` takes the derivative to the map. A hole
of the target that is matched to the diagonal costs the same wherever the prediction moves, so its exact derivative is
0 and a prediction with too few holes would stay as it is; ``missing`` wishes such a hole where the clean layout has it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cellscaper.topology.cubical import Holes, holes_of_all
from cellscaper.topology.distance import DistanceMap, distance_map, union
from cellscaper.topology.matching import match
from cellscaper.topology.routing import route


@dataclass(frozen=True)
class Topology:
    """Settings of the intra- and inter-class losses.

    threshold  cells are pixels above it, unit range
    penalty    v of the soft distance, in units of a critical pixel's own distance; the gradient scales with it
    normalise  none: distances in px; max: divided by the largest of each map (taken as a constant backwards)
    window     side in px of non-overlapping windows that have a diagram each (the last ones smaller), or None
    max_pairs  longest holes of a map (or window) that are matched, or as many as the target has if that is more; the
               others, noise, count with their way to the diagonal and have no gradient
    missing    whether holes that the prediction lacks have a gradient where the clean layout has them
    backend    distance backend (:func:`cellscaper.topology.distance.distance_map`)
    """

    threshold: float = 0.5
    penalty: float = 2.0
    normalise: Literal["none", "max"] = "none"
    window: int | None = None
    max_pairs: int = 128
    missing: bool = True
    backend: str = "edt"


@dataclass(frozen=True)
class Diagrams:
    """Holes of one map, a list entry for each window; diagrams are divided by ``scale``."""

    windows: list[Holes]
    scale: float


@dataclass(frozen=True)
class Targets:
    """Diagrams of B clean layouts: of each class (B lists of C), of all classes together (B). None if not asked for."""

    intra: list[list[Diagrams]] | None
    inter: list[Diagrams] | None


def count_loss(
    maps: Tensor, counts: Tensor, threshold: float = 0.5, area: float = 9.0, width: float | None = None
) -> Tensor:
    """(B,) Eq. 3–4: |cells − counts| averaged over classes, cells = pixels above ``threshold`` / ``area`` of a marker.

    maps (B, C, H, W) unit range, counts (B, C). Backwards the step function is replaced (straight-through): without
    ``width`` by the identity, so that each pixel has the gradient ± 1 / (area · C); with it by a logistic function of
    this width in unit range, of slope 1 at the threshold, so that undecided pixels move and sure background hardly
    does.
    """
    hard = (maps.detach() > threshold).to(maps.dtype)
    soft = maps if width is None else 4 * width * ((maps - threshold) / width).sigmoid()
    cells = (hard + soft - soft.detach()).sum(dim=(2, 3)) / area
    return (cells - counts.to(cells)).abs().mean(dim=1)


def targets(maps: Tensor, settings: Topology, intra: bool = True, inter: bool = True) -> Targets:
    """Diagrams of clean maps (B, C, H, W) in unit range, made as those of the predictions are; no gradient."""
    found = _diagrams([_distances(one, settings, intra, inter) for one in _numpy(maps)], settings)
    classes = maps.shape[1] if intra else 0
    return Targets([row[:classes] for row in found] if intra else None, [row[-1] for row in found] if inter else None)


def intra_loss(maps: Tensor, targets: Targets, settings: Topology) -> Tensor:
    """(B,) Eq. 5–7: squared Wasserstein-2 distance to the target of each class, averaged over classes."""
    return topology_losses(maps, Targets(targets.intra, None), settings)["intra"]


def inter_loss(maps: Tensor, targets: Targets, settings: Topology) -> Tensor:
    """(B,) Eq. 8: the same on the channel-wise maximum of all classes."""
    return topology_losses(maps, Targets(None, targets.inter), settings)["inter"]


def topology_losses(
    maps: Tensor, targets: Targets, settings: Topology, active: Tensor | None = None
) -> dict[str, Tensor]:
    """``intra`` and ``inter``, (B,) each, of maps (B, C, H, W) in unit range; those that ``targets`` has.

    Both together share the distance transforms: the distance to any cell is the smallest of the classes'.
    Samples where ``active`` (B,) is False are left out: loss and gradient 0 at no cost. A map without a cell has no
    holes: it costs all of its target, and has a gradient only through what ``missing`` wishes.
    """
    terms = _Wasserstein.apply(maps, targets, settings, None if active is None else active.tolist())
    found = {}
    if targets.intra is not None:
        found["intra"] = terms[:, : maps.shape[1]].mean(dim=1)
    if targets.inter is not None:
        found["inter"] = terms[:, -1]
    return found


class _Wasserstein(torch.autograd.Function):
    """maps (B, C, H, W) → (B, L) matching costs of the layers; numpy on the CPU, backwards one sparse scatter."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, targets: Targets, settings: Topology, active: list[bool] | None) -> Tensor:
        arrays = _numpy(maps)
        intra, inter = targets.intra is not None, targets.inter is not None
        costs = np.zeros((len(arrays), intra * maps.shape[1] + inter))
        chosen = [i for i in range(len(arrays)) if active is None or active[i]]
        distances = [_distances(arrays[i], settings, intra, inter) for i in chosen]
        where, slopes, terms = [np.zeros(0, np.int64)], [np.zeros(0)], [np.zeros(0, np.int64)]
        for i, layers, diagrams in zip(chosen, distances, _diagrams(distances, settings), strict=True):
            wanted = [*(targets.intra[i] if targets.intra else []), *([targets.inter[i]] if targets.inter else [])]
            for k, layer in enumerate(_layers(arrays[i], intra, inter)):
                costs[i, k], pixels, slope = _compare(layer, layers[k], diagrams[k], wanted[k], settings)
                if inter and k == len(layers) - 1:
                    pixels, slope = _to_classes(arrays[i], pixels, slope)
                else:
                    pixels = pixels + k * layer.size
                where.append(pixels + i * arrays[i].size)
                slopes.append(slope)
                terms.append(np.full(len(pixels), i * costs.shape[1] + k))
        ctx.shape = maps.shape
        sparse = (torch.from_numpy(np.concatenate(one)).to(maps.device) for one in (where, slopes, terms))
        ctx.save_for_backward(*sparse)
        return torch.from_numpy(costs).to(maps)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        where, slopes, terms = ctx.saved_tensors
        gradient = grads[0].new_zeros(ctx.shape.numel())
        gradient.index_add_(0, where, slopes.to(gradient) * grads[0].reshape(-1)[terms])
        return gradient.view(ctx.shape), None, None, None


def _numpy(maps: Tensor) -> NDArray[np.float32]:
    return maps.detach().float().cpu().numpy()


def _layers(sample: NDArray[np.float32], intra: bool, inter: bool) -> list[NDArray[np.float32]]:
    """The classes of a sample (C, H, W), then their maximum; those that are asked for."""
    return [*(sample if intra else []), *([sample.max(axis=0)] if inter else [])]


def _distances(sample: NDArray[np.float32], settings: Topology, intra: bool, inter: bool) -> list[DistanceMap]:
    """Of each layer. The distance to the maximum of all classes is the smallest of the classes' distances."""
    own = _layers(sample, intra, inter and not intra)
    found = [distance_map(one > settings.threshold, settings.backend) for one in own]
    return [*found, union(found)] if intra and inter else found


def _to_classes(
    sample: NDArray[np.float32], pixels: NDArray[np.int64], slope: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gradient of the maximum of the classes → of the classes (C, H, W): those that are largest share it."""
    values = sample.reshape(len(sample), -1)[:, pixels]
    largest = values == values.max(axis=0)
    label, row = np.nonzero(largest)
    return label * sample[0].size + pixels[row], (slope / largest.sum(axis=0))[row]


def _diagrams(distances: list[list[DistanceMap]], settings: Topology) -> list[list[Diagrams]]:
    """Of every layer of every sample, in one call; pixels are flat indices of the whole map. No cell, no hole."""
    blocks = [_windows(one, settings.window) for sample in distances for one in sample]
    found = iter(holes_of_all([block for windows in blocks for _, _, block in windows]))
    numbered = iter(blocks)
    return [[_diagram(one, next(numbered), found, settings) for one in sample] for sample in distances]


def _windows(distance: DistanceMap, side: int | None) -> list[tuple[int, int, NDArray[np.float32]]]:
    """Corner (y, x) and values of each window; an empty map stands for its windows with zeros."""
    values = np.zeros_like(distance.values) if distance.empty else distance.values
    height, width = values.shape
    side = side or max(height, width)
    return [(y, x, values[y : y + side, x : x + side]) for y in range(0, height, side) for x in range(0, width, side)]


def _diagram(
    distance: DistanceMap,
    windows: list[tuple[int, int, NDArray[np.float32]]],
    found: Iterator[Holes],
    settings: Topology,
) -> Diagrams:
    largest = 0.0 if distance.empty else float(distance.values.max())
    scale = largest if settings.normalise == "max" and largest > 0 else 1.0
    width = distance.values.shape[1]
    placed = []
    for y, x, block in windows:
        hole, columns = next(found), block.shape[1]
        birth, death = ((y + one // columns) * width + x + one % columns for one in (hole.birth, hole.death))
        placed.append(Holes(birth, death, hole.diagram / scale))
    return Diagrams(placed, scale)


def _compare(
    layer: NDArray[np.float32], distance: DistanceMap, found: Diagrams, target: Diagrams, settings: Topology
) -> tuple[float, NDArray[np.int64], NDArray[np.float64]]:
    """Cost of a layer, and its gradient as flat pixels and slopes (a pixel may be there more than once)."""
    parts = [_wishes(*pair, settings) for pair in zip(found.windows, target.windows, strict=True)]
    cost = sum(part[0] for part in parts)
    pixels = np.concatenate([part[1] for part in parts])
    wished = np.concatenate([part[2] for part in parts]) * found.scale
    where, slope = route(layer, distance, pixels, wished, settings.threshold, settings.penalty)
    return cost, where, slope / found.scale**2


def _wishes(found: Holes, target: Holes, settings: Topology) -> tuple[float, NDArray[np.int64], NDArray[np.float64]]:
    """Matching cost, the critical pixels, and the distance that each should have."""
    cost = 0.0
    limit = max(settings.max_pairs, len(target))
    if len(found) > limit:
        order = np.argsort(found.diagram[:, 0] - found.diagram[:, 1], kind="stable")
        cost = found[order[limit:]].to_diagonal
        found = found[order[:limit]]
    pairs = match(found.diagram, target.diagram).pairs
    wished = np.repeat(found.diagram.mean(axis=1, keepdims=True), 2, axis=1)
    wished[pairs[:, 0]] = target.diagram[pairs[:, 1]]
    unmatched = np.ones(len(target), bool)
    unmatched[pairs[:, 1]] = False
    lacking = target[unmatched]
    cost += float(((found.diagram - wished) ** 2).sum()) + lacking.to_diagonal
    pixels = [found.birth, found.death]
    values = [wished[:, 0], wished[:, 1]]
    if settings.missing:
        pixels += [lacking.birth, lacking.death]
        values += [lacking.diagram[:, 0], lacking.diagram[:, 1]]
    return cost, np.concatenate(pixels), np.concatenate(values)
