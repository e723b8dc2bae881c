"""Layouts larger than a window: are the statistics at the seams those of the interior, and what do they cost?

Generates one large layout with the packaged model (or reads one that `cellscaper generate` made) and compares the
cells within 16 px of a window's border with those farther than 48 px from all: density, pair correlation g (rings of
4 px), K at 30 and 60 px, distance to the nearest neighbour. Errors are a jackknife over blocks of 256 px. Beside them:
layouts of one window with the counts of the large layout's blocks, cells farther than 32 px from the border.

    python benchmarks/seams.py [--quick] [--layout FILE] [--weights FILE] [--steps N] [--threads N]
"""

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from cellscaper.disk import export
from cellscaper.layouts import Layout, crop
from cellscaper.run import stage
from outcome import report

GOAL = 2.0  # root mean square of the differences over their standard errors: 1 is chance alone
NEAR, FAR, EDGE = 16, 48, 64  # px
RINGS = np.arange(4, 33, 4)  # px
LEVELS = (30.0, 60.0)  # px, of K


def sums(layout: Layout, numbers: np.ndarray, which: np.ndarray, n: int) -> np.ndarray:
    """(n, M) for each of n blocks: of its chosen cells the number, neighbours within each radius, nearest distances."""
    points = layout.points.astype(np.float64)
    tree = cKDTree(points)
    radii = [*RINGS, *LEVELS]
    within = [tree.query_ball_point(points, r, return_length=True) - 1 for r in radii]
    rows = np.stack([np.ones(len(points)), *within, tree.query(points, k=2)[0][:, 1]], axis=1)
    found = np.zeros((n, rows.shape[1]))
    np.add.at(found, numbers[which], rows[which])
    return found


def measures(total: np.ndarray, area: float, density: float) -> np.ndarray:
    """From sums over a zone of ``area`` px²: cells per 256 px, g of the rings, K as a part of πr², nearest distance."""
    cells, *within, nearest = total
    mean = np.array(within) / cells
    rings = np.diff([0, *mean[: len(RINGS)]]) / (density * np.pi * np.diff(np.array([0, *RINGS]) ** 2))
    k = mean[len(RINGS) :] / (density * np.pi * np.array(LEVELS) ** 2)
    return np.concatenate([[cells / area * 256**2], rings, k, [nearest / cells]])


def zones(layout: Layout, window: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Cells (N,) of the seams and between them, and those pixels (height, width)."""
    from cellscaper.generators.pointsets.tiling import starts

    def away(places: np.ndarray, side: int) -> np.ndarray:
        first = starts(side, window)
        lines = np.unique(np.concatenate([first, first + window]))
        return np.abs(places[:, None] - lines).min(axis=1)

    pixels = [away(np.arange(side) + 0.5, side) for side in layout.size]
    cells = [away(layout.points[:, axis].astype(float), layout.size[axis]) for axis in (0, 1)]
    inside = ((layout.points >= EDGE) & (layout.points < np.array(layout.size) - EDGE)).all(axis=1)
    inner = np.zeros(layout.size, bool)
    inner[EDGE:-EDGE, EDGE:-EDGE] = True
    seam = np.minimum(*cells) < NEAR, np.minimum(pixels[0][:, None], pixels[1]) < NEAR
    between = np.minimum(*cells) > FAR, np.minimum(pixels[0][:, None], pixels[1]) > FAR
    return {"seams": (seam[0] & inside, seam[1] & inner), "between": (between[0] & inside, between[1] & inner)}


def compare(layout: Layout, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measures at the seams, between them, and the jackknife error of their difference."""
    across = -(-layout.size[1] // window)
    n = -(-layout.size[0] // window) * across
    y, x = (layout.points // window).astype(int).T
    rows, columns = (np.arange(side) // window for side in layout.size)
    density = len(layout) / (layout.size[0] * layout.size[1])
    found = []
    for cells, pixels in zones(layout, window).values():
        area = np.bincount((rows[:, None] * across + columns)[pixels], minlength=n)
        found.append((sums(layout, y * across + x, cells, n), area))

    def over(keep: np.ndarray) -> list[np.ndarray]:
        return [measures(total[keep].sum(axis=0), area[keep].sum(), density) for total, area in found]

    seams, between = over(np.ones(n, bool))
    left = np.array([np.subtract(*over(np.arange(n) != i)) for i in range(n)])
    error = np.sqrt((n - 1) / n * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    return seams, between, error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="640 px and 9 single windows instead of 2048 px and 64")
    parser.add_argument("--layout", type=Path, help="a large layout of the model, instead of generating one")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--steps", type=int, help="noise levels (default 20)")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    stage.use_threads(args.threads)

    from cellscaper.generators.pointsets.generate import SAMPLING, generate
    from cellscaper.generators.pointsets.packaged import load, load_packaged
    from cellscaper.generators.pointsets.request import Request
    from cellscaper.run.devices import best_device

    sampling = SAMPLING.model_copy(update={"steps": args.steps} if args.steps else {})
    model = (load(args.weights) if args.weights else load_packaged())[0].float().to(best_device())
    side, singles = (640, 9) if args.quick else (2048, 64)
    if args.layout:
        layout = export.read(args.layout).layout(0)
    else:
        counts = (np.array([0.13, 0.65, 0.22]) * 88 * side**2 / 256**2).round().astype(int)
        began = time.process_time()
        (layout,) = generate(model, Request(counts, (side, side), 4.0), [0], sampling, best_device())
        spent = time.process_time() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{side}×{side} px, {len(layout)} cells: {spent:.0f} s of CPU, peak memory {peak:.0f} MB")
    seams, between, error = compare(layout, model.region)
    rows = [(int(y), int(x)) for y in range(0, layout.size[0] - 255, 256) for x in range(0, layout.size[1] - 255, 256)]
    alone = []
    for i in np.linspace(0, len(rows) - 1, min(singles, len(rows))).round().astype(int).tolist():
        counts = np.bincount(crop(layout, *rows[i], 256, 256).labels, minlength=model.classes)
        (one,) = generate(model, Request(counts, (256, 256), 4.0), [i], sampling, best_device())
        inner = ((one.points >= 32) & (one.points < 224)).all(axis=1)
        if inner.sum() > 5:
            total = sums(one, np.zeros(len(one), int), inner, 1)[0]
            alone.append(measures(total, 192.0**2, len(one) / 256**2))
    single, spread = np.mean(alone, axis=0), np.std(alone, axis=0) / len(alone) ** 0.5
    lower = [0, *RINGS[:-1]]
    names = ["cells in 256 px", *(f"g {a}–{b} px" for a, b in zip(lower, RINGS, strict=True))]
    names += [*(f"K({r:.0f})/πr²" for r in LEVELS), "nearest, px"]
    print(f"{'':16} {'seams':>8} {'between':>8} {'± of diff':>9} {'z':>6}   {'one window':>10} {'±':>6}")
    z = (seams - between) / np.maximum(error, 1e-9)
    for name, a, b, e, score, s, d in zip(names, seams, between, error, z, single, spread, strict=True):
        print(f"{name:16} {a:8.3f} {b:8.3f} {e:9.3f} {score:6.1f}   {s:10.3f} {d:6.3f}")
    ratio = float(np.sqrt((z[error > 1e-9] ** 2).mean()))
    note = "root mean square of z over pair statistics"
    return report("seams", "statistics at the seams", "inside windows", ratio, GOAL, at_most=True, note=note)


if __name__ == "__main__":
    sys.exit(main())
