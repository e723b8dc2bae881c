"""Sampling of layouts, batched, few steps and bf16, against one at a time by DDIM with 100 steps in float32.

Both sides are the same trained network, sampled as `sample_layouts` does it, noise to cells. They take turns: two
layouts one at a time, then a batch; what batches and bf16 bring is timed apart. The quality is the TopoFD of both
sides against the real test patches with the same counts, three seeds of sampling each; equal means that the mean of
the fast side lies above that of the other by no more than the spread of the seeds (root of the mean variance of both
sides). Beside it, with one seed, half as many steps, other real patches and uniform cells: can TopoFD tell them apart?

    python benchmarks/sampling.py [--quick] [--model FILE] [--data FOLDER] [--steps N] [--layouts N]

FILE holds weights that `train_layout` made (`results/…/train_layout/…/model.safetensors`), FOLDER BRCA-M2C (default:
the variable CELLSCAPER_BRCA_M2C, where there is a FILE). Without FILE an ADM with the counts as condition is trained
on phantom tissue for a minute or two of one core: as `brca-small` has it, with --quick as `ci`. On a CPU times are
processor seconds, on a GPU wall time with the device synchronised.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cellscaper.datasets import brca_m2c, phantom
from cellscaper.diffusion.settings import MapSampling
from cellscaper.disk.weights import read_weights
from cellscaper.generators import adm, random
from cellscaper.generators.maps.engine import read_maps
from cellscaper.generators.protocol import Request, read_recipe
from cellscaper.layouts import Layout, LayoutSet, evenly_spaced
from cellscaper.metrics.topofd import topofd
from cellscaper.plan.configuration import configuration
from cellscaper.plan.experiments import Experiments
from cellscaper.plan.places import read_yaml
from cellscaper.run.devices import best_device
from cellscaper.run.seeds import sample_seeds
from cellscaper.training.trainer import train
from cellscaper.views.patches import sliding_windows
from outcome import report

HERE = Path(__file__).resolve().parent.parent
GOAL, SEEDS, FULL, FEW = 20.0, 3, 100, 10
PHANTOM = phantom.Settings(classes=3, images=phantom.Images(train=30, val=1, test=30), size=(480, 480), seed=0)
PRESETS = {False: ("brca-small", 250), True: ("ci", 100)}  # for --quick, and the training steps


@dataclass
class Side:
    """A way to sample layouts, how many at once, and the seconds of each layout."""

    title: str
    sampling: MapSampling
    layouts: int
    times: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Model:
    """A trained system: weights and facts as its file has them."""

    weights: dict[str, Tensor]
    facts: dict[str, Any]
    where: torch.device

    def layouts(self, targets: LayoutSet, seed: int, sampling: MapSampling) -> LayoutSet:
        """Layouts with the counts of the targets as connected components, protocol ``paper``."""
        seeds, section = sample_seeds(seed, len(targets), use=1), self.facts["section"]
        region, given = section["region"], {"weights": self.weights, "facts": self.facts, "device": self.where}
        return read_maps(Request(targets, seeds, sampling, targets, region, **given)).sets["components"]


def cells(data: str | None, split: str) -> LayoutSet:
    """The images of a split."""
    records = brca_m2c.read(brca_m2c.Settings(), Path(data)) if data else phantom.read(PHANTOM, None)
    images = [Layout(r.points, r.labels, r.image.shape[:2]) for r in records if r.split == split]
    return LayoutSet.build(images, brca_m2c.CLASSES if data else phantom.classes(PHANTOM), 0.5)


def trained(quick: bool, where: torch.device) -> Model:
    """ADM with the counts as condition, trained here."""
    preset, steps = PRESETS[quick]
    config = configuration(read_yaml(HERE / f"workflow/presets/{preset}.yaml"))
    recipe = read_recipe(Experiments(config).recipe("adm_counts"))
    torch.manual_seed(0)
    prepared = adm.prepare(recipe, cells(None, "train"), None, where)
    settings = recipe.training.model_copy(update={"steps": steps})
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        weights = train(prepared.model, prepared.loss, settings, Path(folder), "", 0, device=where, what="sampling")
    print(f"{steps} training steps at the size of {preset}: {time.process_time() - began:.0f} s of processor time")
    return Model(weights, {"section": prepared.recipe.model_dump(mode="json"), **prepared.facts}, where)


def seconds(work: Callable[[], Any], where: torch.device) -> float:
    clock = time.perf_counter if where.type == "cuda" else time.process_time
    if where.type == "cuda":
        torch.cuda.synchronize()
    start = clock()
    work()
    if where.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def take_turns(model: Model, sides: list[Side], targets: LayoutSet, rounds: int) -> None:
    """Add the seconds of each side's layouts, in turns, to its times."""
    for turn in range(rounds + 1):
        print(f"round {turn + 1} of {rounds + 1}", flush=True)
        for side in sides:
            rows = np.arange(turn, turn + side.layouts) % len(targets)
            spent = seconds(partial(model.layouts, targets[rows], turn, side.sampling), model.where)
            if turn:  # the first is to warm up
                side.times.append(spent / side.layouts)
    for side in sides:
        low, middle, high = (1e3 * f(side.times) for f in (min, statistics.median, max))
        print(f"{side.title:42} {middle:8.1f} ms a layout ({low:.1f} to {high:.1f})")


def scores(title: str, real: LayoutSet, made: list[LayoutSet], samples: int) -> list[float]:
    """TopoFD, mean over the classes, of each of the sets; printed."""
    limit = float(real.size[0].max() / 2)
    found = [topofd(real, one, samples, limit, ["paper"])["topofd"]["mean"] for one in made]
    spread = f" ± {statistics.stdev(found):.2f} ({len(found)})" if len(found) > 1 else ""
    print(f"{title:42} TopoFD {statistics.mean(found):8.2f}{spread}", flush=True)
    return found


def ratios(slow: Side, fast: Side) -> list[float]:
    return [a / b for a, b in zip(slow.times, fast.times, strict=True)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 layouts a seed; without FILE a tiny network and 60")
    parser.add_argument("--model", type=Path, help="weights of a layout diffusion")
    parser.add_argument("--data", default=os.environ.get("CELLSCAPER_BRCA_M2C"), help="folder of BRCA-M2C")
    parser.add_argument("--steps", type=int, default=FEW, help=f"of the fast side (default {FEW})")
    parser.add_argument("--layouts", type=int, help="of each seed (default 200)")
    args = parser.parse_args()
    where = best_device()
    if where.type != "cuda":
        torch.set_num_threads(1)
    model = Model(*read_weights(args.model), where) if args.model else trained(args.quick, where)
    region, small = model.facts["section"]["region"], args.quick and not args.model
    patches = sliding_windows(cells(args.data if args.model else None, "test"), region, 32)
    if args.model and tuple(model.facts["classes"]) != patches.classes:
        parser.error(f"{args.model} knows {model.facts['classes']}, the data have {list(patches.classes)}; give --data")
    n = args.layouts or (60 if small else 100 if args.quick else 200)
    rows = evenly_spaced(len(patches), n)
    real, others = patches[rows], patches[np.setdiff1d(np.arange(len(patches)), rows)]
    batch = min(n, 256 if where.type == "cuda" else 32)

    one, few = MapSampling(steps=FULL, batch=1), MapSampling(steps=args.steps, batch=batch)
    fast = Side(f"{args.steps} steps, batches of {batch}, bf16", few.model_copy(update={"precision": "bf16"}), batch)
    slow = Side(f"{FULL} steps, one at a time, fp32", one, 2)
    single = Side(f"{args.steps} steps, one at a time, fp32", few.model_copy(update={"batch": 1}), 4)
    exact = Side(f"{args.steps} steps, batches of {batch}, fp32", few, batch)
    take_turns(model, [slow, fast, single, exact], real, 3 if args.quick else 7)

    # the same layouts as one at a time, which the first of them verify
    whole = one.model_copy(update={"batch": batch})
    same = model.layouts(real[:3], 0, one) == model.layouts(real[: max(batch, 3)], 0, whole)[:3]
    half = fast.sampling.model_copy(update={"steps": args.steps // 2})
    samples = 50 if small else 100  # of a landscape: at most the number of layouts
    uniform = Request(real, sample_seeds(0, n, 1), random.Settings(), real, region)
    sets = {
        slow.title: [model.layouts(real, seed, whole) for seed in range(SEEDS)],
        fast.title: [model.layouts(real, seed, fast.sampling) for seed in range(SEEDS)],
        f"{args.steps // 2} steps": [model.layouts(real, 0, half)],
        "uniform cells of the same counts": [random.generate(uniform).sets["points"]],
        "other real patches": [others[evenly_spaced(len(others), n)]],
    }
    found = {title: scores(title, real, made, samples) for title, made in sets.items()}
    (slow_mean, slow_sd), (fast_mean, fast_sd) = (
        (statistics.mean(found[side.title]), statistics.stdev(found[side.title])) for side in (slow, fast)
    )
    spread = ((slow_sd**2 + fast_sd**2) / 2) ** 0.5
    equal = fast_mean <= slow_mean + spread
    print(f"TopoFD {'equal' if equal else 'NOT equal'}: {fast_mean:.2f} against {slow_mean:.2f}, spread {spread:.2f}")
    if not same:
        print("one at a time the layouts are not those of a batch: TopoFD was computed of others")

    report("sampling_batch", f"batches of {batch}", "one layout at a time", ratios(single, exact), None)
    report("sampling_bf16", "bf16 in batches", "fp32 in batches", ratios(exact, fast), None)
    what = "phantom tissue, trained here" if not args.model else f"{model.facts['section']['method']}"
    note = (
        f"TopoFD {fast_mean:.1f} ± {fast_sd:.1f} against {slow_mean:.1f} ± {slow_sd:.1f} ({SEEDS} seeds, {n} layouts); "
        f"{1e3 * statistics.median(fast.times):.0f} ms a layout; {what}"
    )
    against = f"DDIM-{FULL}, one at a time"
    name = f"layouts, {args.steps} steps, batched, bf16"
    return report("sampling", name, against, ratios(slow, fast), GOAL, also=equal and same, note=note)


if __name__ == "__main__":
    sys.exit(main())
