"""Gaussian mixture copulas fitted by the package copulae (docs/methods.md, sections 2.1 and 11).

The package starts from k-means on the points' ranks and makes pseudo-EM steps on the ranks until their log likelihood
changes by less than 1e-4 (Tewari et al. 2011). It regularises nothing. If a component shrinks onto a line or a point,
or loses all points, the fit ends with an error.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cellscaper.density.em import Mixture
from cellscaper.run.packages import need
from cellscaper.run.progress import log

INDEPENDENT = Mixture(np.ones(1), np.zeros((1, 2)), np.eye(2)[None])
_FLAT = 1e-9  # a determinant below this share of the product of the variances is rounding


def fit_copulas(points: NDArray[np.float64], components: Sequence[int], seed: int) -> list[Mixture]:
    """Mixtures ψ (d = 2) of the copula of ``points`` (N, 2), for those of ``components`` that the package can fit.

    If it can fit none of them, the next smaller number that it can; if there is none, the independent copula. A line on
    standard error tells what is left out. The same ``seed`` gives the same mixtures. CellscaperError without the
    package.
    """
    need("copulae", "density gmcm: backend copulae", "own")
    fits = {k: found for k in components if (found := _fit(points, k, seed)) is not None}
    for k in range(min(components) - 1, 0, -1):
        if not fits and (found := _fit(points, k, seed)) is not None:
            fits[k] = found
    if failed := [str(k) for k in components if k not in fits]:
        kept = f"{', '.join(map(str, fits))} components" if fits else "independence"
        log(f"density gmcm: copulae cannot fit {', '.join(failed)} components to {len(points)} cells; left: {kept}")
    return list(fits.values()) or [INDEPENDENT]


def _fit(points: NDArray[np.float64], components: int, seed: int) -> Mixture | None:
    """ψ, not standardised, or None if the package fails or ψ has no density."""
    from copulae import GaussianMixtureCopula
    from copulae.core.exceptions import NonSymmetricMatrixError
    from copulae.mixtures.gmc.estimators.exceptions import FitException
    from copulae.mixtures.gmc.exception import GMCParamError

    copula = GaussianMixtureCopula(n_clusters=components, ndim=2)
    try:
        with _alone(seed):
            found = copula.fit(points, verbose=0).params
    except (ArithmeticError, ValueError, FitException, GMCParamError, NonSymmetricMatrixError):
        return None
    psi = Mixture(*(np.asarray(part, np.float64) for part in (found.prob, found.means, found.covs)))
    variances = psi.covariances[:, [0, 1], [0, 1]].prod(axis=1)
    usable = all(np.isfinite(part).all() for part in (psi.weights, psi.means, psi.covariances))
    usable = usable and bool((psi.weights > 0).all() and (variances > 0).all())
    usable = usable and bool((np.linalg.det(psi.covariances) > _FLAT * variances).all())
    return psi if usable else None


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """One thread, no warnings, and numpy's global generator, from which k-means starts, seeded and put back."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(before)
