"""Scores that a stage keeps next to its output, metric by metric, so that a new metric does not repeat the others."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cellscaper.disk.files import checksum, write_text
from cellscaper.plan.provenance import code, digest
from cellscaper.run.progress import log

Scores = dict[str, dict[str, float]]


def kept_scores(folder: Path, key: str, metric: str, compute: Callable[[], Scores]) -> Scores:
    """The scores of ``metric`` that ``folder`` holds under this key; if there are none, they are computed and kept.

    A file that is damaged or has another key is replaced.
    """
    path = folder / f"{metric}.json"
    kept = _read(path)
    if kept.get("key") == key and "scores" in kept and kept.get("sum") == digest(kept["scores"]):
        log(f"{metric}: kept from an earlier run")
        return kept["scores"]
    scores = compute()
    write_text(path, json.dumps({"key": key, "sum": digest(scores), "scores": scores}) + "\n")
    return scores


def metric_key(stage: str, section: Any, reading: Any, inputs: dict[str, Path]) -> str:
    """A digest of all that a metric's scores depend on: code, settings, files.

    ``section`` is the metric's; its ``network`` names the method of the metric's feature network, if it has one.
    """
    networks = [f"features.{section['network']}"] if "network" in section else []
    modules = [f"metrics.{section['method']}", *networks]
    sums = {name: checksum(file) for name, file in inputs.items()}
    return digest(
        [code(f"cellscaper.stages.{stage}", *(f"cellscaper.{one}" for one in modules)), section, reading, sums]
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
