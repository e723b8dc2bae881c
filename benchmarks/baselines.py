"""What a layout of the untrained baselines costs: processor seconds on one core, evenly spaced test windows of 256 px.

1550 windows in an hour on two cores leave 4.6 s a layout; the goal is 4. The search of the windows and the fit of the
Gibbs process, which are made once, are timed with the layouts.

    python benchmarks/baselines.py [--quick] [--data FOLDER]

FOLDER holds BRCA-M2C (default: the variable CELLSCAPER_BRCA_M2C); without it the cells are phantom tissue.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from cellscaper.datasets import brca_m2c, phantom
from cellscaper.generators import gibbs, pattern_reconstruction
from cellscaper.generators.protocol import Request
from cellscaper.layouts import Layout, LayoutSet, evenly_spaced
from cellscaper.run.seeds import sample_seeds
from cellscaper.views.patches import sliding_windows
from outcome import report

GOAL = 4.0  # s a layout at most
PHANTOM = phantom.Settings(classes=3, images=phantom.Images(train=40, val=1, test=10), size=(480, 480), seed=0)


def tissue(folder: str | None) -> LayoutSet:
    """The cells of all images, with their split."""
    if folder:
        settings, records = brca_m2c.Settings(), brca_m2c.read(brca_m2c.Settings(), Path(folder))
        classes = brca_m2c.classes(settings)
    else:
        records, classes = phantom.read(PHANTOM, None), phantom.classes(PHANTOM)
    layouts, splits = [], []
    for one in records:
        height, width = one.image.shape[:2]
        layouts.append(Layout(one.points, one.labels, (height, width), one.image_id))
        splits.append(one.split)
    return LayoutSet.build(layouts, classes, 0.5, {"split": np.array(splits)})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="8 layouts")
    parser.add_argument("--data", default=os.environ.get("CELLSCAPER_BRCA_M2C"), help="folder of BRCA-M2C")
    args = parser.parse_args()
    cells = tissue(args.data)
    windows = sliding_windows(cells.where(split="test"), 256, 32, "skip")
    targets = windows[evenly_spaced(len(windows), 8 if args.quick else 64)]
    total = np.diff(targets.offsets)
    print(f"{len(targets)} windows of {'BRCA-M2C' if args.data else 'phantom'}, {total.min()} to {total.max()} cells")
    seeds, status = sample_seeds(0, len(targets), 1), 0
    for name, generator in (("pattern reconstruction", pattern_reconstruction), ("Gibbs process", gibbs)):
        request = Request(targets, seeds, generator.Settings(), cells.where(split="train"), 256, "skip")
        start = time.process_time()
        made = generator.generate(request).sets["points"]
        seconds = (time.process_time() - start) / len(targets)
        print(f"{name}: {seconds:.2f} s a layout, {1550 * seconds / 3600:.2f} core hours for 1550")
        exact = bool((made.counts() == targets.counts()).all())
        what, note = f"{name}: a layout of {total.mean():.0f} cells, s", "ratio: processor seconds; counts are exact"
        status |= report("baselines", what, "", seconds, GOAL, at_most=True, also=exact, note=note)
    return status


if __name__ == "__main__":
    sys.exit(main())
