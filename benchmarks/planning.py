"""How long Snakemake thinks before it does anything, and how fast cells become patches and maps.

Planning is a dry run of the papers' configuration, processor seconds with everything it starts, against the goal of
half a minute. So is a call that finds nothing to do: every output of that configuration (with --quick: of the demo, for
each takes a tenth of a second to record) stands as an empty file, with Snakemake's own records of a run, in a copy of
the repository. Patches and maps are compared with the plain recipe: a mask over all cells for each window, a marker
drawn for each cell. Both must give the same.

    python benchmarks/planning.py [--quick]
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cellscaper.datasets import phantom
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.views.grid import Grid
from cellscaper.views.patches import sliding_windows
from cellscaper.views.rasters import rasterise
from outcome import report

HERE = Path(__file__).resolve().parent.parent
PARTS = ("Snakefile", "config.yaml", "workflow", "src", "envs")
SNAKEMAKE = [str(Path(sys.executable).with_name("snakemake")), "--workflow-profile", "workflow/profiles/local"]
SECONDS = 30.0  # of processor time, at most
REGION, STRIDE, MARKER, BATCH = 256, 32, 3, 32
PHANTOM = phantom.Settings(classes=3, images=phantom.Images(train=1, val=1, test=6), size=(1000, 1000), seed=0)


def snakemake(folder: Path, *arguments: str) -> tuple[str, float]:
    """What Snakemake says in a folder, and its processor seconds with everything it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*SNAKEMAKE, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout + done.stderr, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def planned() -> float:
    """Processor seconds of a dry run of config.yaml."""
    return snakemake(HERE, "--cores", "1", "-n", "-q", "all", "--nolock")[1]


def finished(folder: Path, preset: list[str]) -> int:
    """Make in ``folder`` a copy of the repository in which a configuration seems to be run: number of its outputs."""
    for part in PARTS:
        source = HERE / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / part)
    summary, _ = snakemake(folder, "--cores", "1", "--summary", *preset)
    outputs = [line.split("\t")[0] for line in summary.splitlines() if line.endswith("update pending")]
    for file in outputs:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    many = ["--cores", "1000", "--resources", "gpu=1000"]  # touching is no work
    snakemake(folder, *many, "--touch", "--forceall", "-q", "all", *preset)
    return len(outputs)


def plain_windows(images: LayoutSet) -> list[tuple[Any, Any]]:
    """Points and labels of each window, by a mask over all cells of its image."""
    found = []
    for i in range(len(images)):
        one = images.layout(i)
        height, width = one.size
        for y in range(0, height - REGION + 1, STRIDE):
            for x in range(0, width - REGION + 1, STRIDE):
                inside = ((one.points >= (y, x)) & (one.points < (y + REGION, x + REGION))).all(axis=1)
                found.append((one.points[inside] - (y, x), one.labels[inside]))
    return found


def plain_maps(patches: LayoutSet, chosen: list[int], classes: int) -> np.ndarray:
    """Maps (n, classes, REGION, REGION), a square marker for each cell."""
    maps = np.zeros((len(chosen), classes, REGION, REGION), np.float32)
    for n, i in enumerate(chosen):
        one = patches.layout(i)
        for (y, x), label in zip(one.points, one.labels, strict=True):
            top, left = int(np.floor(y)) - MARKER // 2, int(np.floor(x)) - MARKER // 2
            maps[n, label, max(top, 0) : top + MARKER, max(left, 0) : left + MARKER] = 1
    return maps


def seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one dry run and 3 rounds instead of 3 and 7")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    records = [r for r in phantom.read(PHANTOM, None) if r.split == "test"]
    images = LayoutSet.build([Layout(r.points, r.labels, r.image.shape[:2]) for r in records], ("a", "b", "c"), 0.5)
    patches, plain = sliding_windows(images, REGION, STRIDE), plain_windows(images)
    same = len(patches) == len(plain) and all(
        np.allclose(np.sort(patches.layout(i).points, axis=0), np.sort(points, axis=0))
        for i, (points, _) in enumerate(plain)
    )
    print(f"{len(images)} images, {len(patches)} windows, {sum(len(one) for one, _ in plain)} cells")
    chosen = list(range(0, len(patches), len(patches) // BATCH))[:BATCH]
    batch = [patches.layout(i) for i in chosen]
    points = torch.cat([torch.from_numpy(one.points) for one in batch])
    labels = torch.cat([torch.from_numpy(one.labels).long() for one in batch])
    index = torch.repeat_interleave(torch.tensor([len(one) for one in batch]))
    grid = Grid(REGION, 1, MARKER)

    def ours() -> torch.Tensor:
        return rasterise(points, labels, index, len(batch), 3, grid)

    equal = bool(np.array_equal(ours().numpy(), plain_maps(patches, chosen, 3)))
    cut, drawn = [], []
    for _ in range(3 if quick else 7):
        cut.append(seconds(lambda: plain_windows(images)) / seconds(lambda: sliding_windows(images, REGION, STRIDE)))
        drawn.append(seconds(lambda: plain_maps(patches, chosen, 3)) / seconds(ours))
    report("patches", "windows cut", "a mask over all cells for each", cut, None, also=same)
    report("rasters", f"marker maps of {BATCH} layouts", "a loop over cells", drawn, None, also=equal)
    against, times = f"{SECONDS:.0f} s of processor time", range(1 if quick else 3)
    shares = [planned() / SECONDS for _ in times]
    plan = report("planning", "`snakemake -n`, papers' configuration", against, shares, 1.0, at_most=True)
    preset = ["--configfile", "workflow/presets/demo.yaml"] if quick else []
    with tempfile.TemporaryDirectory() as folder:
        outputs = finished(Path(folder), preset)
        said, took = zip(*(snakemake(Path(folder), "--cores", "1", *preset) for _ in times), strict=True)
    nothing = outputs > 0 and all("Nothing to be done" in text for text in said)
    note = f"{outputs} outputs, {max(took):.1f} s"
    shares = [one / SECONDS for one in took]
    what = f"`snakemake` that finds nothing to do, {'demo' if quick else 'the same'}"
    idle = report("no_op", what, against, shares, 1.0, at_most=True, also=nothing, note=note)
    return max(plan, idle, int(not same), int(not equal))


if __name__ == "__main__":
    sys.exit(main())
