"""Topology losses by way of the pixels: holes of the distance to the nearest cell, gradients at their critical pixels.

Each critical pixel of the matching has a wished distance: the value of the matched hole of the target, or, for a hole
that is matched to the diagonal, the mean of its birth and death. :mod:`cellscaper.topology.routing` makes the gradient
on the map. A hole of the target without a match costs the same wherever the prediction moves, so its exact derivative
is 0, and a prediction with too few holes would not change. With ``missing``, the pixels where the clean layout has
that hole get its values as wished distances.

With ``filtration: superlevel`` the map is the negative distance −d. Holes of its sublevel sets are cells: a disc that
shrinks around a cell closes where it loses its last neighbour (birth, −d at half the way to the neighbour, or −d at the
border), and vanishes at the cell (death, d = 0). With ``normalise: max`` the values are −d / max d. The released code
has 1 − d / max d, the same but for a shift, which leaves distances between diagrams as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellscaper.topology.cubical import Holes, holes_of_all
from cellscaper.topology.distance import DistanceMap, distance_map, union
from cellscaper.topology.matching import match
from cellscaper.topology.routing import route
from cellscaper.topology.settings import Gradient, Topology


@dataclass(frozen=True)
class Diagrams:
    """Holes of one map, a list entry for each window; diagrams hold d, or −d (superlevel), divided by ``scale``."""

    windows: list[Holes]
    scale: float


def diagrams(arrays: NDArray[np.float32], settings: Topology, intra: bool, inter: bool) -> list[list[Diagrams]]:
    """Holes of each sample of maps (B, C, H, W): of its classes (``intra``), then of their maximum (``inter``)."""
    return _diagrams([_distances(one, settings, intra, inter) for one in arrays], settings)


def compare(
    arrays: NDArray[np.float32], wanted: list[list[Diagrams]], settings: Topology, intra: bool, inter: bool
) -> tuple[NDArray[np.float64], Gradient]:
    """Costs (B, L) of the layers of maps (B, C, H, W) against their targets, B lists of L, and their gradient."""
    costs = np.zeros((len(arrays), intra * arrays.shape[1] + inter))
    distances = [_distances(one, settings, intra, inter) for one in arrays]
    where, slopes, terms = [np.zeros(0, np.int64)], [np.zeros(0)], [np.zeros(0, np.int64)]
    for i, (sample, found) in enumerate(zip(distances, _diagrams(distances, settings), strict=True)):
        for k, layer in enumerate(_layers(arrays[i], intra, inter)):
            costs[i, k], pixels, slope = _compare(layer, sample[k], found[k], wanted[i][k], settings)
            if inter and k == len(sample) - 1:
                pixels, slope = _to_classes(arrays[i], pixels, slope)
            else:
                pixels = pixels + k * layer.size
            where.append(pixels + i * arrays[i].size)
            slopes.append(slope)
            terms.append(np.full(len(pixels), i * costs.shape[1] + k))
    return costs, (np.concatenate(where), np.concatenate(slopes), np.concatenate(terms))


def _layers(sample: NDArray[np.float32], intra: bool, inter: bool) -> list[NDArray[np.float32]]:
    """The requested layers of a sample (C, H, W): its classes (``intra``), then their maximum (``inter``)."""
    return [*(sample if intra else []), *([sample.max(axis=0)] if inter else [])]


def _distances(sample: NDArray[np.float32], settings: Topology, intra: bool, inter: bool) -> list[DistanceMap]:
    """Distance map of each layer. The distance to cells of any class is the smallest of the classes' distances."""
    own = _layers(sample, intra, inter and not intra)
    found = [distance_map(one > settings.threshold, settings.backend) for one in own]
    return [*found, union(found)] if intra and inter else found


def _to_classes(
    sample: NDArray[np.float32], pixels: NDArray[np.int64], slope: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gradient of the maximum of the classes → of the classes (C, H, W): the largest classes at a pixel share it."""
    values = sample.reshape(len(sample), -1)[:, pixels]
    largest = values == values.max(axis=0)
    label, row = np.nonzero(largest)
    return label * sample[0].size + pixels[row], (slope / largest.sum(axis=0))[row]


def _diagrams(distances: list[list[DistanceMap]], settings: Topology) -> list[list[Diagrams]]:
    """Holes of every layer of every sample, in one call; pixels are flat indices of the whole map. No cell, no hole."""
    blocks = [_windows(one, settings) for sample in distances for one in sample]
    found = iter(holes_of_all([block for windows in blocks for _, _, block in windows]))
    numbered = iter(blocks)
    return [[_diagram(one, next(numbered), found, settings) for one in sample] for sample in distances]


def _windows(distance: DistanceMap, settings: Topology) -> list[tuple[int, int, NDArray[np.float32]]]:
    """Corner (y, x) of each window and values ≥ 0 whose sublevel sets have the holes; 0 for an empty map."""
    values = np.zeros_like(distance.values) if distance.empty else distance.values
    if settings.filtration == "superlevel":
        values = values.max() - values
    height, width = values.shape
    side = settings.window or max(height, width)
    return [(y, x, values[y : y + side, x : x + side]) for y in range(0, height, side) for x in range(0, width, side)]


def _diagram(
    distance: DistanceMap,
    windows: list[tuple[int, int, NDArray[np.float32]]],
    found: Iterator[Holes],
    settings: Topology,
) -> Diagrams:
    largest = 0.0 if distance.empty else float(distance.values.max())
    scale = largest if settings.normalise == "max" and largest > 0 else 1.0
    values, width = distance.values.ravel(), distance.values.shape[1]
    placed = []
    for y, x, block in windows:
        hole, columns = next(found), block.shape[1]
        birth, death = ((y + one // columns) * width + x + one % columns for one in (hole.birth, hole.death))
        diagram = _sign(settings) * np.stack([values[birth], values[death]], axis=1).astype(np.float64)
        placed.append(Holes(birth, death, diagram / scale))
    return Diagrams(placed, scale)


def _sign(settings: Topology) -> int:
    """The factor from distances to values of the filtration."""
    return -1 if settings.filtration == "superlevel" else 1


def _compare(
    layer: NDArray[np.float32], distance: DistanceMap, found: Diagrams, target: Diagrams, settings: Topology
) -> tuple[float, NDArray[np.int64], NDArray[np.float64]]:
    """Cost of a layer, and its gradient as flat pixels and slopes (a pixel may be there more than once)."""
    parts = [_wishes(*pair, settings) for pair in zip(found.windows, target.windows, strict=True)]
    cost = sum(part[0] for part in parts)
    pixels = np.concatenate([part[1] for part in parts])
    wished = np.concatenate([part[2] for part in parts]) * (_sign(settings) * found.scale)
    where, slope = route(layer, distance, pixels, wished, settings.threshold, settings.penalty)
    return cost, where, slope / found.scale**2


def _wishes(found: Holes, target: Holes, settings: Topology) -> tuple[float, NDArray[np.int64], NDArray[np.float64]]:
    """Matching cost, the critical pixels, and their wished distances."""
    cost = 0.0
    limit = max(settings.max_pairs, len(target))
    if len(found) > limit:
        order = np.argsort(found.diagram[:, 0] - found.diagram[:, 1], kind="stable")
        cost = found[order[limit:]].to_diagonal
        found = found[order[:limit]]
    pairs = match(found.diagram, target.diagram, settings.matching).pairs
    wished = np.repeat(found.diagram.mean(axis=1, keepdims=True), 2, axis=1)
    wished[pairs[:, 0]] = target.diagram[pairs[:, 1]]
    unmatched = np.ones(len(target), bool)
    unmatched[pairs[:, 1]] = False
    lacking = target[unmatched]
    cost += float(((found.diagram - wished) ** 2).sum())
    pixels = [found.birth, found.death]
    values = [wished[:, 0], wished[:, 1]]
    if settings.missing:
        cost += lacking.to_diagonal
        pixels += [lacking.birth, lacking.death]
        values += [lacking.diagram[:, 0], lacking.diagram[:, 1]]
    return cost, np.concatenate(pixels), np.concatenate(values)
