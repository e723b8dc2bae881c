"""Density maps of all training images: ours against the plain recipe, on one thread.

Plain: for each image and class scikit-learn mixtures with 1…10 components, the lowest BIC, then the density pixel by
pixel in Python; "vectorised" is the same fit with all pixels at once. Ours: density/gmm.py. Both sides take turns on
every class of every image; times are CPU seconds. KDE and GMCM maps of the same cells are timed beside them.

    python benchmarks/density.py [--quick] [--data FOLDER]

FOLDER holds BRCA-M2C (default: the variable CELLSCAPER_BRCA_M2C); without it the cells are phantom tissue.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import resource
import sys
import time
import tracemalloc
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from cellscaper.datasets import brca_m2c, phantom
from cellscaper.density import gmcm, gmm, kde
from cellscaper.density.maps import FEWEST, grid_points
from outcome import report

GOAL = 5.0  # times as fast as the plain recipe
AGREE = 0.99  # share of maps with the same number of components
EQUAL = 1e-6  # largest difference of two maps, relative to the maximum
STRIDE = 2  # px: the 10× grid
GMM = gmm.Settings()  # the papers' settings
Case = tuple[NDArray, NDArray]  # cells (N, 2) px and pixels (M, 2) px


def cases(folder: str | None, images: int) -> list[Case]:
    """Every class with enough cells in the first training images."""
    found = []
    for points, labels, size in layouts(folder, images):
        classes = (points[labels == k].astype(np.float64) for k in range(3))
        found += [(cells, grid_points(size, STRIDE)) for cells in classes if len(cells) >= FEWEST]
    return found


def layouts(folder: str | None, images: int) -> list[tuple[NDArray, NDArray, tuple[int, int]]]:
    """Points, labels and size of training images."""
    if folder:
        records = [one for one in brca_m2c.read(brca_m2c.Settings(), Path(folder)) if one.split == "train"][:images]
        return [(one.points, one.labels, one.image.shape[:2]) for one in records]
    size = (500, 480)
    return [(*phantom.simulate(size, 3, np.random.default_rng(k))[:2], size) for k in range(images)]


def plain_fit(cells: NDArray) -> GaussianMixture:
    most = min(GMM.max_components, len(np.unique(cells, axis=0)))
    regularise = GMM.regularise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = [GaussianMixture(k, reg_covar=regularise, random_state=0).fit(cells) for k in range(1, most + 1)]
    return min(models, key=lambda model: model.bic(cells))


def plain_map(model: GaussianMixture, where: NDArray) -> NDArray:
    """Pixel by pixel."""
    precisions = np.linalg.inv(model.covariances_)
    a, b, c = precisions[:, 0, 0], 2 * precisions[:, 0, 1], precisions[:, 1, 1]
    heights = model.weights_ * np.sqrt(np.linalg.det(precisions)) / (2 * np.pi)
    density = np.empty(len(where))
    for i, pixel in enumerate(where):
        y, x = (pixel - model.means_).T
        density[i] = heights @ np.exp(-0.5 * (a * y * y + b * y * x + c * x * x))
    return density


class Clock:
    """CPU seconds of named steps, one entry a call."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def __call__(self, name: str, work: Callable, *args: object, share: float = 1.0) -> object:
        start = time.process_time()
        result = work(*args)
        self.seconds[name].append((time.process_time() - start) / share)
        return result

    def total(self, *names: str) -> float:
        return sum(sum(self.seconds[name]) for name in names)

    def row(self, title: str, fit: str, evaluate: str) -> str:
        each = 1e3 * (np.array(self.seconds[fit]) + self.seconds[evaluate])
        low, middle, high = np.percentile(each, (5, 50, 95))
        times = (self.total(fit), self.total(evaluate), self.total(fit, evaluate))
        return f"{title:24}" + "".join(f"{t:10.2f}" for t in times) + f"{middle:12.1f}   {low:.1f} to {high:.1f}"


def compare(clock: Clock, case: Case, pixels: int, rng: np.random.Generator) -> tuple[bool, float]:
    """Both sides on one class of one image: same number of components? largest relative difference of the maps."""
    cells, where = case
    some = np.sort(rng.choice(len(where), min(pixels, len(where)), replace=False))
    model = clock("plain fit", plain_fit, cells)
    mixture = clock("our fit", gmm.fit, cells, GMM, 0)
    alone = clock("plain map", plain_map, model, where[some], share=len(some) / len(where))
    ours = clock("our map", gmm.evaluate, mixture, where)
    whole = clock("vectorised map", lambda: np.exp(model.score_samples(where)))
    others = np.abs(whole - ours).max(), np.abs(alone - ours[some]).max()
    for name, method in (("kde", kde), ("gmcm", gmcm)):
        params = clock(f"{name} fit", method.fit, cells, method.Settings(), 0)
        clock(f"{name} map", method.evaluate, params, where)
    return len(mixture.weights) == model.n_components, max(others) / whole.max()


def peak(work: Callable, *args: object) -> float:
    """MB that numpy and Python hold at most while it runs, above those before."""
    tracemalloc.start()
    work(*args)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 images, 2000 pixels of the plain loop extrapolated")
    parser.add_argument("--data", default=os.environ.get("CELLSCAPER_BRCA_M2C"), help="folder of BRCA-M2C")
    args = parser.parse_args()
    work = cases(args.data, 10 if args.quick else 80)
    sizes = [len(cells) for cells, _ in work]
    kind = "BRCA-M2C" if args.data else "phantom"
    print(f"{len(work)} classes of {kind} training images, {min(sizes)} to {max(sizes)} cells, {sum(sizes)} in all")
    pixels = 2000 if args.quick else max(len(where) for _, where in work)
    if args.quick:
        print(f"plain pixel loop: {pixels} random pixels of each map, its time extrapolated linearly to all")
    clock, rng = Clock(), np.random.default_rng(0)
    compare(Clock(), work[0], 10, rng)  # warm
    same, apart = (np.array(column) for column in zip(*(compare(clock, one, pixels, rng) for one in work), strict=True))
    print(f"{'CPU seconds':24}{'fit':>10}{'evaluate':>10}{'total':>10}{'median ms':>12}   5 to 95 %")
    for title, fit, evaluate in (
        ("plain", "plain fit", "plain map"),
        ("plain, vectorised", "plain fit", "vectorised map"),
        ("ours (gmm)", "our fit", "our map"),
        ("kde", "kde fit", "kde map"),
        ("gmcm", "gmcm fit", "gmcm map"),
    ):
        print(clock.row(title, fit, evaluate))
    ours = clock.total("our fit", "our map")
    print(f"ours is {clock.total('plain fit', 'vectorised map') / ours:.1f}× as fast as the vectorised plain recipe, "
          f"{clock.total('plain fit') / clock.total('our fit'):.1f}× in the fits alone")  # fmt: skip
    difference = float(apart[same].max()) if same.any() else np.inf
    print(f"same number of components in {same.mean():.2%} of maps; there maps differ by at most {difference:.1e}")
    cells, where = max(work, key=lambda case: len(case[0]))
    mixture, model = gmm.fit(cells, GMM, 0), plain_fit(cells)
    needs = [peak(gmm.fit, cells, GMM, 0), peak(gmm.evaluate, mixture, where), peak(plain_fit, cells)]
    needs.append(peak(model.score_samples, where))
    print("peak MB on the most cells: ours {:.1f} fit, {:.1f} map; plain {:.1f} fit, {:.1f} vectorised map; "
          "whole process {:.0f}".format(*needs, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))  # fmt: skip
    ratio = clock.total("plain fit", "plain map") / ours
    equal = bool(same.mean() >= AGREE and difference <= EQUAL)
    note = f"same number of components in {same.mean():.1%} of maps, those equal to {difference:.0e}"
    plain = "scikit-learn's mixtures, evaluated pixel by pixel"
    return report("density", "GMM densities: fit by BIC and map", plain, ratio, GOAL, also=equal, note=note)


if __name__ == "__main__":
    sys.exit(main())
