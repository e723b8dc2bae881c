"""The layouts whose counts are requested from a generator, and the columns that record the request."""

from collections.abc import Sequence

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


def set_targets(
    train: LayoutSet, targets: LayoutSet | None, section: SamplingSection, seeds: Sequence[int], first: int
) -> LayoutSet:
    """The targets of a generated set from number ``first`` on, one for each of ``seeds``; numbered in ``target``.

    As :func:`choose_targets`, but a target depends on its number and its seed alone, whatever part of a set is made.
    """
    if targets is not None:
        return choose_targets(train, targets, section, 0)[first : first + len(seeds)]
    crops = CropSampler(train, section.region, small=section.small)
    drawn = [to_layouts(crops.sample(1, torch.Generator().manual_seed(seed)), train) for seed in seeds]
    return LayoutSet.joined(drawn).with_columns(target=np.arange(first, first + len(seeds)))


def with_targets(made: LayoutSet, targets: LayoutSet) -> LayoutSet:
    """Generated layouts with the number of the window or crop that each was made for, and its counts."""
    rows = made.columns.get("target", np.arange(len(made)))
    return made.with_columns(target=targets.columns["target"][rows], requested=targets.counts()[rows])
