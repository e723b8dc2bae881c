"""Settings of the intra- and inter-class losses."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.run.packages import need
from cellscaper.topology.transport import Backend

# flat pixels (n,) of the maps (B, C, H, W), slopes (n,), and the term (n,) of the costs (B, L) that they belong to
Gradient = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]


@dataclass(frozen=True)
class Topology:
    """How maps give diagrams, and how diagrams give gradients.

    threshold  pixels above it are cells, unit range
    diagrams   alpha: holes between the cells' places, from the alpha complex; cubical: holes of the distance to the
               nearest cell, from its pixels
    normalise  none: distances in pixels; max: divided by the largest distance of each map (without gradient)
    missing    True: a hole of the target that nothing matches costs its squared distance to the diagonal, and the
               gradient acts where the clean layout has that hole. False: it costs nothing and has no gradient (TC Eq. 6
               sums over the holes of the prediction)
    matching   solver of the matchings (:func:`cellscaper.topology.matching.assign`)

    for alpha (:mod:`cellscaper.topology.by_cells`):
    marker     pixels on each side of a cell

    for cubical (:mod:`cellscaper.topology.by_pixels`):
    filtration sublevel: a hole lies between growing discs around the cells. superlevel: the distance is turned upside
               down, and a hole is a cell, until its disc meets an older one or the border
    penalty    v of the soft distance, in units of a critical pixel's own distance; the gradient scales with it
    window     side in pixels of non-overlapping windows that have a diagram each (the last ones smaller), or None
    max_pairs  number of longest holes of a map (or window) that are matched; if the target has more, its number. The
               other holes are noise: they cost their distance to the diagonal and have no gradient
    backend    distance backend (:func:`cellscaper.topology.distance.distance_map`)

    CellscaperError for a filtration, a window or a backend that diagrams alpha lack, for a window below 1, and for a
    backend whose package is missing.
    """

    threshold: float = 0.5
    diagrams: Literal["alpha", "cubical"] = "alpha"
    normalise: Literal["none", "max"] = "none"
    missing: bool = True
    matching: Backend = "own"
    marker: int = 3
    filtration: Literal["sublevel", "superlevel"] = "sublevel"
    penalty: float = 2.0
    window: int | None = None
    max_pairs: int = 128
    backend: str = "edt"

    def __post_init__(self) -> None:
        if self.diagrams not in ("alpha", "cubical"):
            raise CellscaperError(f"losses: diagrams {self.diagrams!r} are unknown; choose alpha or cubical")
        if self.filtration not in ("sublevel", "superlevel"):
            raise CellscaperError(f"losses: filtration {self.filtration!r} is unknown; choose sublevel or superlevel")
        if self.diagrams == "alpha" and self.filtration == "superlevel":
            raise CellscaperError(
                "losses: filtration superlevel needs the pixels of diagrams: cubical; alpha has the sublevel holes"
            )
        if self.window is not None and self.window < 1:
            raise CellscaperError(f"losses: window {self.window} is less than a pixel of the grid; choose a larger one")
        if self.diagrams == "alpha" and self.window is not None:
            raise CellscaperError(
                f"losses: window {self.window} needs the pixels of diagrams: cubical; alpha takes whole maps"
            )
        if self.diagrams == "alpha" and self.backend != "edt":
            raise CellscaperError(
                f"losses: distance {self.backend!r} belongs to diagrams: cubical; alpha has no distance map"
            )
        if self.backend == "fastgeodis":
            need("FastGeodis", "losses.distance: fastgeodis", "edt")
        if self.matching != "own":
            need("ot", f"losses.matching: {self.matching}", "own")
