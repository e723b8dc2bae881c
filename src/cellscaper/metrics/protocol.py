"""The names that a metric's file defines: its settings, the columns of tables, and the scores of one comparison.

Settings                 the metric's block in ``metrics``
COLUMNS                  the scores that tables show, by name: label, direction, caveat
score(comparison, settings)  {name: {class, pair of classes or "total": value, …, "mean": value}}
promised(settings)       the names in COLUMNS that these settings make; without such a function, all of them

Metrics of detections (`detection`) and of images (`image_quality`, `image_copies`) say so in ``OF``. They have
stages of their own in place of ``score``.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.run.progress import log
from cellscaper.run.settings import Fraction, Settings
from cellscaper.views.grid import Grid

Scores = dict[str, dict[str, float]]


class Reading(Settings):
    """How generated maps were decoded, so that real layouts are counted in the same way; no grid for placed points."""

    grid: Grid | None = None
    threshold: Fraction = 0.5


class Column(NamedTuple):
    """A score that tables show. ``caveat``: what a reader must know before comparing two of its numbers."""

    label: str
    higher_is_better: bool = False
    caveat: str = ""


@dataclass(frozen=True)
class Comparison:
    """Generated layouts, real layouts to compare them with, and further inputs of metrics.

    real, made   (L) layouts each, row by row: the real layout, and the layout made for its counts
    reference    real layouts that the distribution of ``made`` is compared with; without one, ``real``
    windows      all test windows; ``train``: the cells of the training images
    tests        the test windows where the reference is another set, or None
    decoder      how the maps of ``made`` were read; ``grid`` and ``threshold``: see `Reading`
    network      weights of the feature network of spatial-FID
    threads      processes that may share the work; ``gpus``: GPUs that a feature network may use
    """

    real: LayoutSet
    made: LayoutSet
    windows: LayoutSet
    train: LayoutSet
    decoder: str
    grid: Grid | None = None
    threshold: float = 0.5
    network: Path | None = None
    threads: int = 1
    gpus: int = 0
    reference: LayoutSet | None = None
    tests: LayoutSet | None = None

    @property
    def distribution(self) -> LayoutSet:
        """The real layouts whose distribution the generated ones should have."""
        return self.real if self.reference is None else self.reference


def against_tests(
    comparison: Comparison, name: str, needed: int, found: Mapping[str, float], compute: Callable[[LayoutSet], Scores]
) -> Scores:
    """The score ``<name>_test``, the same distance to the test windows, whatever the reference is.

    ``found`` is the score against the reference; it is this one, too, where the reference are the test windows. NaN,
    with a log line, if there are fewer test windows than ``needed``.
    """
    if comparison.tests is None:
        return {f"{name}_test": dict(found)}
    if len(comparison.tests) < needed:
        log(f"{name}_test: {len(comparison.tests)} test windows, needs {needed}; left out")
        return {f"{name}_test": dict.fromkeys(found, math.nan)}
    return {f"{name}_test": compute(comparison.tests)[name]}


class Metric(Protocol):
    """The module of a metric of layouts."""

    COLUMNS: dict[str, Column]

    def score(self, comparison: Comparison, settings: Any) -> Scores: ...


def all_scores(name: str, metric: Metric, comparison: Comparison, settings: Any) -> Scores:
    """The scores of a metric; CellscaperError if one that it promises is not among them."""
    found = metric.score(comparison, settings)
    promised = metric.promised(settings) if hasattr(metric, "promised") else metric.COLUMNS.keys()
    missing = promised - found.keys()
    if missing:
        raise CellscaperError(
            f"metrics/{name}.py: COLUMNS has {', '.join(sorted(missing))}, and `score` returned {', '.join(found)}; "
            "give both the same names"
        )
    return found
