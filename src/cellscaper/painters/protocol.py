"""The names that a painter's file defines, for H&E images of layouts.

Settings            settings of the training, or of the images if the painter is not trained
paint(request)      an image for each layout, in order

A trained painter also defines:

Sampling            settings of painting with the weights
prepare(settings, …)  the model and its loss
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cellscaper.layouts import LayoutSet

BatchLoss = Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]


@dataclass(frozen=True)
class Request:
    """Requested images.

    layouts   the layouts to paint; ``seeds``: one for each, so that an image does not depend on the others
    settings  the painter's ``Sampling``, or ``Settings`` if it is not trained
    weights, facts  of a trained painter: tensors by name, and the facts in the same file
    cells, images   the files of the data set; an untrained painter may read their training images
    """

    layouts: LayoutSet
    seeds: Sequence[int]
    settings: Any
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    cells: Path | None = None
    images: Path | None = None
    device: torch.device | str = "cpu"

    @property
    def batch(self) -> int | None:
        """The images that are painted at once; None if the painter has no such setting."""
        return getattr(self.settings, "batch", None)

    def part(self, start: int, stop: int) -> "Request":
        """The same request for the layouts from ``start`` up to ``stop``."""
        return replace(self, layouts=self.layouts[start:stop], seeds=self.seeds[start:stop])


class Painter(Protocol):
    """A painter's module. Only trained painters have ``prepare``."""

    def prepare(
        self,
        settings: Any,
        cells: LayoutSet,
        images: Sequence[NDArray[np.uint8]],
        device: torch.device,
        init: Path | None = None,
    ) -> tuple[nn.Module, BatchLoss]:
        """The model and its loss on the training images (H, W, 3) and their cells.

        ``init``: file of weights that the model starts from; a painter without such a setting never gets one.
        """

    def paint(self, request: Request) -> Iterator[NDArray[np.uint8]]:
        """(H, W, 3) for each layout, in order; H, W of the layout."""
