"""The functions that the file of each detector in ``detectors/`` defines."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from cellscaper.detectors.data import TrainingData
from cellscaper.detectors.training import DetectorTraining, Validation
from cellscaper.training.settings import Training
from cellscaper.views.decoding import Cells


class DetectorSettings(Protocol):
    """The settings that all detectors share."""

    @property
    def dot_radius(self) -> float: ...
    @property
    def crop(self) -> int: ...
    @property
    def training(self) -> Training: ...


class Detector(Protocol):
    """A detector's module. ``settings`` are an instance of its class ``Settings``, which are DetectorSettings."""

    Settings: type

    def build(self, settings: Any, classes: int) -> nn.Module:
        """The network, with new weights."""

    def maps(self, model: nn.Module, inputs: Tensor) -> Tensor:
        """Probabilities (B, K, H, W) of network inputs (B, 3, H, W)."""

    def cells(self, probability: NDArray[np.floating], settings: Any) -> Cells:
        """The cells of one image: probability (K, H, W)."""

    def training(self, model: nn.Module, settings: Any, data: TrainingData, validation: Validation) -> DetectorTraining:
        """The training of the network on these images."""
