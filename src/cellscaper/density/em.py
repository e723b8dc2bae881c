"""Gaussian mixtures of few points in one or two dimensions, several at once.

The steps are those of scikit-learn's ``GaussianMixture(K, reg_covar=regularise, random_state=seed)`` with its defaults:
k-means from the same seed, then EM until the mean log likelihood changes by less than 1e-3, at most 100 times. Here an
EM step of all mixtures is two matrix products. A log density is linear in a point's monomials (1, y, x, y², yx, x²),
and weights, means and covariances come from sums of the monomials weighted by the responsibilities.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning

from cellscaper.errors import CellscaperError

MOST_STEPS = 100
TOLERANCE = 1e-3  # change of the mean log likelihood of a point
STILL = 1e-4  # k-means ends when the summed squared movements of its centres are below this share of the variance
SAME_DISTANCE = 1e-9  # share of the variance by which two squared distances have to differ
NO_POINTS = 10 * np.finfo(np.float64).eps  # added to the points of a component, so that an empty one divides by it
CHUNK = 4096  # points evaluated at once: bounds the memory, stays in the cache


@dataclass(frozen=True)
class Mixture:
    """weights (K,), summing to 1; means (K, d); covariances (K, d, d) in squared units of the points; all float64."""

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]


def fit_mixture(points: NDArray, components: int, regularise: float, seed: int) -> Mixture:
    """:func:`fit_mixtures` with one number of components."""
    return fit_mixtures(points, [components], regularise, seed)[0]


def fit_mixtures(points: NDArray, components: Sequence[int], regularise: float, seed: int) -> list[Mixture]:
    """One mixture of ``points`` (N, d), d of 1 or 2, for each number of ``components``, each from 1 to N.

    ``regularise``, in squared units of the points, is added to the variances of every component in every step;
    covariances are exact to about 1e-16 of the squared extent of the points. A mixture that has not converged
    after 100 steps is returned as it is.

    Raises CellscaperError for numbers out of range, and if a covariance is singular because regularise is too small.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] not in (1, 2) or not np.isfinite(points).all():
        raise CellscaperError(f"mixture: points of shape {points.shape}, expected finite ones, (N, 1) or (N, 2)")
    if not len(components) or not all(1 <= k <= len(points) for k in components):
        raise CellscaperError(f"mixture: {list(components)} components, expected 1 to the {len(points)} points")
    sizes = np.array(components, int)
    centre = points.mean(axis=0)
    basis = _monomials(points - centre)
    parameters = _maximise(_clusters(points, sizes, seed), basis, centre, regularise)
    running, bound = np.arange(len(sizes)), np.full(len(sizes), -np.inf)
    found: dict[int, Mixture] = {}
    for step in range(1, MOST_STEPS + 1):
        belongs, reached = _expect(parameters, sizes[running], basis)
        parameters = _maximise(belongs, basis, centre, regularise)
        ended = (np.abs(reached - bound) < TOLERANCE) | (step == MOST_STEPS)
        bound = reached
        if ended.any():
            mixtures = _split(parameters, sizes[running], centre)
            found |= {int(running[i]): mixtures[i] for i in np.flatnonzero(ended)}
            parameters = tuple(part[np.repeat(~ended, sizes[running])] for part in parameters)
            running, bound = running[~ended], bound[~ended]
        if not len(running):
            break
    return [found[which] for which in range(len(sizes))]


def density(mixture: Mixture, where: NDArray) -> NDArray[np.float64]:
    """Density per unit of length or area at ``where`` (M, d): (M,)."""
    return np.concatenate([np.exp(logs).sum(axis=0) for logs in _joint_logs(mixture, where)])


def log_density(mixture: Mixture, where: NDArray) -> NDArray[np.float64]:
    """Log density at ``where`` (M, d): (M,). Finite even if the density itself underflows."""
    tops = ((logs.max(axis=0), logs) for logs in _joint_logs(mixture, where))
    return np.concatenate([top + np.log(np.exp(logs - top).sum(axis=0)) for top, logs in tops])


def bic(mixture: Mixture, points: NDArray) -> float:
    """Bayesian information criterion on ``points`` (N, d), full covariances: lower is better."""
    n, d = np.shape(points)
    free = len(mixture.weights) * (1 + d + d * (d + 1) // 2) - 1
    return float(-2 * log_density(mixture, points).sum() + free * np.log(n))


def _clusters(points: NDArray[np.float64], sizes: NDArray, seed: int) -> NDArray[np.float64]:
    """(C, N), 1 if a point is in a cluster of k-means: Lloyd's iteration for all numbers of clusters at once.

    If a cluster becomes empty or a point has two nearest centres, rounding decides; the library computes such a K.
    """
    places = points - points.mean(axis=0)
    scale = places.var(axis=0).mean()
    centres, starts = _seeds(places, sizes, seed), np.cumsum(sizes) - sizes
    before = np.zeros((len(centres), len(points)), bool)
    awkward, ended, last = np.zeros((3, len(sizes)), bool)
    while not ended.all():
        apart = (centres**2).sum(axis=1)[:, None] - 2 * centres @ places.T  # squared, less the point's own square
        closest = np.minimum.reduceat(apart, starts, axis=0) + SAME_DISTANCE * scale
        nearest = np.where(np.repeat(ended, sizes)[:, None], before, apart <= np.repeat(closest, sizes, axis=0))
        held = nearest.sum(axis=1)
        awkward |= (np.minimum.reduceat(held, starts) == 0) | (np.add.reduceat(held, starts) != len(points))
        same = ~np.logical_or.reduceat((nearest != before).any(axis=1), starts)
        ended |= awkward | same | last
        moved = nearest @ places / np.maximum(held, 1)[:, None]
        last = np.add.reduceat(((moved - centres) ** 2).sum(axis=1), starts) <= STILL * scale
        centres, before = moved, nearest
    parts = np.split(before, starts[1:])
    for which in np.flatnonzero(awkward):
        parts[which] = _library_clusters(points, int(sizes[which]), seed)
    return np.concatenate(parts).astype(np.float64)


def _seeds(places: NDArray[np.float64], sizes: NDArray, seed: int) -> NDArray[np.float64]:
    """(C, d) first centres by k-means++ with 2 + ⌊log K⌋ candidates a centre.

    K only sets the number of candidates: a larger K with the same number begins with the same seeds.
    """
    candidates = 2 + np.log(sizes).astype(int)
    order = {
        int(c): kmeans_plusplus(places, int(sizes[candidates == c].max()), random_state=seed, n_local_trials=int(c))[1]
        for c in np.unique(candidates)
    }
    return np.concatenate([places[order[int(c)][:k]] for c, k in zip(candidates, sizes, strict=True)])


def _library_clusters(points: NDArray[np.float64], clusters: int, seed: int) -> NDArray[np.bool_]:
    """(K, N), True if a point is in a cluster."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different points than clusters
        labels = KMeans(clusters, n_init=1, random_state=np.random.RandomState(seed)).fit(points).labels_
    return labels == np.arange(clusters)[:, None]


def _joint_logs(mixture: Mixture, where: NDArray) -> Iterator[NDArray[np.float64]]:
    """(K, chunk) log of weight times normal density of each component, chunk by chunk of ``where`` (M, d)."""
    where = np.asarray(where, np.float64).reshape(-1, mixture.means.shape[1])
    centre = mixture.weights @ mixture.means
    table = _coefficients(mixture.weights, mixture.means - centre, mixture.covariances)
    for start in range(0, max(len(where), 1), CHUNK):
        yield table @ _monomials(where[start : start + CHUNK] - centre)


def _monomials(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(F, N) of points (N, d): 1, y, y² or 1, y, x, y², yx, x²."""
    y, x = points.T[0], points.T[-1]
    one = np.ones(len(points))
    return np.stack([one, y, y * y] if points.shape[1] == 1 else [one, y, x, y * y, y * x, x * x])


def _coefficients(weights: NDArray, means: NDArray, covariances: NDArray) -> NDArray[np.float64]:
    """(C, F): log of weight times normal density of each component, in monomials of the point."""
    d = means.shape[1]
    determinant = _determinants(covariances)
    if d == 1:
        precision = 1 / covariances
        square = [-0.5 * precision[:, 0, 0]]
    else:
        yy, yx, xx = covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]
        precision = (np.array([[xx, -yx], [-yx, yy]]) / determinant).transpose(2, 0, 1)
        square = [-0.5 * precision[:, 0, 0], -precision[:, 0, 1], -0.5 * precision[:, 1, 1]]
    shift = np.einsum("cij,cj->ci", precision, means)
    distance = (shift * means).sum(axis=1)  # squared distance of the mean from the origin
    constant = np.log(weights) - 0.5 * (d * np.log(2 * np.pi) + np.log(determinant) + distance)
    return np.column_stack([constant, shift, *square])


def _expect(parameters: tuple[NDArray, ...], sizes: NDArray, basis: NDArray) -> tuple[NDArray, NDArray]:
    """Responsibilities (C, N) and the mean log likelihood of a point for each mixture (J,)."""
    starts = np.cumsum(sizes) - sizes
    logs = _coefficients(*parameters) @ basis
    top = np.maximum.reduceat(logs, starts, axis=0)  # (J, N)
    joint = np.exp(logs - np.repeat(top, sizes, axis=0))
    total = np.add.reduceat(joint, starts, axis=0)
    joint /= np.repeat(total, sizes, axis=0)
    return joint, (top + np.log(total)).mean(axis=1)


def _maximise(belongs: NDArray, basis: NDArray, centre: NDArray, regularise: float) -> tuple[NDArray, ...]:
    """Weights (C,), means (C, d) from ``centre`` and covariances (C, d, d) from responsibilities (C, N)."""
    d = len(centre)
    sums = belongs @ basis.T  # (C, F)
    mass, first, second = sums[:, 0], sums[:, 1 : 1 + d], sums[:, 1 + d :]
    held = mass + NO_POINTS
    means = (first - NO_POINTS * centre) / held[:, None]  # an empty component has its mean at the origin of the points
    covariances = np.empty((len(mass), d, d))
    for column, (i, j) in enumerate(zip(*np.triu_indices(d), strict=True)):
        a, b = means[:, i], means[:, j]
        spread = second[:, column] - first[:, i] * b - a * first[:, j] + mass * a * b
        covariances[:, i, j] = covariances[:, j, i] = spread / held + regularise * (i == j)
    if not (_determinants(covariances) > 0).all():
        raise CellscaperError(f"mixture: a covariance is singular, regularise {regularise:g} is too small: use more")
    return held / basis.shape[1], means, covariances


def _determinants(covariances: NDArray) -> NDArray[np.float64]:
    """Determinants (C,) of matrices (C, d, d)."""
    product = covariances[:, 0, 0] * covariances[:, -1, -1]
    return covariances[:, 0, 0] if covariances.shape[1] == 1 else product - covariances[:, 0, 1] ** 2


def _split(parameters: tuple[NDArray, ...], sizes: NDArray, centre: NDArray) -> list[Mixture]:
    """The mixtures of these sizes."""
    weights, means, covariances = (np.split(part, np.cumsum(sizes)[:-1]) for part in parameters)
    triples = zip(weights, means, covariances, strict=True)
    return [Mixture(w / w.sum(), m + centre, c.copy()) for w, m, c in triples]
