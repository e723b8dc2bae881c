"""Spatial-FID: Fréchet distance between the features of two sets of layouts (SD section 3; papers.md section 9).

Its value depends on the feature network and, for few layouts, on their number: compare rows of one network and one
number of layouts, beside their floor.
"""

from numpy.typing import NDArray

from cellscaper.metrics.frechet import Shrinkage, fid, fid_name

NAMES = {"autoencoder": "spatial_fid", "resnet50": "spatial_fid_released"}  # by feature network


def metric_name(method: str, shrinkage: Shrinkage) -> str:
    """Under which name a score is written: a shrunk covariance and the released network show in it."""
    return fid_name(NAMES[method], shrinkage)


def spatial_fid(real: NDArray, generated: NDArray, shrinkage: Shrinkage = "none") -> float:
    """Squared Fréchet distance of features (n, d) and (m, d), in the squared unit of the features; 0 is best.

    ``shrinkage="ledoit_wolf"`` estimates both covariances by Ledoit and Wolf (2004), for few layouts. Without it,
    CellscaperError where a side has no more layouts than features: its covariance would not have full rank.
    """
    return fid("spatial-FID", "layouts", {"real": real, "generated": generated}, shrinkage)
