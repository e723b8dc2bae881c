"""What the page of `cellscaper page` costs: a layout in headless Chromium against the command line's, both on one core.

Both draw 92 cells in 256 × 256 px with the bundled model, the command line's sampler in fp32 as `cellscaper generate`
runs it for one layout. Its start and the reading of weights count on neither side. The sides take turns and are held
on the same core. The ratio is of CPU seconds, of all of Chromium's processes on the page's side, because seconds of
the clock say more about a busy machine than about the two sides; the median is judged.

    python benchmarks/page_in_browser.py [--quick] [--page FILE]
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import torch

from outcome import report

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))  # chromium.py

from cellscaper.generators.pointsets.generate import SAMPLING, generate  # noqa: E402
from cellscaper.generators.pointsets.packaged import load_packaged  # noqa: E402
from cellscaper.generators.pointsets.request import Request  # noqa: E402
from cellscaper.run.seeds import sample_seeds  # noqa: E402
from chromium import CHROMIUM, Browser  # noqa: E402

GOAL = 20.0  # times the command line, at most
LARGEST = 4.0  # MB
COUNTS = (12, 60, 20)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="4 turns instead of 16")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/page.html", help="the page")
    args = parser.parse_args()
    if CHROMIUM is None:
        print("page_in_browser: no chromium here; apt-get install chromium")
        return 1
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # Chromium inherits it
    torch.set_num_threads(1)
    network, _ = load_packaged()
    request = Request(np.array(COUNTS), (256, 256), 4.0)
    size = args.page.stat().st_size / 1e6
    ratios, ours, clock, theirs, apart = [], [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(folder)
        try:
            browser.open(args.page)
            browser.ask("work.ready")
            for turn in range(-1, 4 if args.quick else 16):  # the first one warms both
                began = time.process_time()
                (layout,) = generate(network, request, sample_seeds(turn + 1, 1, 0), SAMPLING, torch.device("cpu"))
                spent, before, start = time.process_time() - began, seconds_of(browser), time.perf_counter()
                points = draw(browser, turn + 1)
                if turn >= 0:
                    clock.append(time.perf_counter() - start)
                    ours.append(seconds_of(browser) - before)
                    theirs.append(spent)
                    ratios.append(ours[-1] / theirs[-1])
                    apart.append(float(np.abs(points - layout.points).max()))
        finally:
            browser.close()
    print(f"page: {np.median(ours):.2f} s of CPU a layout ({min(ours):.2f} to {max(ours):.2f}), {size:.2f} MB")
    print(f"page, by the clock: {np.median(clock):.2f} s a layout ({min(clock):.2f} to {max(clock):.2f})")
    print(f"command line, fp32, one layout: {np.median(theirs):.2f} s of CPU ({min(theirs):.2f} to {max(theirs):.2f})")
    print(f"the same layouts but for {max(apart):.3f} px")
    note = f"{np.median(ours):.2f} s of CPU a layout of 92 cells; {size:.2f} MB"
    same = max(apart) <= 0.1 and size <= LARGEST
    against = "the command line, fp32, one core"
    return report("page_in_browser", "a layout in Chromium", against, ratios, GOAL, at_most=True, also=same, note=note)


def draw(browser: Browser, seed: int) -> np.ndarray:
    """Positions (N, 2) of the layout that the page's worker draws."""
    asked = (
        f"{{counts: {list(COUNTS)}, size: [256, 256], distance: 4, mask: null, fixed: new Float32Array(0), "
        f"fixedLabels: [], seed: '{seed}'}}"
    )
    return np.array(browser.ask(f"ask('draw', {asked}).then(found => [...found.points])")).reshape(-1, 2)


def seconds_of(browser: Browser) -> float:
    """CPU seconds that Chromium's processes have spent so far."""
    root = psutil.Process(browser.pid)
    spent = [one.cpu_times() for one in (root, *root.children(recursive=True))]
    return sum(one.user + one.system for one in spent)


if __name__ == "__main__":
    sys.exit(main())
