"""Point diffusion with the weights that come with the package: nothing is trained."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cellscaper.errors import CellscaperError
from cellscaper.generators.point_diffusion import draw_layouts
from cellscaper.generators.pointsets.packaged import load_packaged
from cellscaper.layouts import LayoutSet
from cellscaper.run.devices import device


def place(targets: LayoutSet, settings: dict[str, Any], seeds: Sequence[int], train: LayoutSet) -> LayoutSet:
    """One layout for each target: its labels, cells moved from noise; one seed each, ``train`` is not used.

    CellscaperError where the classes or the region are not those of the weights.
    """
    model, facts = load_packaged()
    if tuple(facts["classes"]) != targets.classes:
        raise CellscaperError(
            f"the packaged weights know {', '.join(facts['classes'])}, asked for {', '.join(targets.classes)}; "
            "train one on your cells (generator point_diffusion)"
        )
    made = draw_layouts(model.to(device()), targets, seeds, settings["sampling"], "packaged point diffusion: layouts")
    return made.with_columns(target=np.arange(len(targets)))
