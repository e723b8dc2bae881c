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
    if method == "kde":
        from cellscaper.density import kde

        return kde
    if method == "gmm":
        from cellscaper.density import gmm

        return gmm
    if method == "gmcm":
        from cellscaper.density import gmcm

        return gmcm
    raise CellscaperError(f"density method {method!r} is unknown; kde, gmm and gmcm are built")
