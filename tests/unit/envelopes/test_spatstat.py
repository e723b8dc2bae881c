"""Statistics and global envelopes against R: spatstat (r-cran-spatstat.explore) and GET, where they are installed."""

import csv
import shutil
import subprocess

import numpy as np
import pytest

from cellscaper.envelopes.ranks import extreme_rank_lengths, global_test
from cellscaper.envelopes.region import Region
from cellscaper.envelopes.statistics import Geometry, Radii, functions, measure

pytestmark = pytest.mark.long
RADII = Radii(10, 3)
SPATSTAT = """
suppressMessages(library(spatstat.explore))
cells <- read.csv("cells.csv")
mask <- as.matrix(read.csv("mask.csv", header = FALSE)) > 0
size <- dim(mask)
window <- if (all(mask)) owin(c(0, size[2]), c(0, size[1])) else
  owin(mask = mask, xrange = c(-0.5, size[2] - 0.5), yrange = c(-0.5, size[1] - 0.5))
X <- ppp(cells$x, cells$y, window = window, marks = factor(cells$class))
r <- seq(0, 30, by = 0.05)
at <- match(seq(3, 30, by = 3), round(r, 6))
for (i in levels(marks(X))) for (j in levels(marks(X))) {
  own <- unmark(X[marks(X) == i])
  K <- if (i == j) Kest(own, r = r, correction = "trans") else Kcross(X, i, j, r = r, correction = "trans")
  G <- if (i == j) Gest(own, r = r, correction = "km") else Gcross(X, i, j, r = r, correction = "km")
  cat(i, j, K$trans[at], G$km[at], sep = ",")
  cat("\\n")
}
"""
ENVELOPES = """
suppressMessages(library(GET))
one <- as.matrix(read.csv("one.csv", header = FALSE))
two <- as.matrix(read.csv("two.csv", header = FALSE))
set <- function(x) create_curve_set(list(r = seq_len(ncol(x)), obs = x[1, ], sim_m = t(x[-1, , drop = FALSE])))
cat(forder(set(one), measure = "erl"), sep = ",")
cat("\\n")
both <- global_envelope_test(list(set(one), set(two)), type = "erl", alpha = 0.1, nstep = 2)
cat(attr(both, "p"))
cat("\\n")
"""


def run(script, folder, package):
    """What an R script prints; the test is skipped if R or the package is missing."""
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed: apt-get install r-base-core r-cran-spatstat.explore")
    there = subprocess.run(["Rscript", "-e", f"library({package})"], capture_output=True, check=False)
    if there.returncode:
        pytest.skip(f"R has no package {package}: apt-get install r-cran-{package.lower()}, or install.packages")
    (folder / "script.R").write_text(script, encoding="utf-8")
    done = subprocess.run(["Rscript", "script.R"], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split(",") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("masked", [False, True])
def test_statistics_are_those_of_spatstat(tmp_path, masked):
    y, x = np.mgrid[:120, :140]
    mask = ((y - 60) / 55) ** 2 + ((x - 70) / 65) ** 2 < 1 if masked else np.ones((120, 140), bool)
    region, rng = Region((120, 140), 40, mask if masked else None), np.random.default_rng(0)
    points, labels = region.uniform(200, rng), rng.integers(0, 3, 200).astype(np.uint8)
    with open(tmp_path / "cells.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["y", "x", "class"], *zip(*points.astype(float).T.tolist(), labels.tolist(), strict=True)]
        )
    np.savetxt(tmp_path / "mask.csv", mask.astype(int), fmt="%d", delimiter=",")
    wanted = functions(np.bincount(labels, minlength=3)[None])
    values = measure([Geometry(points, region, RADII)], [labels], wanted, RADII, 3)
    ours = dict(zip(wanted, values, strict=True))
    theirs = {
        (int(row[0]), int(row[1])): np.array(row[2:], float) for row in run(SPATSTAT, tmp_path, "spatstat.explore")
    }
    for one, value in ours.items():
        if one.statistic == "cross-K":
            k = np.pi * (value + RADII.ends) ** 2
            assert np.allclose(k, theirs[one.first, one.second][:10], rtol=0.01 if masked else 1e-6, atol=0.5)
        if one.statistic == "neighbours" and not masked:  # spatstat measures the way to the border on its own pixels
            assert np.abs(value - theirs[one.first, one.second][10:]).max() < 0.02


def test_measures_and_p_are_those_of_get(tmp_path):
    rng = np.random.default_rng(0)
    functions_ = [rng.normal(size=(200, points)).cumsum(axis=1) for points in (15, 6)]
    functions_[0][0] += 1.0
    for name, one in zip(("one", "two"), functions_, strict=True):
        np.savetxt(tmp_path / f"{name}.csv", one, delimiter=",", fmt="%.17g")
    measures, p = run(ENVELOPES, tmp_path, "GET")
    ours = extreme_rank_lengths(functions_[0])
    assert np.array_equal(np.argsort(ours, kind="stable"), np.argsort(np.array(measures, float), kind="stable"))
    assert global_test(functions_, ["a", "b"], 0.1).p == pytest.approx(float(p[0]), abs=1e-9)
