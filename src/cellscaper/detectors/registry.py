"""The detectors by name. Imported where chosen, so that editing one reruns its rows only."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from cellscaper.detectors.data import TrainingData
from cellscaper.detectors.training import Training, Validation
from cellscaper.errors import CellscaperError
from cellscaper.views.decoding import Cells


class Detector(Protocol):
    """What each detector's file in ``detectors/`` offers."""

    def build(self, settings: Mapping[str, Any], classes: int) -> nn.Module: ...
    def maps(self, model: nn.Module, inputs: Tensor) -> Tensor: ...
    def cells(self, maps: NDArray[np.floating], settings: Mapping[str, Any]) -> Cells: ...
    def training(
        self, model: nn.Module, settings: Mapping[str, Any], data: TrainingData, validation: Validation
    ) -> Training: ...


def detector(method: str) -> Detector:
    """The module of this method; CellscaperError for an unknown one."""
    if method == "unet":
        from cellscaper.detectors import unet

        return unet
    if method == "mcspatnet":
        from cellscaper.detectors import mcspatnet

        return mcspatnet
    raise CellscaperError(f"detector {method!r} is unknown; unet and mcspatnet are built")
