"""The functions that the file of each density method in ``density/`` defines."""

from typing import Any, Protocol

from numpy.typing import NDArray


class Estimator(Protocol):
    """A method's module. ``settings`` are an instance of its class ``Settings``."""

    Settings: type

    def fit(self, points: NDArray, settings: Any, seed: int) -> Any:
        """Parameters of the density of ``points`` (N ≥ 3, 2) px y, x, in any position: a frozen dataclass."""

    def evaluate(self, params: Any, where: NDArray) -> NDArray:
        """(M,) float64: density per px² at ``where`` (M, 2) px y, x (GMCM in space copula: on its unit square)."""
