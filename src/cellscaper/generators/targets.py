"""The layouts whose counts are requested from a generator, and the columns that record the request."""

import numpy as np
import torch

from cellscaper.generators.protocol import SamplingSection
from cellscaper.layouts import LayoutSet, evenly_spaced
from cellscaper.views.crops import CropSampler, to_layouts


def choose_targets(train: LayoutSet, targets: LayoutSet, section: SamplingSection, seed: int) -> LayoutSet:
    """Rows of ``targets``, evenly spaced, or random training crops, as ``section.counts`` says; numbered in ``target``.

    Without ``section.layouts`` there are as many as targets; with more than there are, targets repeat.
    """
    n = section.layouts or len(targets)
    if section.counts == "targets":
        rows = evenly_spaced(len(targets), n) if n <= len(targets) else np.sort(np.arange(n) % len(targets))
        return targets[rows].with_columns(target=rows)
    crops = CropSampler(train, section.region, small=section.small)
    batch = crops.sample(n, torch.Generator().manual_seed(seed))
    return to_layouts(batch, train).with_columns(target=np.arange(n))


def with_targets(made: LayoutSet, targets: LayoutSet) -> LayoutSet:
    """Generated layouts with the number of the window or crop that each was made for, and its counts."""
    rows = made.columns.get("target", np.arange(len(made)))
    return made.with_columns(target=targets.columns["target"][rows], requested=targets.counts()[rows])
