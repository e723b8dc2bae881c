"""TopoFD: distance between the holes of two sets of layouts (TC, Eq. 11-12; docs/methods.md, section 9.3).

Each class of each layout becomes the 1-dimensional persistence diagram of its cell centres, and the diagram becomes a
persistence landscape. The score is the Fréchet distance of the two sets of landscapes. Three protocols:

============== ======================= ============== ======================== ==============================
protocol       metric                  complex        landscape's axis         mean
============== ======================= ============== ======================== ==============================
paper          topofd                  alpha, radii   one for all, 0 to limit  landscape of the barycentre
released       topofd_released         Rips, lengths  each diagram's own       the same, from the first diagram
mean_landscape topofd_mean_landscape   alpha, radii   one for all, 0 to limit  mean of the landscapes
============== ======================= ============== ======================== ==============================

All protocols use the covariance of the single landscapes around *their* mean. With a barycentre, mean and covariance
therefore do not belong to the same Gaussian. A barycentre keeps only holes that many layouts share, so most of its
landscape is near zero and the covariances make up most of the value. Protocol mean_landscape has neither weakness, but
it is not the papers' number.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from pydantic import Field

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.frechet import frechet_distance, gaussian
from cellscaper.metrics.landscapes import landscapes, own_axis_landscapes
from cellscaper.metrics.protocol import Column, Comparison, Scores, against_tests
from cellscaper.run.progress import Progress
from cellscaper.run.settings import Positive
from cellscaper.run.settings import Settings as Block
from cellscaper.topology.barycentre import Barycentre, barycentre
from cellscaper.topology.persistence import alpha_diagrams, rips_diagrams
from cellscaper.topology.transport import Backend

METRICS = {"paper": "topofd", "released": "topofd_released", "mean_landscape": "topofd_mean_landscape"}
SAMPLES = 100  # samples of a landscape, as in the released code

Diagrams = list[list[NDArray[np.float64]]]  # a list for each class and side: real, generated, real, generated, …


_SAME_NUMBER = (
    "TopoFD depends on the number of layouts and on the axis of the landscapes: compare only rows where both agree"
)
COLUMNS = {
    "topofd": Column("TopoFD", caveat=_SAME_NUMBER),
    "topofd_test": Column("TopoFD, test windows", caveat=_SAME_NUMBER),
    "topofd_released": Column("TopoFD, released", caveat=_SAME_NUMBER),
    "topofd_mean_landscape": Column("TopoFD, mean landscape", caveat=_SAME_NUMBER),
}


class Settings(Block):
    """Samples of the landscapes, and the protocols."""

    samples: int = Field(SAMPLES, ge=2, description="samples of a landscape; each side needs at least as many layouts")
    limit: Positive | None = Field(None, description="px: the common axis is 0…limit; null: half the layouts' side")
    protocols: tuple[Literal["paper", "released", "mean_landscape"], ...] = Field(
        ("paper", "released", "mean_landscape"),
        min_length=1,
        description="paper: TC Eq. 11 and 12; released: the authors' code; mean_landscape: without barycentre",
        json_schema_extra={"uniqueItems": True},
    )
    matching: Literal["own", "pot"] = Field(
        "own", description="matchings of the barycentres; own: scipy's assignment; pot: POT's exact transport"
    )


def score(comparison: Comparison, settings: Settings) -> Scores:
    """TopoFD by each protocol; the protocol ``paper`` also against the test windows. NaN for those not asked for."""
    absent = [name for protocol, name in METRICS.items() if protocol not in settings.protocols]
    absent += [f"{METRICS['paper']}_test"] if "paper" not in settings.protocols else []
    left_out = {name: dict.fromkeys([*comparison.made.classes, "mean"], math.nan) for name in absent}

    def to(real: LayoutSet, protocols: Sequence[str]) -> Scores:
        return topofd(real, comparison.made, **{**dict(settings), "protocols": protocols}, threads=comparison.threads)

    found = to(comparison.distribution, settings.protocols) | left_out
    name = METRICS["paper"]
    if name in left_out:
        return found
    return found | against_tests(comparison, name, settings.samples, found[name], lambda real: to(real, ["paper"]))


def topofd(
    real: LayoutSet,
    generated: LayoutSet,
    samples: int = SAMPLES,
    limit: float | None = None,
    protocols: Sequence[str] = tuple(METRICS),
    matching: Backend = "own",
    threads: int = 1,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Fréchet distance of landscapes for each class, and its mean over the classes; 0 is best.

    The landscapes have ``samples`` values, up to ``limit`` px in radius on the common axis (None: half the shortest
    side of the real layouts). ``matching``: solver of the barycentres' matchings
    (:func:`cellscaper.topology.matching.assign`). ``threads`` processes share the barycentres; the values depend on
    ``seed`` alone.

    Returns ``{metric: {class: value, …, "mean": value}}`` in px², squared as FID is, for each of ``protocols``; with a
    barycentre also ``{metric}_objective_real`` and ``…_objective_generated``: the mean squared Wasserstein-2 distance
    of the diagrams to the barycentre, px². Raises
    CellscaperError if the classes differ, a protocol is not known or a side has fewer layouts than ``samples``
    (its covariance would not have full rank).
    """
    _check(real, generated, samples, protocols)
    end = float(real.size.min()) / 2 if limit is None else limit
    alpha = _diagrams(real, generated, alpha_diagrams) if {"paper", "mean_landscape"} & set(protocols) else []
    found = {}
    for protocol in protocols:
        diagrams = _diagrams(real, generated, rips_diagrams) if protocol == "released" else alpha
        gaussians = [gaussian(_sampled(protocol, one, samples, end)) for one in diagrams]
        if protocol != "mean_landscape":
            centres = _barycentres(diagrams, protocol == "released", threads, seed, matching)
            for side, ours in (("real", centres[0::2]), ("generated", centres[1::2])):
                found[f"{METRICS[protocol]}_objective_{side}"] = _by_class([c.objective for c in ours], real.classes)
            means = [_sampled(protocol, [one.diagram], samples, end)[0] for one in centres]
            gaussians = [(mean, cov) for mean, (_, cov) in zip(means, gaussians, strict=True)]
        pairs = zip(gaussians[0::2], gaussians[1::2], strict=True)
        found[METRICS[protocol]] = _by_class([frechet_distance(*one, *two) for one, two in pairs], real.classes)
    return found


def _check(real: LayoutSet, generated: LayoutSet, samples: int, protocols: Sequence[str]) -> None:
    if unknown := [one for one in protocols if one not in METRICS]:
        raise CellscaperError(f"topofd: protocol {unknown[0]!r} is not known; expected some of {', '.join(METRICS)}")
    if real.classes != generated.classes:
        raise CellscaperError(
            f"topofd: classes {real.classes} against {generated.classes}; expected the same, in order"
        )
    for side, layouts in (("real", real), ("generated", generated)):
        if len(layouts) < samples:
            raise CellscaperError(
                f"topofd: {len(layouts)} {side} layouts, needs at least {samples} for {samples} samples of a "
                "landscape; give more layouts or fewer samples"
            )


def _diagrams(real: LayoutSet, generated: LayoutSet, make: Callable[[LayoutSet, int], list[NDArray]]) -> Diagrams:
    return [make(side, label) for label in range(real.n_classes) for side in (real, generated)]


def _sampled(protocol: str, diagrams: list[NDArray], samples: int, limit: float) -> NDArray[np.float64]:
    if protocol == "released":
        return own_axis_landscapes(diagrams, samples)
    return landscapes(diagrams, np.linspace(0, limit, samples))


def _barycentres(diagrams: Diagrams, from_first: bool, threads: int, seed: int, matching: Backend) -> list[Barycentre]:
    """One barycentre for each list of diagrams; the largest lists come first, so that no process waits for long."""
    order = np.argsort([-sum(len(one) for one in some) for some in diagrams], kind="stable")
    starts = [diagrams[i][0] if from_first else None for i in order]
    tasks = [
        delayed(barycentre)(diagrams[i], seed=seed, initial=start, matching=matching)
        for i, start in zip(order, starts, strict=True)
    ]
    found: list[Barycentre] = []
    with Progress(len(tasks), "barycentres") as progress:
        for one in Parallel(n_jobs=threads, batch_size=1, return_as="generator")(tasks):
            found.append(one)
            progress.update()
    return [found[i] for i in np.argsort(order)]


def _by_class(values: list[float], classes: Sequence[str]) -> dict[str, float]:
    return {**dict(zip(classes, values, strict=True)), "mean": float(np.mean(values))}
