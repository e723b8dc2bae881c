"""The gain of a detector by generated pairs: each row's score minus the score of *real only*, by a paired bootstrap."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellscaper.disk.count_file import DETECTION, ImageCounts
from cellscaper.metrics.bootstrap import Difference, paired_differences
from cellscaper.metrics.detection import ratios
from cellscaper.report.tables.build import Block

REAL_ONLY = "real_only"
FEW_IMAGES = 20  # of fewer images, percentile intervals are too narrow: they see too little of the tails
GAIN_COLUMNS = ("gain", "gain_low", "gain_high", "gain_p")
_METRICS = {
    f"{name}{suffix}": (name, protocol)
    for name in ("precision", "recall", "f1")
    for protocol, suffix in (("paper", ""), ("released", "_released"))
}


def add_gains(
    frame: pd.DataFrame,
    table: Block,
    counts: Mapping[tuple[str, str, str], ImageCounts],
    radius: float,
    resamples: int,
) -> pd.DataFrame:
    """A built detection table with the columns ``gain``, ``gain_low``, ``gain_high``, ``gain_p``.

    NaN for the row *real only* itself, for rows that were not run, and without a *real only* of the same detector.
    The interval holds 95 % of the differences over resampled test images, see ``metrics/bootstrap.py``.
    """
    found: dict[tuple[str, str, str], dict[str, Difference]] = {}
    values = []
    for cell in frame.to_dict("records"):
        experiment = str((table["rows"][cell["row"]] or {}).get("experiment"))
        detector, metric = str(cell["detector"]), str(cell["metric"])
        name, protocol = _METRICS.get(metric, ("", ""))
        one, two = (counts.get((side, detector, protocol)) for side in (experiment, REAL_ONLY))
        if cell["status"] != "ok" or experiment == REAL_ONLY or one is None or two is None:
            values.append((np.nan,) * 4)
            continue
        key = (experiment, detector, metric)
        if key not in found:
            score = partial(_score, name=name, protocol=protocol)
            differences = paired_differences(one.at(radius), two.at(radius), score, resamples)
            found[key] = dict(zip([*one.classes, "mean", DETECTION], differences, strict=True))
        gain = found[key][cell["class"]]
        values.append((gain.value, gain.low, gain.high, gain.p))
    return frame.assign(**dict(zip(GAIN_COLUMNS, np.array(values, float).reshape(-1, 4).T, strict=True)))


def _score(pooled: NDArray[np.float64], name: str, protocol: str) -> NDArray[np.float64]:
    return ratios(pooled, protocol)[name]


def gain_note(images: int, resamples: int) -> str:
    """What the Δ in the cells means."""
    few = "; so few images make the intervals too narrow" if images < FEW_IMAGES else ""
    return (
        f"Δ: difference to “real only” [95 % interval] and two-sided p, by a paired bootstrap over the {images} test "
        f"images ({resamples} resamples){few}. The interval says what other images would change, not what other "
        "trainings would change"
    )
