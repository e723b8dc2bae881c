"""Random training crops: real layouts, sampled like a diffusion's training batches, without regard to the targets.

A generator that had learnt its training set perfectly but ignored the requested counts would score like this.
"""

import numpy as np
import torch

from cellscaper.generators.protocol import Made, Request
from cellscaper.layouts import LayoutSet
from cellscaper.run.settings import Settings as Block
from cellscaper.views.crops import CropSampler, to_layouts

DECODERS = ("points",)


class Settings(Block):
    """Nothing to choose."""


def generate(request: Request) -> Made:
    """One crop of the region for each target, flipped at random."""
    targets, train = request.targets, request.train
    crops = CropSampler(train, request.region, small=request.small)
    draws = [crops.sample(1, torch.Generator().manual_seed(seed)) for seed in request.seeds]
    layouts = [to_layouts(one, train).layout(0) for one in draws]
    made = LayoutSet.build(layouts, targets.classes, targets.mpp, {"target": np.arange(len(targets))})
    return Made({"points": made})
