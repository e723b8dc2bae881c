"""Features of layouts from a trained network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cellscaper.disk.weights import check_classes
from cellscaper.errors import CellscaperError
from cellscaper.features.network import FeatureNetwork
from cellscaper.features.protocol import FeatureMethod, FeatureSettings
from cellscaper.layouts import LayoutSet
from cellscaper.run.methods import chosen
from cellscaper.views.grid import Grid
from cellscaper.views.rasters import rasterise


def trained(
    path: Path, weights: Mapping[str, Tensor], facts: Mapping[str, Any], layouts: LayoutSet
) -> tuple[FeatureNetwork, Grid]:
    """The network of a weights file of train_features and the raster of the layouts that it sees.

    ``path`` is the file of weights and facts. CellscaperError if the network was trained on other classes or another
    region than those of ``layouts``.
    """
    check_classes(path, facts, layouts.classes, "the set of layouts")
    method: FeatureMethod
    settings: FeatureSettings
    method, settings = chosen("features", facts["section"])
    _check_region(settings.grid, layouts)
    model = method.build(settings, layouts.n_classes)
    model.load_state_dict(dict(weights))
    return model.eval(), settings.grid


@torch.inference_mode()
def features(
    model: FeatureNetwork, grid: Grid, layouts: LayoutSet, batch: int, device: torch.device
) -> NDArray[np.float64]:
    """(L, features) of L layouts, rasterised ``batch`` at a time on ``grid``.

    Standardised features are in units of their standard deviation over training crops, with their mean at 0. Raises
    CellscaperError for layouts of another size than the grid's region.
    """
    _check_region(grid, layouts)
    model.eval().to(device)
    found = [np.zeros((0, model.features))]
    for start in range(0, len(layouts), batch):
        part = layouts[start : start + batch]
        points, labels, index = (torch.from_numpy(x).to(device) for x in (part.points, part.labels, part.index))
        maps = rasterise(points, labels.long(), index, len(part), part.n_classes, grid)
        found.append(model.encode(maps).double().cpu().numpy())
    return np.concatenate(found)


def _check_region(grid: Grid, layouts: LayoutSet) -> None:
    region = grid.region
    other = np.flatnonzero((layouts.size != region).any(axis=1))
    if len(other):
        height, width = layouts.size[other[0]]
        raise CellscaperError(
            f"feature network of {region}×{region} px layouts: {len(other)} of {len(layouts)} have another size, "
            f"the first {height}×{width} px; train features on the grid of these layouts"
        )
