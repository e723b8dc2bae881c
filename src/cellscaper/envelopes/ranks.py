"""Global envelope tests by extreme rank lengths (Myllymäki et al. 2017), for many functions together.

A function is a row of values; row 0 is that of the data, the others are those of simulated layouts. Curves are ordered
by how extreme they are: first by their most extreme pointwise rank, then by how many points share it, and so on. The
envelope of a level holds the curves that are not too extreme, so that all radii are tested at once.

Several functions are combined in two steps (Mrkvička et al. 2017): each function gives every layout one measure, and
the measures of all functions are ordered in the same way. So each function has the same weight, whatever its number of
points. Nothing here is random.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]


def extreme_rank_lengths(values: Floats, two_sided: bool = True) -> Floats:
    """(S,) the share of the rows of ``values`` (S, R) that are more extreme than each row; 0 for the most extreme.

    Ranks of equal values are their mean; without ``two_sided`` only small values are extreme. NaN has the middle rank.
    """
    rows = len(values)
    missing = np.isnan(values)
    rank = rankdata(np.where(missing, np.inf, values), axis=0)
    if two_sided:
        known = rows - missing.sum(axis=0)
        rank = np.minimum(rank, known + 1 - rank)
    rank[missing] = (rows + 1) / 2
    rank.sort(axis=1)
    place, many = np.unique(rank, axis=0, return_inverse=True, return_counts=True)[1:]
    before = np.concatenate([[0], np.cumsum(many)[:-1]])
    return before[place.reshape(-1)] / rows


def p_value(measures: Floats) -> float:
    """The share of the rows that are at least as extreme as row 0: ties count against the data."""
    return float((measures <= measures[0]).mean())


def critical(measures: Floats, level: float) -> float:
    """The largest measure that at most a share ``level`` of all rows stays below."""
    ordered = np.sort(measures)
    return float(ordered[int(np.floor(level * len(ordered) + 1e-9))])


@dataclass(frozen=True, eq=False)
class Envelope:
    """The global envelope of one function: ``low``, ``middle`` (median of the simulated curves) and ``high`` (R,).

    ``p``: of this function alone. ``outside`` (R,) int: -1 where the data lie below, 1 above, 0 inside.
    """

    low: Floats
    middle: Floats
    high: Floats
    p: float
    outside: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tested:
    """p of all functions together, and an envelope for each; groups have a p of their own, by name."""

    p: float
    envelopes: list[Envelope]
    groups: dict[str, float]


def global_test(functions: Sequence[Floats], groups: Sequence[str], level: float) -> Tested:
    """Test all ``functions``, each (S, R) with the data in row 0; ``groups`` names the statistic of each.

    The envelopes hold jointly: under the null model, a share ``level`` of layouts leaves any of them.
    ValueError without functions, or if S · level < 1, where no test can reject.
    """
    if not functions or len(functions[0]) * level < 1 - 1e-9:
        raise ValueError("no functions, or too few rows for the level")
    alone = np.stack([extreme_rank_lengths(one) for one in functions], axis=1)  # (S, F)
    joint = _combined(alone)
    inside = joint >= critical(joint, level)
    limits = alone[inside].min(axis=0)
    envelopes = []
    for one, measure, limit in zip(functions, alone.T, limits, strict=True):
        kept = np.where((measure >= limit)[:, None], one, np.nan)
        low, high = _extreme(kept, np.fmin), _extreme(kept, np.fmax)
        with np.errstate(invalid="ignore"):
            outside = (one[0] > high).astype(np.int64) - (one[0] < low)
        envelopes.append(Envelope(low, _median(one[1:]), high, p_value(measure), outside))
    names = list(dict.fromkeys(groups))
    rows = {name: [i for i, group in enumerate(groups) if group == name] for name in names}
    return Tested(p_value(joint), envelopes, {name: p_value(_combined(alone[:, rows[name]])) for name in names})


def _combined(measures: Floats) -> Floats:
    return extreme_rank_lengths(measures, two_sided=False)


def _extreme(kept: Floats, which: np.ufunc) -> Floats:
    """The least or greatest value of each column that is not NaN; NaN for a column without one."""
    return np.asarray(which.reduce(kept, axis=0), np.float64)


def _median(values: Floats) -> Floats:
    """The median of each column without its NaN; NaN for a column without values."""
    ordered = np.sort(values, axis=0)  # NaN last
    known = (~np.isnan(values)).sum(axis=0)
    columns = np.arange(values.shape[1])
    middle = [ordered[np.maximum(place, 0), columns] for place in ((known - 1) // 2, known // 2)]
    last = np.where(known > 0, middle[1], np.nan)
    return (middle[0] + last) / 2
