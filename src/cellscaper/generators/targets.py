"""The layouts whose counts are requested from a generator, and the columns that record the request."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from cellscaper.generators.protocol import SamplingSection
from cellscaper.layouts import LayoutSet, evenly_spaced
from cellscaper.views.crops import CropSampler, to_layouts


def choose_targets(train: LayoutSet, targets: LayoutSet, section: SamplingSection, seed: int) -> LayoutSet:
    """Rows of ``targets``, evenly spaced, or random training crops, as ``section.counts`` says; numbered in ``target``.

    Without ``section.layouts`` there are as many as targets; with more than there are, targets repeat.
    """
    n = section.layouts or len(targets)
    if section.counts == "targets":
        rows = _rows(len(targets), n)
        return targets[rows].with_columns(target=rows)
    crops = CropSampler(train, section.region, small=section.small)
    batch = crops.sample(n, torch.Generator().manual_seed(seed))
    return to_layouts(batch, train).with_columns(target=np.arange(n))


def _rows(total: int, n: int) -> NDArray[np.int64]:
    """n rows of ``total``, rising: evenly spaced, or each as often."""
    return evenly_spaced(total, n) if n <= total else np.sort(np.arange(n) % total)


def set_targets(
    train: LayoutSet, targets: LayoutSet | None, section: SamplingSection, seeds: Sequence[int], first: int
) -> LayoutSet:
    """The targets of a generated set from number ``first`` on, one for each of ``seeds``; numbered in ``target``.

    As :func:`choose_targets`, but a target depends on its number and its seed alone, whatever part of a set is made.
    """
    if targets is not None:
        rows = _rows(len(targets), section.layouts or len(targets))[first : first + len(seeds)]
        return targets[rows].with_columns(target=rows)
    crops = CropSampler(train, section.region, small=section.small)
    drawn = [to_layouts(crops.sample(1, torch.Generator().manual_seed(seed)), train) for seed in seeds]
    return LayoutSet.joined(drawn).with_columns(target=np.arange(first, first + len(seeds)))


def with_targets(made: LayoutSet, targets: LayoutSet) -> LayoutSet:
    """Generated layouts with the number of the window or crop that each was made for, and its counts."""
    rows = made.columns.get("target", np.arange(len(made)))
    return made.with_columns(target=targets.columns["target"][rows], requested=targets.counts()[rows])
