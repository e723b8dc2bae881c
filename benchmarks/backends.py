"""Our matchings, distances and GMCM fits against the packages that the configuration can choose in their place.

    python benchmarks/backends.py [--quick] [--data FOLDER]

Matchings of the topology losses and Wasserstein-1 distances of MMD: ours, POT's exact transport, POT's Sinkhorn, on the
diagrams of windows of 256 px. GMCM: our fit and that of copulae to one half of a class's cells, judged on the other.
Distance maps: scipy's exact one and FastGeodis, where it is installed. FOLDER holds BRCA-M2C (default: the variable
CELLSCAPER_BRCA_M2C); without it the cells are phantom tissue. All sides take turns on every case, on one thread; times
are CPU seconds, ratios medians over the cases. Agreement stands beside them.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import contextlib
import io
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cellscaper.datasets import brca_m2c, phantom
from cellscaper.density import gmcm
from cellscaper.topology.distance import distance_map
from cellscaper.topology.matching import REG, match, wasserstein1
from cellscaper.topology.persistence import alpha_diagram
from outcome import report

SIDE = 256  # px of a window
GOAL = 1.0  # ours is no slower
SAME = 1e-9  # relative difference of exact costs
NEAR = 0.01  # share by which a matching with entropy may cost more
HELD_OUT = 0.2  # log likelihood a cell by which the held-out cells of the two GMCM fits may differ
GMCM = [gmcm.Settings(backend=backend, max_components=3) for backend in ("own", "copulae")]
Cells = tuple[NDArray, NDArray]  # points (N, 2) px, labels (N,)
Pair = tuple[NDArray, NDArray]  # diagrams (n, 2), (m, 2)
Times = dict[str, list[float]]


def images(folder: str | None, n: int) -> list[Cells]:
    """Cells of n training images."""
    if folder:
        found = brca_m2c.read(brca_m2c.Settings(), Path(folder))
        return [(one.points, one.labels) for one in found if one.split == "train"][:n]
    return [phantom.simulate((500, 480), 3, np.random.default_rng(k))[:2] for k in range(n)]


def window(cells: Cells, rng: np.random.Generator) -> Cells:
    """The cells of a random window, px from its corner."""
    points, labels = cells
    corner = rng.uniform(0, np.maximum(points.max(axis=0) - SIDE, 1))
    inside = ((points >= corner) & (points < corner + SIDE)).all(axis=1)
    return points[inside] - corner, labels[inside]


def timed(times: Times, sides: dict[str, Callable]) -> dict[str, object]:
    """The result of each side; its CPU seconds go to ``times``."""
    found = {}
    for name, work in sides.items():
        start = time.process_time()
        found[name] = work()
        times.setdefault(name, []).append(time.process_time() - start)
    return found


def ratios(times: Times, side: str) -> list[float]:
    """Times of a side over ours, one for each case."""
    return [a / b for a, b in zip(times[side], times["own"], strict=True)]


def show(title: str, times: Times) -> None:
    for side, values in times.items():
        low, middle, high = np.percentile(1e3 * np.array(values), (5, 50, 95))
        print(f"{title:24}{side:14}{middle:9.2f} ms (5 to 95 %: {low:.2f} to {high:.2f}, {len(values)} cases)")


def matchings(name: str, title: str, pairs: list[Pair], cost: Callable, above: Callable) -> int:
    """``cost(pair, backend)`` by all backends; ``above(pair, cost)`` bounds what entropy may add to the exact cost."""
    times: Times = {}
    exact, soft, near = [], [], True
    for pair in pairs:
        found = timed(times, {backend: partial(cost, pair, backend) for backend in ("own", "pot", "pot_sinkhorn")})
        exact.append(abs(found["pot"] / found["own"] - 1))
        soft.append(found["pot_sinkhorn"] / found["own"] - 1)
        near = near and found["pot_sinkhorn"] - found["own"] <= above(pair, found["own"])
    show(title, times)
    note = f"with entropy costs {statistics.median(soft):.1e} more in the median, {max(soft):.1e} at most"
    slow = report(
        f"{name}_sinkhorn", title, "POT's Sinkhorn", ratios(times, "pot_sinkhorn"), GOAL, also=near, note=note
    )
    same, note = max(exact) <= SAME, f"costs equal to {max(exact):.0e}"
    return max(slow, report(name, title, "POT's exact transport", ratios(times, "pot"), GOAL, also=same, note=note))


def copulas(cells: list[NDArray], rng: np.random.Generator) -> int:
    """GMCM fits with BIC over 1 to 3 components."""
    times: Times = {}
    apart, same, said = [], [], io.StringIO()
    for points in cells:
        order = rng.permutation(len(points))
        seen, rest = points[order[::2]], points[order[1::2]]
        with contextlib.redirect_stderr(said):
            fits = timed(times, {one.backend: partial(gmcm.fit, seen, one, 0) for one in GMCM})
        logs = [np.log(gmcm.evaluate(one, rest)) for one in fits.values()]
        apart.append(float(logs[0].mean() - logs[1].mean()))
        same.append(len({len(one.copula.weights) for one in fits.values()}) == 1)
    show("GMCM fits", times)
    middle = statistics.median(apart)
    failed = len(said.getvalue().splitlines())
    note = (
        f"held-out log likelihood a cell: ours {middle:+.3f} in the median ({min(apart):+.2f} to {max(apart):+.2f}); "
        f"same number of components in {sum(same)} of {len(same)}; copulae fails on some numbers in {failed}"
    )
    near = abs(middle) <= HELD_OUT
    return report("backends_gmcm", "GMCM fits", "copulae", ratios(times, "copulae"), GOAL, also=near, note=note)


def distances(masks: list[NDArray]) -> int:
    """Distance maps of all cells of a window, markers of 3 px."""
    if not find_spec("FastGeodis"):
        print("distance maps: FastGeodis is not installed")
        return 0
    times: Times = {}
    apart = []
    distance_map(masks[0], "fastgeodis")  # the import
    for mask in masks:
        found = timed(
            times, {"own": partial(distance_map, mask), "fastgeodis": partial(distance_map, mask, "fastgeodis")}
        )
        exact = found["own"].values
        apart.append(float((np.abs(found["fastgeodis"].values - exact) / np.maximum(exact, 1)).max()))
    show("distance maps", times)
    note = f"FastGeodis is off by {max(apart):.1%} at most"
    values = ratios(times, "fastgeodis")
    return report(
        "backends_distance", "exact distance maps", "FastGeodis", values, GOAL, also=max(apart) < 0.09, note=note
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="at most 40 pairs of diagrams and 20 classes instead of 200 and 60"
    )
    parser.add_argument("--data", default=os.environ.get("CELLSCAPER_BRCA_M2C"), help="folder of BRCA-M2C")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng, n = np.random.default_rng(0), 40 if args.quick else 200
    cells = images(args.data, 20 if args.quick else 80)
    windows = [window(cells[i], rng) for i in rng.integers(0, len(cells), 2 * n)]
    chosen = rng.integers(0, 4, n)  # a class, or all cells
    pairs = [
        tuple(alpha_diagram(p if k == 3 else p[labels == k]) for p, labels in windows[2 * i : 2 * i + 2])
        for i, k in enumerate(chosen)
    ]
    pairs = [pair for pair in pairs if min(map(len, pair))]
    sizes = [len(one) for pair in pairs for one in pair]
    kind = "BRCA-M2C" if args.data else "phantom"
    middle = f"{np.median(sizes):.0f} in the median"
    print(f"{len(pairs)} pairs of diagrams of {kind}, {min(sizes)} to {max(sizes)} holes, {middle}")
    wasserstein1(*pairs[0], "pot")  # the import
    classes = [points[labels == k].astype(np.float64) for points, labels in cells for k in range(3)]
    classes = [one for one in classes if len(one) >= 10][: 20 if args.quick else 60]
    masks = []
    for points, _ in windows[: 20 if args.quick else 100]:
        mask = np.zeros((SIDE, SIDE), bool)
        y, x = points.astype(int).T
        for dy, dx in np.ndindex(3, 3):
            mask[np.clip(y + dy - 1, 0, SIDE - 1), np.clip(x + dx - 1, 0, SIDE - 1)] = True
        masks.append(mask)
    return max(
        distances(masks),
        copulas(classes, rng),
        matchings(
            "backends_w1",
            "Wasserstein-1 distances",
            pairs,
            lambda pair, backend: wasserstein1(*pair, backend),
            lambda pair, _: REG / 2 * sum(map(len, pair)),
        ),
        matchings(
            "backends_matching",
            "matchings",
            pairs,
            lambda pair, backend: match(*pair, backend).cost,
            lambda _, exact: NEAR * exact + 1e-9,
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
