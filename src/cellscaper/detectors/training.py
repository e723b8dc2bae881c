"""How a detector is trained: what its file hands to the stage, and the score on validation images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from cellscaper.detectors.peaks import found_in
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.detection import detection_scores
from cellscaper.training.trainer import BatchLoss
from cellscaper.views.decoding import Cells


@dataclass(frozen=True)
class Training:
    """One training.

    module   what the trainer trains, saves and resumes: the network, or the network with what it must remember
    loss     of one step, as the trainer wants it
    finish   the trained module's state dict → the weights to keep and facts about them (``val_f1`` at least)
    on_step  called with (k, module) after step k
    """

    module: nn.Module
    loss: BatchLoss
    finish: Callable[[dict[str, Tensor]], tuple[dict[str, Tensor], dict[str, Any]]]
    on_step: Callable[[int, nn.Module], None] | None = None


@dataclass(frozen=True)
class Validation:
    """Images (H, W, 3) uint8 that are not trained on, and their cells."""

    images: Sequence[NDArray[np.uint8]]
    cells: LayoutSet

    def f1(self, detect: Callable[[NDArray[np.uint8]], Cells]) -> float:
        """F1 of what ``detect`` finds, mean over the classes of the images, one to one within 6 px."""
        made = found_in(self.cells, self.images, detect, quiet=True)
        return detection_scores(self.cells, made)["f1"]["mean"]
