"""The training of a detector: the object that its file gives to the stage, and the score on validation images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cellscaper.detectors.peaks import found_in
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.detection import detection_scores
from cellscaper.training.contract import BatchLoss, Finish
from cellscaper.views.decoding import Cells


@dataclass(frozen=True)
class DetectorTraining:
    """One training of a detector.

    module   what the trainer trains, saves and resumes: the network, or the network with the state of its training
    loss     the loss of one step, in the form that `training.trainer.train` takes
    finish   the trained module's state dict → the weights to keep and facts about them (at least ``val_f1``)
    on_step  called with (k, module) after step k
    """

    module: nn.Module
    loss: BatchLoss
    finish: Finish
    on_step: Callable[[int, nn.Module], None] | None = None


@dataclass(frozen=True)
class Validation:
    """Images (H, W, 3) uint8 that the training does not use, and their cells."""

    images: Sequence[NDArray[np.uint8]]
    cells: LayoutSet

    def f1(self, detect: Callable[[NDArray[np.uint8]], Cells]) -> float:
        """F1 of the cells that ``detect`` finds, mean over the classes of the images, one-to-one within 6 px."""
        made = found_in(self.cells, self.images, detect, quiet=True)
        return detection_scores(self.cells, made)["f1"]["mean"]
