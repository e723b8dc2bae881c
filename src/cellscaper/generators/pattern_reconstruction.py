"""Pattern reconstruction (Tscheschel and Stoyan 2006): cells are moved until a layout has real tissue's statistics.

For each target the training window with the nearest counts is looked up. The requested cells start at random places,
and annealing moves them one at a time until the window's multi-type K functions, pair correlations and
nearest-neighbour functions are met. Counts are exact, and nothing is trained.

**It plays the metric game openly.** It minimises the very statistics that cross-K, pair correlation, nearest neighbour
and mixing measure (with kernels of its own, `reconstruction.functions`, which weigh pairs as `metrics.ripley` does). So
its good scores there say what can be had by aiming at the metrics. A trained generator that claims to have learned
tissue should do as well there and better in what this one does not aim at: spatial-FID, TopoFD, a detector's gain.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cellscaper.generators.protocol import Made, Request
from cellscaper.generators.reconstruction.annealing import Annealing, Wanted, wanted
from cellscaper.generators.reconstruction.functions import Bins
from cellscaper.generators.retrieval import window_counts
from cellscaper.generators.side_by_side import Stack, generate_side_by_side
from cellscaper.layouts import Layout, crop
from cellscaper.run.settings import Count
from cellscaper.run.settings import Settings as Block

DECODERS = ("points",)
START = 8.0  # px between any two cells of the start


class Settings(Block):
    """The windows that are searched, the functions that are met, and how long."""

    window_stride: Count = Field(8, description="px between the windows of the training images")
    pairs: int = Field(92, ge=2, description="px up to which K and pair correlation are met, at most half the region")
    nearest: int = Field(60, ge=2, description="px up to which nearest-neighbour functions are met")
    moves: Count = Field(200, description="tried moves of each cell")
    batch: Count = Field(64, description="layouts at a time")


def generate(request: Request) -> Made:
    """One layout for each target: its size and per-class counts, with the functions of a training window."""
    settings, classes = request.settings, request.targets.n_classes
    bins = Bins.up_to(classes, min(settings.pairs, request.region // 2), settings.nearest)
    windows = Windows(request)

    def run(stack: Stack, rngs: list[np.random.Generator], cells: NDArray) -> None:
        goals = [windows.goal(one, bins, rng) for one, rng in zip(stack.layouts(), rngs, strict=True)]
        Annealing(stack, goals, bins).run(rngs, settings.moves * cells)

    return generate_side_by_side(request, START, run)


class Windows:
    """The windows of the training images, by their counts."""

    def __init__(self, request: Request) -> None:
        self.train, self.region, stride = request.train, request.region, request.settings.window_stride
        self.places, counts = window_counts(request.train, request.region, stride, request.small)
        self.kinds, kind = np.unique(counts, axis=0, return_inverse=True)
        self.of_kind = np.split(np.argsort(kind, kind="stable"), np.bincount(kind).cumsum()[:-1])

    def goal(self, target: Layout, bins: Bins, rng: np.random.Generator) -> Wanted:
        """What the target's layout must meet: the functions of the window with the nearest counts.

        The nearest counts have the smallest L1 distance; among windows of equal distance the choice is random. Two
        classes of which this window has no pair take their functions from the window of the nearest counts among those
        that have one. Where no training window has one, nothing is asked.
        """
        counts = np.bincount(target.labels, minlength=bins.classes)
        away = np.abs(self.kinds - counts).sum(axis=1)
        nearest = self._draw(away, np.ones(len(away), bool), rng)
        has = np.bincount(nearest.labels, minlength=bins.classes)
        models: list[list[Layout | None]] = [[None] * (bins.classes + 1) for _ in range(bins.classes)]
        for i, j, least in _pairs(counts):
            able = (self.kinds >= least).all(axis=1) & (self.kinds.sum(axis=1) > 1)
            if (has >= least).all() and has.sum() > 1:
                models[i][j] = nearest
            elif able.any():
                models[i][j] = self._draw(away, able, rng)
        return wanted(counts, target.size, models, bins)

    def _draw(self, away: NDArray, able: NDArray, rng: np.random.Generator) -> Layout:
        """A window of the nearest counts among the kinds that are able."""
        kinds = np.flatnonzero(able & (away == away[able].min())).tolist()
        row, y, x = self.places[rng.choice(np.concatenate([self.of_kind[k] for k in kinds]))].tolist()
        return crop(self.train.layout(row), y, x, self.region, self.region)


def _pairs(counts: NDArray) -> Iterator[tuple[int, int, NDArray]]:
    """Each two classes with a pair of cells among ``counts`` (C,), and the counts (C,) of which one is a pair; a class
    with any (number C) needs two cells in all, of which one is of the class."""
    one = np.eye(len(counts), dtype=np.int64)
    for i in range(len(counts)):
        for j in range(i, len(counts)):
            if (counts >= one[i] + one[j]).all():
                yield i, j, one[i] + one[j]
        if counts[i] and counts.sum() > 1:
            yield i, len(counts), one[i]
