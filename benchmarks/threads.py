"""Two trainings side by side: does either slow down?

Runs U-Net training steps in processes with the thread limits a stage gets from Snakemake: one alone, then two
side by side, interleaved, and two side by side with torch's default thread count for comparison.

    python benchmarks/threads.py [--quick]
"""

import argparse
import os
import statistics
import subprocess
import sys

from outcome import report

GOAL = 1.25  # largest slowdown of a job by its neighbour
WORK = """
import sys, time
from cellscaper.run import stage
import torch
from cellscaper.diffusion.unet import UNet
threads, seconds = int(sys.argv[1]), float(sys.argv[2])
if threads:
    stage.use_threads(threads)
model = UNet(3, 6, 64, channels=32, multipliers=(1, 2, 4), attention=(8,), head_channels=32, fold=2)
x, t = torch.randn(8, 3, 64, 64), torch.randint(0, 1000, (8,))
def step():
    model(x, t).pow(2).mean().backward()
step()
print("ready", flush=True)
sys.stdin.readline()
start, steps = time.monotonic(), 0
while time.monotonic() - start < seconds:
    step()
    steps += 1
print((time.monotonic() - start) / steps)
"""


def side_by_side(jobs: int, threads: int, seconds: float) -> list[float]:
    """Seconds a step of each of ``jobs`` processes that run at the same time; 0 threads is torch's default."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)} if threads else dict(os.environ)
    if not threads:
        environment.pop("OMP_NUM_THREADS", None)
    command = [sys.executable, "-c", WORK, str(threads), str(seconds)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, env=environment, **pipes) for _ in range(jobs)]
    for one in running:
        one.stdout.readline()  # all are warm before any is timed
    for one in running:
        one.stdin.write("go\n")
        one.stdin.flush()
    return [float(one.communicate()[0].strip()) for one in running]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 4 s instead of three of 10 s")
    quick = parser.parse_args().quick
    rounds, seconds = (1, 4.0) if quick else (3, 10.0)
    cases = {"alone, 1 thread": (1, 1), "two, 1 thread each": (2, 1), "two, default threads": (2, 0)}
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (jobs, threads) in cases.items():
            times[name] += side_by_side(jobs, threads, seconds)
    for name, values in times.items():
        print(f"{name:22} {statistics.median(values):.3f} s a step ({min(values):.3f} to {max(values):.3f})")
    alone, limited, default = (statistics.median(values) for values in times.values())
    print(f"default threads slow a step {default / alone:.1f}×")
    against = "one alone"
    report("threads_default", "two trainings side by side, torch's default threads", against, default / alone, None)
    return report("threads", "two side by side, one thread each", against, limited / alone, GOAL, at_most=True)


if __name__ == "__main__":
    sys.exit(main())
