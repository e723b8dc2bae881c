"""Features of layouts from a trained network."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cellscaper.errors import CellscaperError
from cellscaper.features.network import FeatureNetwork
from cellscaper.features.registry import feature_method
from cellscaper.layouts import LayoutSet
from cellscaper.views.rasters import Grid, rasterise


def trained(weights: Mapping[str, Tensor], facts: Mapping[str, Any], layouts: LayoutSet) -> FeatureNetwork:
    """The network of a weights file of train_features; CellscaperError if it was trained for other layouts."""
    if tuple(facts["classes"]) != layouts.classes:
        raise CellscaperError(
            f"feature network of classes {facts['classes']}, layouts of {list(layouts.classes)}: "
            "train features on the same dataset"
        )
    _check_region(facts["section"], layouts)
    model = feature_method(facts["section"]["method"]).build(facts["section"], layouts.n_classes)
    model.load_state_dict(dict(weights))
    return model.eval()


@torch.inference_mode()
def features(
    model: FeatureNetwork, section: Mapping[str, Any], layouts: LayoutSet, batch: int, device: torch.device
) -> NDArray[np.float64]:
    """(L, features) of L layouts, rasterised ``batch`` at a time on the section's grid.

    Each feature is in units of its standard deviation over training crops, 0 their mean. Raises CellscaperError for
    layouts that are not of the grid's region.
    """
    _check_region(section, layouts)
    grid = Grid(**section["grid"])
    model.eval().to(device)
    found = [np.zeros((0, model.standardise.num_features))]
    for start in range(0, len(layouts), batch):
        part = layouts[start : start + batch]
        points, labels, index = (torch.from_numpy(x).to(device) for x in (part.points, part.labels, part.index))
        maps = rasterise(points, labels.long(), index, len(part), part.n_classes, grid)
        found.append(model.encode(maps).double().cpu().numpy())
    return np.concatenate(found)


def _check_region(section: Mapping[str, Any], layouts: LayoutSet) -> None:
    region = section["grid"]["region"]
    other = np.flatnonzero((layouts.size != region).any(axis=1))
    if len(other):
        height, width = layouts.size[other[0]]
        raise CellscaperError(
            f"feature network of {region}×{region} px layouts: {len(other)} of {len(layouts)} have another size, "
            f"the first {height}×{width} px; train features on the grid of these layouts"
        )
