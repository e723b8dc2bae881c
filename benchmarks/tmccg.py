"""TMCCG-style on phantom tissue: do its two players stay in balance, and are its layouts nearer than uniform ones?

    python benchmarks/tmccg.py [--quick]

Trains the demo's network 2000 steps (about 3 min of one core; --quick: 200) on 128 px crops and prints the losses,
the discriminator's accuracy in blocks of 50 steps, and TopoFD, cross-K and nearest-neighbour errors of 200 layouts
with test counts, beside those of uniform and hard-core layouts.
"""

import argparse
import sys
import time
from typing import Any

import numpy as np
import torch

from cellscaper.datasets import phantom
from cellscaper.generators import hard_core, random, tmccg
from cellscaper.generators.protocol import Request, read_recipe
from cellscaper.layouts import Layout, LayoutSet, evenly_spaced
from cellscaper.metrics.cross_class import cross_class
from cellscaper.metrics.topofd import topofd
from cellscaper.run.settings import Settings
from cellscaper.views.patches import sliding_windows

GOAL = 1.0  # uniform layouts' TopoFD over ours
BALANCE = (0.1, 0.95)  # the discriminator's accuracy in every block of 50 steps
PHANTOM = phantom.Settings(classes=3, images=phantom.Images(train=40, val=4, test=12), size=(256, 240), seed=0)
REGION, LAYOUTS, BLOCK = 128, 200, 50
SECTION = {
    "method": "tmccg",
    "region": REGION,
    "small": "error",
    "training": {"steps": 2000, "batch": 8, "lr": 1e-3},
    "settings": {
        "network": {"width": 48, "layers": 4, "radial": 12, "step": 24.0, "noise": 8},
        "discriminator": {"width": 24, "stride": 4, "spread": 4.0},
        "radii": [4, 6, 8, 12, 16, 24, 32, 48],
        "bank": 512,
        "weights": {"adversarial": 0.1, "k": 1.0, "holes": 0.2, "r1": 1.0},
    },
}


def cells() -> dict[str, LayoutSet]:
    """The phantom's cells by split."""
    found: dict[str, list[Layout]] = {}
    for record in phantom.read(PHANTOM, None):
        layout = Layout(record.points, record.labels, record.image.shape[:2], record.image_id)
        found.setdefault(record.split, []).append(layout)
    return {split: LayoutSet.build(items, phantom.classes(PHANTOM), 0.5) for split, items in found.items()}


def train(train_cells: LayoutSet, steps: int) -> tuple[torch.nn.Module, np.ndarray]:
    """The model with averaged weights, and the accuracy of every step."""
    torch.manual_seed(0)
    recipe = read_recipe(SECTION)
    training = tmccg.prepare(recipe, train_cells, None, torch.device("cpu"))
    model, rate = training.model, recipe.training.lr
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.0)
    average, accuracy, sums = [p.detach().clone() for p in model.parameters()], [], {}
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 100)
        terms = training.loss(model, torch.Generator().manual_seed(step), step)
        optimizer.zero_grad()
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        torch._foreach_lerp_(average, [p.detach() for p in model.parameters()], 0.01)
        accuracy.append(terms["accuracy"].item())
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value.item() / 100
        if (step + 1) % 100 == 0:
            print(f"{step + 1:5}", ", ".join(f"{name} {value:.3f}" for name, value in sums.items()), flush=True)
            sums = {}
    with torch.no_grad():
        for parameter, mean in zip(model.parameters(), average, strict=True):
            parameter.copy_(mean)
    return model, np.array(accuracy)


def untrained(generator: Any, settings: Settings, real: LayoutSet, seeds: list[int]) -> LayoutSet:
    """Layouts of a generator that needs no training, with the counts of ``real``."""
    return generator.generate(Request(real, seeds, settings, real, REGION)).sets["points"]


def score(name: str, real: LayoutSet, made: LayoutSet) -> float:
    """Print a row; returns its TopoFD."""
    distance = topofd(real, made, 80, REGION / 2, ["paper"])["topofd"]["mean"]
    crossed = {metric: values["mean"] for metric, values in cross_class(real, made).items()}
    print(f"{name:12} TopoFD {distance:.2f}", ", ".join(f"{metric} {value:.3f}" for metric, value in crossed.items()))
    return distance


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    steps = 200 if parser.parse_args().quick else 2000
    torch.set_num_threads(1)
    by_split = cells()
    real = sliding_windows(by_split["test"], REGION, 16)
    real = real[evenly_spaced(len(real), LAYOUTS)]
    start = time.process_time()
    model, accuracy = train(by_split["train"], steps)
    print(f"{steps} steps, {(time.process_time() - start) / steps:.3f} CPU s a step")
    blocks = accuracy[: len(accuracy) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(axis=1)
    seeds = list(range(len(real)))
    uniform = score("uniform", real, untrained(random, random.Settings(), real, seeds))
    score("hard core", real, untrained(hard_core, hard_core.Settings(min_distance=8.0), real, seeds))
    ours = score("TMCCG-style", real, tmccg.sample_layouts(model.double(), real, seeds, 50))
    balanced = BALANCE[0] < blocks.min() and blocks.max() < BALANCE[1]
    print(
        f"accuracy of {BLOCK} steps: {blocks.min():.2f} to {blocks.max():.2f}, balance {'kept' if balanced else 'LOST'}"
    )
    good = balanced and uniform / ours > GOAL
    print(f"tmccg ratio={uniform / ours:.2f} goal={GOAL} {'ok' if good else 'SHORT'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
