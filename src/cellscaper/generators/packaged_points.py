"""Point diffusion with the weights that are shipped with the package: nothing is trained."""

import numpy as np

from cellscaper.errors import CellscaperError
from cellscaper.generators.point_diffusion import Sampling, sample_layouts
from cellscaper.generators.pointsets.packaged import load_packaged
from cellscaper.generators.protocol import Made, Request

DECODERS = ("points",)


class Settings(Sampling):
    """Settings of the sampler."""


def generate(request: Request) -> Made:
    """One layout for each target: its labels, cells moved from noise; one seed each.

    CellscaperError if the weights have other classes or another region.
    """
    targets = request.targets
    model, facts = load_packaged()
    if tuple(facts["classes"]) != targets.classes:
        raise CellscaperError(
            f"the packaged weights know {', '.join(facts['classes'])}, asked for {', '.join(targets.classes)}; "
            "train one on your cells (generator point_diffusion)"
        )
    made = sample_layouts(model.to(request.device), targets, request.seeds, request.settings, request.advance)
    return Made({"points": made.with_columns(target=np.arange(len(targets)))})
