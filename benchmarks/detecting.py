"""Seconds of `cellscaper detect` for an image of 500 × 500 px on one core, and its memory for a large image.

The networks have new weights: the time is that of trained ones, but for the few milliseconds in which cells are read
from the maps. Width 16 is what the small presets train, width 32 the default of the detector `decoupled`. Times are CPU
seconds without the start of the program. Memory: what a process that detects in an image of SIDE px has at most, beside
one that detects in a single tile.

    python benchmarks/detecting.py [--quick]
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import subprocess
import sys
import time
from functools import partial

import numpy as np
import torch

from cellscaper.detectors import decoupled
from cellscaper.detectors.peaks import TILE
from cellscaper.detectors.symmetries import over_symmetries
from cellscaper.detectors.whole_image import Maps, cells_of_image
from outcome import peak_memory, report

GOAL = 5.0  # s an image of 500 × 500 px
EIGHT = 8.5  # times as long with the eight symmetries, at most
SIDE = 6000  # px of the large image: 64 tiles
MEMORY = 1000  # MB that the large image may take beyond a tile, its own pixels included


def tissue(height: int, width: int) -> np.ndarray:
    """Pink noise in squares, as bright as tissue."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(120, 255, (-(-height // 10), -(-width // 10), 3)).astype(np.uint8)
    return np.repeat(np.repeat(coarse, 10, 0), 10, 1)[:height, :width]


def detector(width: int, symmetries: bool) -> tuple[Maps, decoupled.Settings]:
    """The maps of a detector with new weights."""
    torch.manual_seed(0)
    settings = decoupled.Settings(width=width)
    maps = over_symmetries(decoupled.maps) if symmetries else decoupled.maps
    model = decoupled.build(settings, 3).eval()
    assert model.second is not None
    model.second.learned.fill_(True)  # so that its time counts
    return partial(maps, model), settings


def seconds(width: int, symmetries: bool, times: int) -> list[float]:
    """CPU seconds for one image, several times."""
    maps, settings = detector(width, symmetries)
    image, found = tissue(500, 500), []
    for _ in range(times):
        start = time.process_time()
        cells_of_image(maps, partial(decoupled.cells, settings=settings), image)
        found.append(time.process_time() - start)
    return found


def memory(side: int) -> float:
    """MB of a process that detects in an image of this side."""
    command = [sys.executable, __file__, "--memory", str(side)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="each time once, and a large image of 4 tiles")
    parser.add_argument("--memory", type=int, metavar="SIDE", help="detect in an image of this side, print MB")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.memory:
        maps, settings = detector(4, False)
        cells_of_image(maps, partial(decoupled.cells, settings=settings), tissue(args.memory, args.memory))
        print(peak_memory())
        return 0
    times, side = (1, 1700) if args.quick else (3, SIDE)
    small, large = seconds(16, False, times), seconds(32, False, times)
    eight = seconds(16, True, 1)
    report("detecting 16", "detecting, s an image of 500 px, width 16", "", small, GOAL, at_most=True)
    status = report("detecting", "detecting, s an image of 500 px, width 32", "", large, GOAL, at_most=True)
    ratio = eight[0] / float(np.median(small))
    status |= report("symmetries", "detecting with eight symmetries", "without", ratio, EIGHT, at_most=True)
    beyond = memory(side) - memory(TILE)
    what = f"detecting, MB for an image of {side} px beyond one of {TILE} px"
    return status | report("memory", what, "", beyond, MEMORY, at_most=True, note="width 4: a tile takes little")


if __name__ == "__main__":
    sys.exit(main())
