"""The detectors by name. Imported where chosen, so that editing one reruns its rows only."""

from collections.abc import Mapping
from typing import Any, Protocol

from torch import nn

from cellscaper.errors import CellscaperError


class Detector(Protocol):
    """What each detector's file in ``detectors/`` offers."""

    def build(self, settings: Mapping[str, Any], classes: int) -> nn.Module: ...


def detector(method: str) -> Detector:
    """The module of this method; CellscaperError for an unknown one."""
    if method == "unet":
        from cellscaper.detectors import unet

        return unet
    raise CellscaperError(f"detector {method!r} is unknown; unet is built")
