"""Score files: tidy CSV with one row for each metric and class, the source of tables and figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cellscaper.disk.checked_csv import CHECK, with_checks
from cellscaper.disk.files import write_text

FIELDS = ("dataset", "experiment", "decoder", "detector", "seed", "metric", "class", "value", "n")
HEADER = (*FIELDS, CHECK)


def write_scores(path: Path, about: Mapping[str, Any], scores: Mapping[str, Mapping[str, float]], n: int) -> None:
    """Write {metric: {class: value}} of one experiment.

    ``about`` holds dataset, experiment, seed, and ``decoder`` (for generated layouts) or ``detector`` (for
    detections); the other column is empty. ``n`` is the number of layouts or images behind each value.
    Class ``total`` is written as an empty class.
    """
    rows = []
    for metric, by_class in scores.items():
        for name, value in by_class.items():
            row = {"metric": metric, "class": "" if name == "total" else name, "value": repr(float(value)), "n": n}
            rows.append([str({"decoder": "", "detector": "", **about, **row}[field]) for field in FIELDS])
    write_text(path, with_checks(FIELDS, rows))
