"""From a number of the report to its origin: experiment, configuration keys, rules, logs, score files, commit."""

import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cellscaper.plan.origins import Job, Origin, metric_key
from cellscaper.report.pages.origin import file_record
from cellscaper.report.tables.build import collect
from cellscaper.report.tables.text import decimals

Commits = dict[str, str]  # file → the commit that it carries, '' for a file without provenance


@dataclass(frozen=True)
class Line:
    """A number of a row: its id in the page, its column, its score, the key of its metric, its value for each seed."""

    id: str
    column: str
    score: str
    key: str
    values: list[str]


@dataclass(frozen=True)
class JobLink:
    """A job with its file and its log, as links from the report; ``log`` is '' where there is none."""

    rule: str
    seed: int
    file: str
    log: str
    commit: str


@dataclass(frozen=True)
class Panel:
    """The origin of a row's numbers, of one decoder or detector."""

    id: str
    back: str  # the id of the row in the page
    title: str
    facts: list[tuple[str, str]]
    seeds: list[int]
    lines: list[Line]
    jobs: list[JobLink]


def cell_id(dataset: str, table: str, row: object, column: int) -> str:
    """The id of a number's origin in the page."""
    return f"{row_id(dataset, table, row)}-{column}"


def row_id(dataset: str, table: str, row: object) -> str:
    """The id of a row of a table in the page."""
    return f"row-{dataset}-{table}-{row}"


def panels(
    frame: pd.DataFrame,
    dataset: str,
    table: str,
    origins: Mapping[tuple[str, str], Origin],
    results: Path,
    commits: Commits,
) -> list[Panel]:
    """The origins of all numbers of a built table.

    ``origins`` come from `plan.origins`, with paths below ``results``; ``commits`` keeps what was read. A score file
    that is there no more leaves its values empty.
    """
    reader = "detector" if "detector" in frame else "decoder"
    files = {Path(job.file) for one in origins.values() for job in one.scores}
    scores = collect(sorted(file for file in files if file.exists()))
    found: dict[tuple[str, str], Panel] = {}
    for _, part in frame.groupby("row", sort=False):
        for place, cell in enumerate(part.to_dict("records")):
            name = (str(cell["row"]), str(cell[reader]))
            if cell["status"] != "ok" or name not in origins:
                continue
            origin = origins[name]
            if name not in found:
                found[name] = _panel(cell, dataset, table, origin, results, commits)
            found[name].lines.append(_line(cell, cell_id(dataset, table, cell["row"], place), origin, scores, reader))
    return list(found.values())


def _panel(cell: Any, dataset: str, table: str, origin: Origin, results: Path, commits: Commits) -> Panel:
    jobs = [_link(job, results, commits) for job in origin.jobs]
    made = dict.fromkeys(job.commit for job in jobs if job.commit)
    facts = [
        ("experiment", origin.experiment),
        ("read by", origin.reader),
        ("configuration", ", ".join(origin.keys)),
        ("scored by", f"rule {origin.scores[0].rule}, module cellscaper.stages.{origin.scores[0].rule}"),
        ("commit", ", ".join(made) or "unknown"),
    ]
    back = row_id(dataset, table, cell["row"])
    return Panel(
        f"{back}-{origin.reader}", back, cell["row_label"], facts, [job.seed for job in origin.scores], [], jobs
    )


def _line(cell: Any, name: str, origin: Origin, scores: pd.DataFrame, reader: str) -> Line:
    chosen = (scores["experiment"] == origin.scored) & (scores[reader] == origin.reader)
    own = scores[chosen & (scores["metric"] == cell["metric"]) & (scores["class"] == cell["class"])]
    values = dict(zip(own["seed"], own["value"], strict=True))
    score = f"{cell['metric']} {cell['class']}".strip()
    shown = [_number(values.get(job.seed)) for job in origin.scores]
    return Line(name, cell["column_label"], score, metric_key(cell["metric"]), shown)


def _number(value: float | None) -> str:
    """Two digits more than the table shows; – for a score that is not there."""
    return "–" if value is None else f"{value:.{decimals(value) + 2}f}".replace("-", "−")


def _link(job: Job, results: Path, commits: Commits) -> JobLink:
    file = Path(job.file)
    if job.file not in commits:
        has_record = file.suffix in (".h5", ".safetensors") and file.exists()
        commits[job.file] = str(file_record(file).get("git", "")) if has_record else ""
    log = os.path.relpath(job.log, results) if Path(job.log).exists() else ""
    return JobLink(job.rule, job.seed, os.path.relpath(file, results), log, commits[job.file])


def linked_files(every: Sequence[Panel]) -> list[str]:
    """All files and logs that panels link to, each once, relative to the report."""
    return sorted({name for one in every for job in one.jobs for name in (job.file, job.log) if name})
