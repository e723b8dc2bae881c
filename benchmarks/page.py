"""All speed claims on one page: runs the benchmarks one after the other and writes a table of what they found.

    python benchmarks/page.py [--quick] [--only NAME …] [--page FILE]

Each pair of a row was measured in one process or process tree, its sides in turns: ratios hold on a machine that others
use, absolute times do not. Ends with 1 where a goal is missed. `tmccg.py` (a quality, half an hour) and
`point_diffusion_curves.py` (needs a training's snapshots) are not among them.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from outcome import VARIABLE, Outcome, read

HERE = Path(__file__).resolve().parent
NAMES = ("unet_step", "topology_loss", "topofd", "density", "point_diffusion", "seams", "threads", "planning")


@dataclass(frozen=True)
class Run:
    """A benchmark's outcomes, wall seconds and exit status."""

    name: str
    outcomes: list[Outcome]
    seconds: float
    status: int


def run(name: str, quick: bool) -> Run:
    """Run a benchmark, its output passed through."""
    command = [sys.executable, str(HERE / f"{name}.py"), *(["--quick"] if quick else [])]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "outcomes.jsonl"
        began = time.monotonic()
        status = subprocess.run(command, env={**os.environ, VARIABLE: str(file)}, check=False).returncode
        return Run(name, read(file), time.monotonic() - began, status)


def verdict(one: Outcome) -> str:
    if one.goal is None:
        return "–"
    return f"{'≤' if one.at_most else '≥'} {one.goal:,g}: {'reached' if one.ok else '**SHORT**'}"


def render(runs: list[Run], about: dict[str, str]) -> str:
    """The page, Markdown."""
    lines = ["# Benchmarks", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in about.items()]
    lines += ["", "| what | against | ratio, median (least to largest, n) | goal | |", "|---|---|---|---|---|"]
    for one in (outcome for done in runs for outcome in done.outcomes):
        spread = f" ({one.low:,.3g} to {one.high:,.3g}, {one.n})" if one.n > 1 else ""
        lines.append(f"| {one.what} | {one.against} | {one.ratio:,.3g}{spread} | {verdict(one)} | {one.note} |")
    lines += ["", "| benchmark | wall s | peak MB of its main process | |", "|---|---|---|---|"]
    for done in runs:
        broken = not done.outcomes or (done.status and all(one.ok for one in done.outcomes))
        failed = f"ended with {done.status} before its last outcome" if broken else ""
        peak = f"{max(one.peak for one in done.outcomes):.0f}" if done.outcomes else "–"
        lines.append(f"| `{done.name}.py` | {done.seconds:.0f} | {peak} | {failed} |")
    return "\n".join(lines) + "\n"


def about(quick: bool) -> dict[str, str]:
    """Machine, versions and commit."""
    info = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "command": f"`python benchmarks/page.py{' --quick' if quick else ''}`",
        "machine": f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores; GPU: {gpu}",
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}",
        "commit": commit or "unknown",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="every benchmark's own --quick")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="some of them")
    parser.add_argument("--page", type=Path, default=Path("results/benchmarks.md"), help="file to write")
    args = parser.parse_args()
    facts, runs = about(args.quick), []
    for name in args.only:
        print(f"== {name}", flush=True)
        runs.append(run(name, args.quick))
        args.page.parent.mkdir(parents=True, exist_ok=True)
        args.page.write_text(render(runs, facts), encoding="utf-8")  # whole after each: the rest may take an hour
    print(f"{args.page}: {sum(len(done.outcomes) for done in runs)} rows")
    return int(any(done.status for done in runs))


if __name__ == "__main__":
    sys.exit(main())
