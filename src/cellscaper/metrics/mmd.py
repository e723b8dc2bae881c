"""Maximum mean discrepancy of the persistence diagrams of two sets of layouts (TC; docs/methods.md, section 9.4).

Two kernels on the 1-dimensional alpha diagrams (disc radii, px) of the cells of one class:

- ``mmd``, the paper's: k = exp(-W1 / σ²) with the Wasserstein-1 distance. The paper gives neither σ nor whether its
  number is MMD or MMD²: here it is MMD = √max(MMD², 0) of the biased estimate (all pairs, also each diagram with
  itself), so that the distance of a set to itself is 0. W1 is not known to be of negative type, so k may be no kernel
  and MMD² may be negative. With n layouts a side and σ so small that k vanishes between different diagrams, the biased
  estimate is √(2 / n) for any two sets: compare it with real against real layouts.
- ``mmd_sliced``: k = exp(-SW / 2σ²) with the sliced Wasserstein distance (Carrière, Cuturi & Oudot 2017), positive
  definite, where 2σ² is the median distance. The score is the unbiased estimate of MMD²; it may be negative and is 0 on
  average for two samples of the same source. The p-value comes from a permutation test.

For a direction θ let G(t) of a diagram be the number of its points below t along θ, minus the number of their
projections to the diagonal below t. If each diagram of a pair is joined with the other's projections, their
Wasserstein-1 distance along θ is ∫|G1 - G2| dt. So sliced Wasserstein is an L1 distance of functions that each depend
on one diagram, and it remains so when t is sampled.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Literal

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial.distance import cdist, squareform

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet, evenly_spaced
from cellscaper.metrics.protocol import Column, Comparison, Scores
from cellscaper.run.settings import Positive
from cellscaper.run.settings import Settings as Block
from cellscaper.topology.matching import REG, wasserstein1
from cellscaper.topology.persistence import alpha_diagrams
from cellscaper.topology.transport import Backend

DIRECTIONS = 50
PERMUTATIONS = 500
STEP = 1.0  # px of t; with 50 directions, distances of BRCA-M2C diagrams are off by 1 to 8 %
_TURN = (np.sqrt(5) - 1) / 2  # golden ratio: the samples of t are staggered evenly over the directions
_BLOCK = 128  # rows of a distance matrix filled at once


COLUMNS = {
    "mmd": Column(
        "MMD",
        caveat="MMD: where the kernel is so narrow that it vanishes between different diagrams, the value of n layouts "
        "a side is √(2/n) for any two sets: read it beside real against real",
    ),
    "mmd_sliced": Column(
        "MMD² (sliced)",
        caveat="MMD² (sliced): an unbiased estimate, 0 on average for equal sources; it may be negative",
    ),
}


class Settings(Block):
    """The kernel, and the number of layouts that it compares."""

    sigma: Literal["median"] | Annotated[float, Field(gt=0)] = Field(
        1.0,
        description="px^½: scale of the W1 kernel, or median",
        json_schema_extra={"expected": "median or a number above 0"},
    )
    layouts: int = Field(200, ge=2, description="layouts of each side that the W1 kernel compares, drawn at random")
    sliced_layouts: int = Field(
        2000, ge=2, description="layouts of each side that the sliced kernel compares, evenly spaced"
    )
    backend: Backend = Field(
        "own",
        description="W1 by scipy's assignment (own), POT's exact transport (pot), or with entropy, from above "
        "(pot_sinkhorn)",
    )
    reg: Positive = Field(REG, description="px: factor of the entropy of pot_sinkhorn")


def score(comparison: Comparison, settings: Settings) -> Scores:
    """MMD by both kernels."""
    return mmd(comparison.distribution, comparison.made, **dict(settings), threads=comparison.threads)


def mmd(
    real: LayoutSet,
    generated: LayoutSet,
    sigma: float | str = 1.0,
    layouts: int = 200,
    sliced_layouts: int = 2000,
    permutations: int = PERMUTATIONS,
    threads: int = 1,
    seed: int = 0,
    backend: Backend = "own",
    reg: float = REG,
) -> dict[str, dict[str, float]]:
    """MMD of the diagrams of each class, and its mean over the classes; 0 is best.

    ``sigma`` of the W1 kernel in px^½, so that W1 / σ² has no unit, or "median": σ² is the median W1. W1 is computed
    on at most ``layouts`` random layouts of each side (by ``seed``; the same rows if the sets are equally long), the
    sliced distance on at most ``sliced_layouts``, evenly spaced: its memory grows with their square. ``threads``
    processes share the distances. ``backend`` and ``reg``: see :func:`cellscaper.topology.matching.wasserstein1`.

    Returns ``{metric: {class: value, …}}`` of ``mmd``, ``mmd_sliced`` (these two with "mean"), ``mmd_sliced_p``, and
    ``mmd_layouts`` and ``mmd_sliced_layouts``, the number of layouts of each side behind the two. The p-value assumes
    independent layouts; overlapping patches are not independent, so it is too small for them. Raises CellscaperError if
    the classes differ, a side has fewer than two layouts, or sigma is neither positive nor "median".
    """
    _check(real, generated, sigma)
    kinds = "mmd", "mmd_sliced", "mmd_sliced_p", "mmd_layouts", "mmd_sliced_layouts"
    found: dict[str, dict[str, float]] = {kind: {} for kind in kinds}
    drawn = [side[_drawn(len(side), layouts, seed)] for side in (real, generated)]
    even = [side[evenly_spaced(len(side), sliced_layouts)] for side in (real, generated)]
    for label, name in enumerate(real.classes):
        some, many = ([alpha_diagrams(side, label) for side in sides] for sides in (drawn, even))
        gram = gaussian_gram(wasserstein1_distances(some[0] + some[1], threads, backend, reg), sigma)
        found["mmd"][name] = float(np.sqrt(max(biased(gram, len(some[0])), 0)))
        gram = gaussian_gram(sliced_wasserstein(many[0] + many[1], threads=threads), "median")
        found["mmd_sliced"][name] = unbiased(gram, len(many[0]))
        found["mmd_sliced_p"][name] = permutation_p(gram, len(many[0]), permutations, seed)
        found["mmd_layouts"][name] = float(min(map(len, some)))
        found["mmd_sliced_layouts"][name] = float(min(map(len, many)))
    for kind in ("mmd", "mmd_sliced"):
        found[kind]["mean"] = float(np.mean(list(found[kind].values())))
    return found


def wasserstein1_distances(
    diagrams: Sequence[NDArray], threads: int = 1, backend: Backend = "own", reg: float = REG
) -> NDArray[np.float64]:
    """Wasserstein-1 distance of each two of L diagrams, (L, L), px."""
    pairs = np.array(list(combinations(range(len(diagrams)), 2)), np.int64).reshape(-1, 2)
    chunks = np.array_split(pairs, 1 if threads == 1 else 8 * threads)
    parts = Parallel(n_jobs=threads)(delayed(_distances)(diagrams, one, backend, reg) for one in chunks)
    return squareform(np.concatenate(parts), checks=False) if len(pairs) else np.zeros((len(diagrams),) * 2)


def _distances(diagrams: Sequence[NDArray], pairs: NDArray, backend: Backend, reg: float) -> NDArray[np.float64]:
    return np.array([wasserstein1(diagrams[i], diagrams[j], backend, reg) for i, j in pairs])


def sliced_wasserstein(
    diagrams: Sequence[NDArray], directions: int = DIRECTIONS, step: float = STEP, threads: int = 1
) -> NDArray[np.float64]:
    """Sliced Wasserstein distance of each two of L diagrams, (L, L), in their unit.

    The mean of the Wasserstein-1 distances along ``directions`` angles, spaced evenly over half a turn;
    ``step``: distance of the samples of t, in the diagrams' unit.
    """
    angles = np.pi * (np.arange(directions) + 0.5) / directions - np.pi / 2
    shifts = np.arange(directions) * _TURN % 1
    parts = [_profiles(diagrams, angle, step, shift) for angle, shift in zip(angles, shifts, strict=True)]
    features = np.concatenate(parts, axis=1).astype(np.float64)
    starts = range(0, len(features), _BLOCK)
    rows = Parallel(n_jobs=threads, prefer="threads")(
        delayed(cdist)(features[i : i + _BLOCK], features[i:], "cityblock") for i in starts
    )
    out = np.zeros((len(features), len(features)))
    for i, block in zip(starts, rows, strict=True):
        out[i : i + _BLOCK, i:] = block
        out[i:, i : i + _BLOCK] = block.T
    return out * (step / directions)


def _profiles(diagrams: Sequence[NDArray], angle: float, step: float, shift: float) -> NDArray[np.int32]:
    """G of L diagrams along one direction at t = step · (integers + shift), (L, T); outside of these it is 0."""
    points = np.concatenate([np.zeros((0, 2)), *diagrams])
    owner = np.repeat(np.arange(len(diagrams)), [len(one) for one in diagrams])
    along = points @ (np.cos(angle), np.sin(angle))
    diagonal = points.mean(axis=1) * (np.cos(angle) + np.sin(angle))
    ends = np.ceil(np.stack([along, diagonal]) / step - shift).astype(np.int64)  # first sample not below
    low = ends.min(initial=0)
    steps = np.zeros((len(diagrams), ends.max(initial=0) - low + 1), np.int32)
    np.add.at(steps, (owner, ends[0] - low), 1)
    np.add.at(steps, (owner, ends[1] - low), -1)
    profiles = steps.cumsum(axis=1, dtype=np.int32)
    return profiles[:, profiles.any(axis=0)]


def gaussian_gram(distances: NDArray, sigma: float | str) -> NDArray[np.float64]:
    """exp(-d / σ²) of distances d (L, L); if ``sigma`` is "median", σ² is the median of the positive distances."""
    if sigma != "median":
        return np.exp(-distances / float(sigma) ** 2)
    positive = distances[distances > 0]
    return np.exp(-distances / np.median(positive)) if len(positive) else np.ones_like(distances)


def biased(gram: NDArray, first: int) -> float:
    """MMD² of the first ``first`` items against the rest from their Gram matrix (L, L), all pairs included."""
    return float(gram[:first, :first].mean() + gram[first:, first:].mean() - 2 * gram[:first, first:].mean())


def unbiased(gram: NDArray, first: int) -> float:
    """Unbiased MMD² of the first ``first`` items against the rest: no item is paired with itself."""
    chosen = np.zeros((len(gram), 1))
    chosen[:first] = 1
    return float(_unbiased(_hollow(gram), chosen)[0])


def permutation_p(gram: NDArray, first: int, permutations: int, seed: int) -> float:
    """Share of random splits, the actual one included, whose unbiased MMD² is at least the actual one."""
    hollow, rng = _hollow(gram), np.random.default_rng(seed)
    chosen = np.zeros((len(gram), permutations + 1))
    chosen[:first] = 1
    chosen[:, 1:] = rng.permuted(chosen[:, 1:], axis=0)
    values = _unbiased(hollow, chosen)
    return float((values >= values[0] - 1e-12).mean())


def _unbiased(hollow: NDArray, chosen: NDArray) -> NDArray[np.float64]:
    """Unbiased MMD² of P splits at once; ``chosen`` (L, P) holds 1 where an item is of the first sample, else 0."""
    n = chosen[:, 0].sum()
    m = len(hollow) - n
    rows = hollow @ chosen
    first = (chosen * rows).sum(axis=0)
    cross = rows.sum(axis=0) - first
    second = hollow.sum() - first - 2 * cross
    return first / (n * (n - 1)) + second / (m * (m - 1)) - 2 * cross / (n * m)


def _hollow(gram: NDArray) -> NDArray[np.float64]:
    return gram - np.diag(np.diag(gram))


def _drawn(total: int, layouts: int, seed: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(seed).permutation(total)[:layouts])


def _check(real: LayoutSet, generated: LayoutSet, sigma: float | str) -> None:
    if real.classes != generated.classes:
        raise CellscaperError(f"mmd: classes {real.classes} against {generated.classes}; expected the same, in order")
    if min(len(real), len(generated)) < 2:
        raise CellscaperError(f"mmd: {len(real)} real and {len(generated)} generated layouts; needs two of each")
    if sigma != "median" and not (isinstance(sigma, int | float) and sigma > 0):
        raise CellscaperError(f"mmd: sigma {sigma!r}; expected a positive number or median")
