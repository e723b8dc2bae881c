"""The names that the file of each feature network in ``features/`` defines."""

from typing import Any, Protocol

from cellscaper.features.network import FeatureNetwork
from cellscaper.run.settings import Small
from cellscaper.training.settings import Training
from cellscaper.views.grid import Grid


class FeatureSettings(Protocol):
    """The settings that all feature networks share."""

    @property
    def grid(self) -> Grid: ...
    @property
    def small(self) -> Small: ...
    @property
    def training(self) -> Training: ...


class FeatureMethod(Protocol):
    """A network's module. ``settings`` are an instance of its class ``Settings``, which are FeatureSettings."""

    Settings: type
    SCORE: str  # name of the score that compares its features
    LABEL: str  # label of that score in tables

    def build(self, settings: Any, classes: int) -> FeatureNetwork:
        """The network, with new weights, for layouts of ``classes`` classes."""
