"""How strong are TopoCellGen's losses? Norm of each weighted loss's gradient, divided by the noise loss's.

The gradients are with respect to the network's output, on TC's grid (256 px, stride 1, marker 3) and schedule (cosine,
1000 steps), at t = 100, 200 … 900. No network is needed: its output is simulated as the true noise plus white noise,
whose root mean square is ERROR (0.1: a noise loss of 0.01). Where a loss's gradient does not depend on the size of the
error, its ratio is in proportion to 1 / ERROR. Prints a Markdown table of means over the crops.

    python benchmarks/loss_gradients.py [--quick] [--error ERROR] [--losses JSON] [--low LOW] [--data FOLDER]

JSON changes single keys of the `losses` block, e.g. '{"clamp": false}'; LOW is the value of the background (−1 for the
grid tc_signed). FOLDER holds BRCA-M2C (default: the variable CELLSCAPER_BRCA_M2C); without it the cells are phantom
tissue.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cellscaper.datasets import brca_m2c, phantom
from cellscaper.diffusion.objective import losses
from cellscaper.diffusion.schedule import make_schedule
from cellscaper.generators import topocellgen
from cellscaper.generators.protocol import Recipe, grid_of, read_recipe
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.views.crops import CropSampler
from cellscaper.views.rasters import rasterise
from outcome import report

GOAL = 1.0  # at any t the noise loss has a larger gradient than a topology loss
NOISE = "the noise loss's"
CLASSES = ("a", "b", "c")
TERMS = ("count", "intra", "inter")


def tissue(folder: str | None) -> LayoutSet:
    """Cells of BRCA-M2C's training images, or of simulated tissue."""
    if folder:
        records = [one for one in brca_m2c.read(brca_m2c.Settings(), Path(folder)) if one.split == "train"]
        scenes = [(one.points, one.labels, one.image.shape[:2]) for one in records]
    else:
        random, size = np.random.default_rng(0), (500, 480)
        scenes = [(*phantom.simulate(size, len(CLASSES), random)[:2], size) for _ in range(20)]
    return LayoutSet.build([Layout(*one) for one in scenes], CLASSES, mpp=0.5)


def papers(changed: dict[str, Any], low: float) -> Recipe:
    """The papers' recipe with some keys of ``losses`` changed; the losses act from the first step on."""
    section = {
        "method": "topocellgen",
        "region": 256,
        "small": "error",
        "grid": {"region": 256, "stride": 1, "marker": 3, "low": low, "high": 1.0},
        "settings": {"losses": {**changed, "after": 0.0}, "diffusion": {"learn_variance": False}},
        "training": {"steps": 1, "lr": 2e-5},
    }
    return read_recipe(section)


def ratios(recipe: Recipe, x0: Tensor, counts: Tensor, t: int, error: float) -> dict[str, Tensor]:
    """(B,) norm of each loss's gradient over the noise loss's, for clean maps x0 (B, C, H, W), at step t."""
    schedule = make_schedule(recipe.settings.diffusion.schedule, recipe.settings.diffusion.steps)
    random, steps = torch.Generator().manual_seed(t), torch.full((len(x0),), t)
    noise = torch.randn(x0.shape, generator=random)
    output = (noise + error * torch.randn(x0.shape, generator=random)).requires_grad_()
    extra = topocellgen.extra(recipe, x0, topocellgen.ahead(recipe, x0, 0), 0)
    x_t = schedule.q_sample(x0, steps, noise)
    terms, _, _ = losses(schedule, output, x0, x_t, steps, noise, learn_variance=False, extra=extra)
    norms = {}
    for name in ("noise", *TERMS):
        (slope,) = torch.autograd.grad(terms[name].sum(), output, retain_graph=True)
        norms[name] = slope.flatten(1).norm(dim=1)
    return {name: norms[name] / norms["noise"] for name in TERMS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="4 crops instead of 16")
    parser.add_argument("--error", type=float, default=0.1, help="root mean square of the simulated network's error")
    parser.add_argument("--losses", type=json.loads, default={}, help="JSON: keys of the losses that are changed")
    parser.add_argument("--low", type=float, default=0.0, help="value of the background")
    parser.add_argument("--data", default=os.environ.get("CELLSCAPER_BRCA_M2C"), help="folder of BRCA-M2C")
    args = parser.parse_args()
    torch.set_num_threads(1)
    recipe = papers(args.losses, args.low)
    drawn = CropSampler(tissue(args.data), 256).sample(4 if args.quick else 16, torch.Generator().manual_seed(0))
    x0 = rasterise(drawn.points, drawn.labels, drawn.index, drawn.n, len(CLASSES), grid_of(recipe))
    counts = drawn.counts(len(CLASSES))
    cells = counts.sum(dim=1).mean()
    print(f"{drawn.n} crops of {'BRCA-M2C' if args.data else 'the phantom'}, {cells:.0f} cells; error {args.error:g}")
    print("| t | " + " | ".join(TERMS) + " |\n|" + "---|" * (1 + len(TERMS)))
    means: dict[str, list[float]] = {name: [] for name in TERMS}
    for t in range(100, 1000, 100):
        found = ratios(recipe, x0, counts, t, args.error)
        for name in TERMS:
            means[name].append(float(found[name].mean()))
        print(f"| {t} | " + " | ".join(f"{means[name][-1]:.3g}" for name in TERMS) + " |", flush=True)
    ahead = report("loss_gradients_count", "gradient of the count loss at t = 900", NOISE, means["count"][-1], None)
    largest = max(*means["intra"], *means["inter"])
    topology = report("loss_gradients", "largest gradient of a topology loss", NOISE, largest, GOAL, at_most=True)
    return max(ahead, topology)


if __name__ == "__main__":
    sys.exit(main())
