"""The layouts whose counts are requested from a generator, and the columns that record the request."""

import numpy as np
import torch

from cellscaper.errors import CellscaperError
from cellscaper.generators.protocol import SamplingSection
from cellscaper.layouts import LayoutSet, evenly_spaced
from cellscaper.views.crops import CropSampler, to_layouts


def choose_targets(train: LayoutSet, windows: LayoutSet, kind: str, section: SamplingSection, seed: int) -> LayoutSet:
    """Test windows, evenly spaced (``kind`` test), or random training crops (train), numbered in ``target``.

    CellscaperError for another kind.
    """
    if kind not in ("test", "train"):
        raise CellscaperError(f"--targets {kind}: expected test or train")
    if kind == "test":
        rows = evenly_spaced(len(windows), section.layouts or len(windows))
        return windows[rows].with_columns(target=rows)
    crops = CropSampler(train, section.region, small=section.small)
    n = section.layouts or len(windows)
    batch = crops.sample(n, torch.Generator().manual_seed(seed))
    return to_layouts(batch, train).with_columns(target=np.arange(n))


def with_targets(made: LayoutSet, targets: LayoutSet) -> LayoutSet:
    """Generated layouts with the number of the window or crop that each was made for, and its counts."""
    rows = made.columns.get("target", np.arange(len(made)))
    return made.with_columns(target=targets.columns["target"][rows], requested=targets.counts()[rows])
