"""How long the jobs of a run took, from Snakemake's benchmark files."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cellscaper.errors import CellscaperError
from cellscaper.run import progress


@dataclass(frozen=True)
class JobTime:
    """One job: rule, what it was for, wall and CPU seconds, peak memory in MB (NaN where not measured)."""

    rule: str
    name: str
    seconds: float
    cpu: float
    memory: float


def job_times(results: Path, datasets: Iterable[str]) -> list[JobTime]:
    """The jobs of the datasets, in order of rule and name.

    A job that was stopped and resumed has the time of its last part only.
    """
    found = []
    for dataset in datasets:
        folder = results / dataset / "benchmarks"
        for file in sorted(folder.rglob("*.tsv")):
            parts = file.relative_to(folder).with_suffix("").parts
            found.append(_job_time(file, _rule_of(parts), "/".join([dataset, *parts[1:]])))
    return sorted(found, key=lambda job: (job.rule, job.name))


def _rule_of(parts: tuple[str, ...]) -> str:
    """The rule whose benchmark this is; tables and figures share folders."""
    if parts[0] == "tables":
        return "draw_table" if parts[-1].endswith("-picture") else "make_tables"
    if parts[0] == "figures":
        kind = parts[1].split("-")[0]
        return "draw_training" if kind.startswith("train") else f"draw_{kind}"
    return parts[0]


def _job_time(file: Path, rule: str, name: str) -> JobTime:
    try:
        with open(file, newline="", encoding="utf-8") as text:
            row = next(csv.DictReader(text, delimiter="\t"))
        return JobTime(rule, name, _number(row["s"]), _number(row["cpu_time"]), _number(row["max_rss"]))
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise CellscaperError(f"{file} is no benchmark file of Snakemake ({error}); delete it") from error


def _number(text: str) -> float:
    return float("nan") if text in ("-", "NA", "", None) else float(text)


def duration(seconds: float) -> str:
    """Seconds for people: as :func:`cellscaper.run.progress.duration`, but finer below 10 s; – if unknown."""
    if math.isnan(seconds):
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return progress.duration(seconds)


@dataclass(frozen=True)
class RuleTime:
    """All jobs of a rule: number, CPU and wall seconds, wall seconds of the longest job, highest peak memory in MB."""

    rule: str
    jobs: int
    cpu: float
    seconds: float
    longest: float
    memory: float


def by_rule(times: Sequence[JobTime]) -> list[RuleTime]:
    """The times of each rule, most CPU time first. A time that was not measured counts as 0."""
    found: dict[str, list[JobTime]] = {}
    for one in times:
        found.setdefault(one.rule, []).append(one)

    def known(values: list[float]) -> list[float]:
        return [value for value in values if not math.isnan(value)] or [0.0]

    rows = [
        RuleTime(
            rule,
            len(jobs),
            sum(known([one.cpu for one in jobs])),
            sum(known([one.seconds for one in jobs])),
            max(known([one.seconds for one in jobs])),
            max(known([one.memory for one in jobs])),
        )
        for rule, jobs in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.cpu, row.rule))


def times_note(rules: Sequence[RuleTime]) -> str:
    """What all jobs took together, and what this does not count."""
    cpu, wall, jobs = (sum(values) for values in zip(*((row.cpu, row.seconds, row.jobs) for row in rules), strict=True))
    return (
        f"{jobs:.0f} jobs took {duration(cpu)} of CPU time, and {duration(wall)} of wall time one after the other, by "
        "the benchmark files in the results folder. These files count jobs of earlier configurations, too. A job that "
        "was stopped and resumed has the time of its last part only. This page and the gallery are not counted."
    )
