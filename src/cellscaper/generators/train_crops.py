"""Random training crops: real layouts, drawn as a diffusion's training batches are, without regard to the targets.

A generator that learnt its training set perfectly, and nothing about the requested counts, would score like this.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from cellscaper.layouts import LayoutSet
from cellscaper.views.crops import CropSampler, to_layouts


def place(targets: LayoutSet, settings: dict[str, Any], seeds: Sequence[int], train: LayoutSet) -> LayoutSet:
    """One crop of ``grid.region`` px for each target, flips included; ``train`` holds the training images' cells.

    ``seeds`` holds one seed a layout, so a crop does not depend on the others.
    """
    crops = CropSampler(train, settings["grid"]["region"], small=settings["small"])
    made = [to_layouts(crops.sample(1, torch.Generator().manual_seed(seed)), train).layout(0) for seed in seeds]
    return LayoutSet.build(made, targets.classes, targets.mpp, {"target": np.arange(len(targets))})
