"""All speed claims on one page: runs the benchmarks one after the other and writes a table of what they found.

    python benchmarks/page.py [--quick] [--only NAME …] [--model FILE] [--page FILE]

Each pair of a row was measured in one process or process tree, its sides in turns: ratios hold on a machine that others
use, absolute times do not. FILE are trained weights for `sampling.py`, which else trains a small network; where the
variable CELLSCAPER_BRCA_M2C names the data, `topofd.py` and `sampling.py` use them. Ends with 1 where a goal is missed.
`tmccg.py` (a quality, half an hour), `loss_gradients.py` (no speed) and `point_diffusion_curves.py` (needs a training's
snapshots) are not among them.
"""

import argparse
import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from outcome import VARIABLE, Outcome, read

HERE = Path(__file__).resolve().parent
NAMES = (
    "unet_step", "sampling", "topology_loss", "topofd", "density", "point_diffusion", "seams", "threads", "planning",
    "backends", "baselines", "painting",
)  # fmt: skip
LOOK = 0.2  # s between looks at the memory of a benchmark's processes


@dataclass(frozen=True)
class Run:
    """A benchmark's outcomes, wall seconds, exit status and the most memory of all its processes together, MB."""

    name: str
    outcomes: list[Outcome]
    seconds: float
    status: int
    peak: float


def run(name: str, *options: str) -> Run:
    """Run a benchmark, its output passed through."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "outcomes.jsonl"
        began, peak = time.monotonic(), 0.0
        process = subprocess.Popen(
            [sys.executable, str(HERE / f"{name}.py"), *options], env={**os.environ, VARIABLE: str(file)}
        )
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(LOOK)
        return Run(name, read(file), time.monotonic() - began, process.returncode, peak)


def memory(pid: int) -> float:
    """MB that a process and its descendants hold now; pages that they share count for each."""
    total = 0
    with contextlib.suppress(psutil.Error):
        main = psutil.Process(pid)
        for one in [main, *main.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += one.memory_info().rss
    return total / 2**20


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
    lines += ["", "| benchmark | wall s | peak MB, main process | all processes | |", "|---|---|---|---|---|"]
    for done in runs:
        broken = not done.outcomes or (done.status and all(one.ok for one in done.outcomes))
        failed = f"ended with {done.status} before its last outcome" if broken else ""
        peak = f"{max(one.peak for one in done.outcomes):.0f}" if done.outcomes else "–"
        lines.append(f"| `{done.name}.py` | {done.seconds:.0f} | {peak} | {done.peak:.0f} | {failed} |")
    return "\n".join(lines) + "\n"


def about(options: list[str]) -> dict[str, str]:
    """Machine, versions and commit."""
    info = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "command": f"`{' '.join(['python benchmarks/page.py', *options])}`",
        "machine": f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores; GPU: {gpu}",
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}",
        "commit": commit or "unknown",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="every benchmark's own --quick")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="some of them")
    parser.add_argument("--model", type=Path, help="trained weights for sampling.py")
    parser.add_argument("--page", type=Path, default=Path("results/benchmarks.md"), help="file to write")
    args = parser.parse_args()
    quick = ["--quick"] if args.quick else []
    model = ["--model", str(args.model)] if args.model else []
    facts, runs = about([*quick, *model]), []
    for name in args.only:
        print(f"== {name}", flush=True)
        runs.append(run(name, *quick, *(model if name == "sampling" else [])))
        args.page.parent.mkdir(parents=True, exist_ok=True)
        args.page.write_text(render(runs, facts), encoding="utf-8")  # whole after each: the rest may take an hour
    print(f"{args.page}: {sum(len(done.outcomes) for done in runs)} rows")
    return int(any(done.status for done in runs))


if __name__ == "__main__":
    sys.exit(main())
