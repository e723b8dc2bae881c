"""The topology losses of TopoCellGen (section 5) on coordinates: holes between cells, of each class and of all cells.

Births and deaths of the alpha complex are functions of two and three cells, so the gradient of a hole moves exactly the
cells around it. No map is rasterised, and no distance map is smoothed.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cellscaper.generators.pointsets.batches import Points
from cellscaper.topology.alpha import alpha_losses, alpha_pairs_of_all


def topology_terms(found: Tensor, clean: Tensor, points: Points) -> tuple[Tensor, Tensor]:
    """Squared distances (px²) between the diagrams of predicted and clean positions (B, N, 2), each (B,).

    The first sums over the classes (intra-class), the second takes all cells of a layout together (inter-class).
    """
    classes = points.counts.shape[1]
    rows = [points.mask & (points.labels == label) for label in range(classes)]
    intra = [_distances(found, clean, chosen) for chosen in rows]
    return sum(intra[1:], intra[0]), _distances(found, clean, points.mask)


def _distances(found: Tensor, clean: Tensor, chosen: Tensor) -> Tensor:
    """(B,) squared distances between the diagrams of the chosen (B, N) cells of each layout."""
    wanted: list[NDArray[np.float64]] = [
        holes.diagram
        for holes in alpha_pairs_of_all([one[row].cpu().numpy() for one, row in zip(clean, chosen, strict=True)])
    ]
    return alpha_losses([one[row] for one, row in zip(found, chosen, strict=True)], wanted)
