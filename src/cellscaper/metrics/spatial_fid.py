"""Spatial-FID: Fréchet distance of the features of two sets of layouts (SD section 3; docs/methods.md, section 9.1).

Its value depends on the feature network and, for few layouts, on their number. Compare only rows with the same network
and number of layouts, and with their floor (real against real layouts).
"""

from functools import partial

from numpy.typing import NDArray
from pydantic import Field

from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.features.extraction import features, trained
from cellscaper.metrics.coverage import precision_and_coverage
from cellscaper.metrics.frechet import Shrinkage, fid, fid_name
from cellscaper.metrics.protocol import Column, Comparison, Scores, against_tests
from cellscaper.run.devices import device
from cellscaper.run.methods import method
from cellscaper.run.settings import Count
from cellscaper.run.settings import Settings as Block

COLUMNS: dict[str, Column] = {}  # the file of each feature network has its column
CAVEAT = (
    "spatial-FID depends on the feature network and falls as layouts are added: compare only rows of one network and "
    "of equal numbers"
)


class Settings(Block):
    """How features become a distance."""

    shrinkage: Shrinkage = Field(
        "none", description="estimate of the covariances: ledoit_wolf is for few layouts and renames the score"
    )
    batch: Count = Field(128, description="layouts at once in the feature network")


def score(comparison: Comparison, settings: Settings) -> Scores:
    """Spatial-FID by the feature network, under the score's name in the network's file.

    Beside it stand <name>_precision and <name>_coverage (`coverage.py`), which no column shows: they are in scores.csv.
    """
    if comparison.network is None:
        raise CellscaperError("spatial-FID needs a feature network; give its weights")
    weights, facts = read_weights(comparison.network)
    network, grid = trained(comparison.network, weights, facts, comparison.made)
    seen = partial(features, network, grid, batch=settings.batch, device=device(comparison.gpus))
    score_name = method("features", facts["section"]["method"]).SCORE
    name, made, real = fid_name(score_name, settings.shrinkage), seen(comparison.made), seen(comparison.distribution)

    def to(real: NDArray) -> Scores:
        return {name: {"total": spatial_fid(real, made, settings.shrinkage)}}

    found = to(real)
    precision, coverage = precision_and_coverage(real, comparison.distribution.source.tolist(), made)
    beside = {f"{score_name}_precision": {"total": precision}, f"{score_name}_coverage": {"total": coverage}}
    needed = 2 if settings.shrinkage != "none" else made.shape[1] + 1
    return found | beside | against_tests(comparison, name, needed, found[name], lambda tests: to(seen(tests)))


def spatial_fid(real: NDArray, generated: NDArray, shrinkage: Shrinkage = "none") -> float:
    """Squared Fréchet distance of features (n, d) and (m, d), in the squared unit of the features; 0 is best.

    ``shrinkage="ledoit_wolf"`` estimates both covariances by Ledoit and Wolf (2004), for few layouts. Without it,
    CellscaperError if a side has no more layouts than features: its covariance would not have full rank.
    """
    return fid("spatial-FID", "layouts", {"real": real, "generated": generated}, shrinkage)
