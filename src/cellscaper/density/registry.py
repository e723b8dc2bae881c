"""The density estimators by name. Imported where chosen, so that editing one reruns its maps only."""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from cellscaper.errors import CellscaperError


class Estimator(Protocol):
    """What each estimator in ``density/`` offers."""

    def fit(self, points: NDArray, settings: Mapping[str, Any], seed: int) -> Any: ...
    def evaluate(self, params: Any, where: NDArray) -> NDArray: ...


def estimator(method: str) -> Estimator:
    """The module of this method; CellscaperError for an unknown one."""
    if method == "gmm":
        from cellscaper.density import gmm

        return gmm
    raise CellscaperError(f"density method {method!r} is unknown; gmm is built")
