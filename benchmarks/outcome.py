"""How a benchmark ends: a last line with its verdict, an exit status, and a line of JSON for the page.

A benchmark calls :func:`report` once for each ratio, the last time with ``return report(…)`` from ``main``. Where the
variable CELLSCAPER_OUTCOMES names a file (`benchmarks/page.py` sets it), the outcome is appended to that file.
"""

import json
import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "CELLSCAPER_OUTCOMES"


@dataclass(frozen=True)
class Outcome:
    """One row of the page.

    what, against   the two sides of the ratio; ``against`` is empty where there is one side alone
    ratio           median; low, high: least and largest of ``n`` values (1: the pair gives one value)
    goal            None where none was set; ``at_most``: the ratio must not exceed it
    ok              the goal, and whatever else the benchmark demands, is reached
    note            what a reader of the ratio must know
    peak            MB: the most memory of the benchmark's own process so far
    """

    name: str
    what: str
    against: str
    ratio: float
    low: float
    high: float
    n: int
    goal: float | None
    at_most: bool
    ok: bool
    note: str
    peak: float


def report(
    name: str,
    what: str,
    against: str,
    ratios: float | Sequence[float],
    goal: float | None,
    *,
    at_most: bool = False,
    ratio: float | None = None,
    also: bool = True,
    note: str = "",
) -> int:
    """Print and record an outcome; 0 where it is reached, else 1.

    ratios: one value for each repetition of the pair. ``ratio`` is judged in place of their median (a ratio of sums,
    say). ``also`` is what must hold besides the goal. A ratio that is not finite reaches nothing.
    """
    values = [float(one) for one in (ratios if isinstance(ratios, Sequence) else [ratios])]
    middle = float(statistics.median(values) if ratio is None else ratio)
    reached = goal is None or (middle <= goal if at_most else middle >= goal)
    ok = bool(reached and also and math.isfinite(middle))
    row = Outcome(
        name, what, against, middle, min(values), max(values), len(values), goal, at_most, ok, note, peak_memory()
    )
    if path := os.environ.get(VARIABLE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")
    wanted = "" if goal is None else f" goal={goal:g}{' (at most)' if at_most else ''}"
    print(f"{name} ratio={middle:.3g}{wanted} {'ok' if ok else 'SHORT'}", flush=True)
    return 0 if ok else 1


def peak_memory() -> float:
    """MB. Not getrusage's, which starts with what the parent had at the fork."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def read(path: Path) -> list[Outcome]:
    """The outcomes of a file that :func:`report` wrote; none where there is no file."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [Outcome(**json.loads(line)) for line in text.splitlines()]
