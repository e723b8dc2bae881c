"""The feature networks by name. Imported where chosen, so that editing one reruns what uses it only."""

from collections.abc import Mapping
from typing import Any, Protocol

from cellscaper.errors import CellscaperError
from cellscaper.features.network import FeatureNetwork


class FeatureMethod(Protocol):
    """What each network's file in ``features/`` offers."""

    def build(self, section: Mapping[str, Any], classes: int) -> FeatureNetwork: ...


def feature_method(name: str) -> FeatureMethod:
    """The module of this method; CellscaperError for an unknown one."""
    if name == "autoencoder":
        from cellscaper.features import autoencoder

        return autoencoder
    if name == "resnet50":
        from cellscaper.features import resnet50

        return resnet50
    raise CellscaperError(f"feature network {name!r} is unknown; autoencoder and resnet50 are built")
