"""TopoFD of all test patches against as many random layouts: time, memory, and how good the barycentres are.

Then gudhi's ``lagrangian_barycenter`` on the largest number of diagrams that it does within its time, against ours
on the same diagrams.

    python benchmarks/topofd.py [--quick] [--data FOLDER]

FOLDER holds BRCA-M2C (default: the variable CELLSCAPER_BRCA_M2C); without it the cells are phantom tissue.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from gudhi.wasserstein.barycenter import lagrangian_barycenter
from numpy.typing import NDArray

from cellscaper.datasets import brca_m2c, phantom
from cellscaper.generators import random
from cellscaper.generators.protocol import Request
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.topofd import topofd
from cellscaper.topology.barycentre import barycentre
from cellscaper.topology.matching import match
from cellscaper.topology.persistence import alpha_diagrams
from cellscaper.views.patches import sliding_windows
from outcome import report

GOAL = 10.0  # gudhi's processor seconds a diagram over ours, at an objective that is not worse
MINUTES, GIGABYTES = 3.0, 4.0  # of TopoFD, three classes, both barycentres
WORSE = 1.01  # rounding of "not worse": our objective over gudhi's
PHANTOM = phantom.Settings(classes=3, images=phantom.Images(train=1, val=1, test=30), size=(480, 480), seed=0)


def test_patches(data: str | None) -> LayoutSet:
    """The 256 px test patches, as TopoCellGen cuts them."""
    records = brca_m2c.read(brca_m2c.Settings(), Path(data)) if data else phantom.read(PHANTOM, None)
    images = [Layout(r.points, r.labels, r.image.shape[:2]) for r in records if r.split == "test"]
    classes = brca_m2c.CLASSES if data else phantom.classes(PHANTOM)
    return sliding_windows(LayoutSet.build(images, classes, 0.5), 256, 32)


def score(real: LayoutSet, threads: int) -> bool:
    """Print time, processor time, memory and values of TopoFD; whether time and memory keep their bounds."""
    request = Request(real, range(len(real)), random.Settings(), real, 256)
    generated = random.generate(request).sets["points"]
    start = time.monotonic()
    found = topofd(real, generated, protocols=["paper"], threads=threads)
    minutes = (time.monotonic() - start) / 60
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    memory = (used[0].ru_maxrss + threads * used[1].ru_maxrss) / 1e6  # at most: the largest child counts for each
    for metric, values in found.items():
        print(f"{metric:27}", ", ".join(f"{name} {value:.2f}" for name, value in values.items()))
    print(f"TopoFD of 2 × {len(real)} layouts, {threads} processes: {60 * minutes:.0f} s, at most {memory:.1f} GB")
    return minutes <= MINUTES and memory <= GIGABYTES


def _theirs(pipe: Connection, diagrams: list[NDArray]) -> None:
    pipe.send("ready")  # imports are over
    start = time.process_time()
    found = lagrangian_barycenter(diagrams, init=0)
    pipe.send((time.process_time() - start, found))


def gudhi_within(diagrams: list[NDArray], seconds: float) -> tuple[float, NDArray] | None:
    """Processor seconds and barycentre of gudhi, in a process of its own; None where ``seconds`` are not enough."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    worker = context.Process(target=_theirs, args=(theirs, diagrams))
    worker.start()
    ours.recv()
    done = ours.recv() if ours.poll(seconds) else None
    worker.terminate()
    worker.join()
    return done


def compare(diagrams: list[NDArray], seconds: float) -> tuple[float, int]:
    """Ratio of the processor times on the most diagrams that gudhi does in ``seconds``, and their number.

    0 where ours is worse. The ratio grows with the number.
    """
    ratio, done, count = 0.0, 0, 4
    while count <= len(diagrams) and (found := gudhi_within(some := diagrams[:count], seconds)):
        start = time.process_time()
        ours = barycentre(some, insertions=3)  # enough to be as good as gudhi's one start
        mine = time.process_time() - start
        objective = float(np.mean([match(one, found[1]).cost for one in some]))
        print(
            f"{count:4} diagrams: gudhi {found[0]:7.2f} s, objective {objective:.2f}, {len(found[1])} points; "
            f"ours {mine:.2f} s, {ours.objective:.2f}, {len(ours.diagram)} points"
        )
        print("     starts:", ", ".join(f"{name} {value:.2f}" for name, value in ours.starts.items()))
        ratio = found[0] / mine if ours.objective <= WORSE * objective else 0.0
        done, count = count, count * 3 // 2
    print(f"{count:4} diagrams: gudhi does not finish in {seconds:.0f} s" if count <= len(diagrams) else "all done")
    return ratio, done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 layouts, and 15 s for gudhi instead of 30 s")
    parser.add_argument("--data", default=os.environ.get("CELLSCAPER_BRCA_M2C"), help="folder of BRCA-M2C")
    parser.add_argument("--threads", type=int, default=2, help="processes of TopoFD")
    args = parser.parse_args()
    real = test_patches(args.data)
    order = np.random.default_rng(0).permutation(len(real))
    real = real[order[: 200 if args.quick else None]]
    fits = score(real, args.threads)
    epithelial = [one for one in alpha_diagrams(real, 1) if len(one)]
    ratio, done = compare(epithelial, 15.0 if args.quick else 30.0)
    note = f"on {done} diagrams"
    return report("topofd", "TopoFD's barycentre", "gudhi's lagrangian_barycenter", ratio, GOAL, also=fits, note=note)


if __name__ == "__main__":
    sys.exit(main())
