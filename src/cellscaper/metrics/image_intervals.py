"""How much would a score of layouts change with other test images? A bootstrap over images (Efron and Tibshirani 1993).

Windows of one image are alike, so whole images are drawn with replacement, and each metric is computed again on the
windows of the drawn images. Fréchet distances and MMD of resampled sets lie higher than those of the sets themselves,
because equal layouts stand on one side. So the interval is not made of percentiles: it is the score ± 1.96 standard
deviations of the resamples.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.bootstrap import image_weights
from cellscaper.metrics.protocol import Comparison, Scores
from cellscaper.run.progress import Progress

NORMAL = 1.959964  # quantile of the 95 % interval
Score = Callable[[Comparison], Scores]
Intervals = dict[tuple[str, str], tuple[float, float]]  # (metric, class) → low, high


def image_intervals(score: Score, comparison: Comparison, resamples: int, seed: int = 0, threads: int = 1) -> Intervals:
    """The 95 % interval of each value that ``score`` gives, class ``total`` as ''.

    ``comparison``: L real layouts and the L made for them; ``source`` of the real ones is their image. A reference of
    other layouts is drawn by its own images. A resample on which the metric is undefined is left out; a value with
    fewer than half of its resamples has no interval. CellscaperError for fewer than two images.
    """
    images = len(np.unique(comparison.real.source))
    if images < 2:
        raise CellscaperError(f"bootstrap over images: {images} image behind the layouts, expected at least two")
    tasks = [delayed(_resampled)(score, comparison, draw) for draw in np.random.SeedSequence(seed).spawn(resamples)]
    drawn: list[Scores] = []
    with Progress(resamples, "resamples") as progress:
        for one in Parallel(n_jobs=threads, batch_size=1, return_as="generator")(tasks):
            drawn.append(one)
            progress.update()
    whole, found = score(replace(comparison, threads=1)), {}
    for metric, by_class in whole.items():
        for name, value in by_class.items():
            values = np.array([one.get(metric, {}).get(name, np.nan) for one in drawn])
            values = values[np.isfinite(values)]
            if np.isfinite(value) and len(values) >= max(2, resamples / 2):
                half = NORMAL * float(values.std(ddof=1))
                found[metric, "" if name == "total" else name] = (value - half, value + half)
    return found


def _resampled(score: Score, comparison: Comparison, draw: np.random.SeedSequence) -> Scores:
    rng = np.random.default_rng(draw)
    rows = drawn_rows(comparison.real.source, rng)
    real = comparison.real[rows]
    reference = comparison.reference
    if reference is comparison.real:
        reference = real
    elif reference is not None:
        reference = reference[drawn_rows(reference.source, rng)]
    try:
        return score(replace(comparison, real=real, made=comparison.made[rows], reference=reference, threads=1))
    except CellscaperError:  # too few layouts for the metric
        return {}


def drawn_rows(source: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """The rows of all layouts of images drawn with replacement; ``source`` (L,) is each layout's image."""
    images, image = np.unique(source, return_inverse=True)
    chosen = rng.integers(len(images), size=len(images))
    return np.concatenate([np.flatnonzero(image == one) for one in chosen])


def count_intervals(
    counts: NDArray, names: Sequence[str], score: Callable[[NDArray], NDArray], resamples: int, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """The same for a score of counts added up over images: counts (S, L, …) of S trainings on L images.

    ``score`` takes counts (…) with leading axes to (…, K), ``names`` are the K values. CellscaperError for one image.
    """
    counts = np.asarray(counts, np.float64)
    if counts.shape[1] < 2:
        raise CellscaperError(f"bootstrap over images: {counts.shape[1]} image, expected at least two")
    weights = image_weights(counts.shape[1], resamples, seed)
    drawn = score(np.einsum("bl,sl...->bs...", weights, counts)).mean(axis=1)  # (resamples, K)
    whole = score(counts.sum(axis=1)).mean(axis=0)
    half = NORMAL * np.nanstd(drawn, axis=0, ddof=1)
    return {name: (float(v - h), float(v + h)) for name, v, h in zip(names, whole, half, strict=True)}


def images_of(layouts: LayoutSet) -> int:
    """The number of images that layouts come from."""
    return len(np.unique(layouts.source))
