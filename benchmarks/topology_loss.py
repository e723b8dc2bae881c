"""TopoCellGen's topology losses against the usual recipe: how much faster, and how many milliseconds a sample?

All sides get the same pairs of maps (crop of 256 px, marker 3, three classes and their maximum) and make losses and
a gradient; diagrams of the clean layouts are made ahead for all. Ours come by way of the cells (alpha) or of the pixels
(cubical). The recipe is, map by map: scipy's Euclidean distance transform with nearest seeds, cripser's differentiable
persistence (construction V), POT's matching (through gudhi), squared distances, and the gradient put on the nearest
seeds. The papers' own distance transform, FastGeodis, is slower than scipy's; where it is installed its time is printed
too. Sides alternate, batch by batch on one thread, and CPU time is what counts, so that neighbours on the machine do
not.

    python benchmarks/topology_loss.py [--quick] [--cells results/brca_m2c/read_cells/cells.h5] [--model FILE]

Without --cells the crops are of simulated tissue. With --cells and the weights of a trained TopoCellGen, steps of its
training with and without the losses are compared as well: what they cost depends on how good its predictions are.
Needs cripser (extra oracles).
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import cripser
import numpy as np
import torch
from gudhi.wasserstein import wasserstein_distance
from scipy import ndimage

from cellscaper.datasets import phantom
from cellscaper.disk.storage import read_layouts
from cellscaper.disk.weights import read_weights
from cellscaper.generators import adm, topocellgen
from cellscaper.generators.maps.engine import TrainingData, batch_loss, denoiser, grid_of
from cellscaper.generators.protocol import read_recipe
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.topology.cubical import CONSTRUCTION
from cellscaper.topology.distance import distance_map
from cellscaper.topology.losses import Targets, targets, topology_losses
from cellscaper.topology.settings import Topology
from cellscaper.views.crops import CropSampler
from cellscaper.views.grid import Grid
from cellscaper.views.rasters import rasterise, to_unit
from outcome import report

GOAL, LIMIT, STEP = 20, 15, 1.15  # times faster; ms a sample; a training step with the losses over one without
SETTINGS = {"alpha": Topology(), "cubical": Topology(diagrams="cubical")}
BATCH = 16  # as the small presets train


def crops(cells: LayoutSet | None, grid: Grid, n: int) -> torch.Tensor:
    """n random crops (n, 3, side, side) in unit range, of ``cells`` or of simulated tissue."""
    if cells is None:
        random = np.random.default_rng(0)
        scenes = [phantom.simulate((500, 480), 3, random)[:2] for _ in range(6)]
        cells = LayoutSet.build([Layout(*scene, (500, 480)) for scene in scenes], ("a", "b", "c"), mpp=0.5)
    batch = CropSampler(cells, grid.region).sample(n, torch.Generator().manual_seed(0))
    return to_unit(rasterise(batch.points, batch.labels, batch.index, batch.n, 3, grid), grid)


def predicted(clean: torch.Tensor, noise: float) -> torch.Tensor:
    """What a model in training might predict: the clean maps shifted by a pixel, a tenth of their area missing."""
    random = torch.Generator().manual_seed(1)
    kept = torch.rand((*clean.shape[:2], 16, 16), generator=random) > 0.1
    maps = clean.roll((1, -1), dims=(2, 3)) * kept.repeat_interleave(clean.shape[2] // 16, 2).repeat_interleave(
        clean.shape[3] // 16, 3
    )
    return maps + noise * torch.randn(clean.shape, generator=random)


def ours(maps: torch.Tensor, goal: Targets, settings: Topology) -> None:
    """Losses and gradient of a batch (B, 3, side, side)."""
    maps = maps.detach().requires_grad_()
    terms = topology_losses(maps, goal, settings)
    (terms["intra"] + terms["inter"]).sum().backward()


def plain_recipe(maps: torch.Tensor, goal: Targets, settings: Topology) -> None:
    """The same by distance transform, cripser and POT; ``goal`` holds cubical diagrams."""
    layers = torch.cat([maps, maps.amax(dim=1, keepdim=True)], dim=1).flatten(0, 1)
    gradient = torch.zeros_like(layers).flatten(1)
    diagrams = [one for intra, inter in zip(goal.intra, goal.inter, strict=True) for one in (*intra, inter)]
    for k, (layer, wanted) in enumerate(zip(layers, diagrams, strict=True)):
        mask = layer.numpy() > settings.threshold
        if not mask.any():
            continue
        distance, (y, x) = ndimage.distance_transform_edt(~mask, return_indices=True)
        field = torch.from_numpy(distance).requires_grad_()
        rows = cripser.compute_ph_torch(field, filtration=CONSTRUCTION, maxdim=1)
        diagram = rows[rows[:, 0] == 1][:, 1:3]
        target = torch.from_numpy(wanted.windows[0].diagram)
        if not len(diagram) or not len(target):
            continue
        _, pairs = wasserstein_distance(diagram.detach().numpy(), target.numpy(), order=2, internal_p=2, matching=True)
        pairs = pairs[pairs[:, 0] >= 0]
        wished = diagram.detach().mean(dim=1, keepdim=True).expand(-1, 2).clone()
        matched = pairs[pairs[:, 1] >= 0]
        wished[matched[:, 0]] = target[matched[:, 1]]
        (diagram - wished).pow(2).sum().backward()
        where = field.grad.nonzero().T.numpy()
        seeds = torch.from_numpy(y[where[0], where[1]] * layer.shape[1] + x[where[0], where[1]]).long()
        gradient[k].index_add_(0, seeds, -field.grad[where[0], where[1]].float())


def milliseconds(work, *arguments) -> float:
    start = time.process_time()
    work(*arguments)
    return 1000 * (time.process_time() - start)


def measure(
    name: str, clean: torch.Tensor, marker: int, noise: float, sides: list[str], rounds: int
) -> dict[str, float]:
    """Median ms a sample of each side on the same maps, alternating; printed with the range over batches."""
    maps = predicted(clean, noise)
    settings = {side: replace(SETTINGS["alpha" if side == "alpha" else "cubical"], marker=marker) for side in sides}
    found = {side: targets(clean, settings[side]) for side in sides}
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for i in range(0, len(maps), BATCH):
            some = slice(i, i + BATCH)
            for side in sides:
                goal = Targets(found[side].intra[some], found[side].inter[some])
                work = plain_recipe if side == "recipe" else ours
                times[side].append(milliseconds(work, maps[some], goal, settings[side]) / len(maps[some]))
    for side, values in times.items():
        middle = statistics.median(values)
        print(f"{name:34} {side:7} {middle:7.2f} ms a sample ({min(values):.2f} to {max(values):.2f})")
    return {side: statistics.median(values) for side, values in times.items()}


def training_steps(cells: LayoutSet, path: Path, steps: int) -> float:
    """CPU time of a training step with all losses over one without: medians of alternating steps, same batches."""
    weights, facts = read_weights(path)
    section, classes = facts["section"], len(facts["classes"])
    section["settings"]["losses"]["after"] = 0.0
    recipe = read_recipe(section)
    model = denoiser(recipe, facts["channels"], classes)
    model.load_state_dict(weights)
    grid = grid_of(recipe)
    data = TrainingData(CropSampler(cells, grid.region, align=grid.stride, small=recipe.small), classes, None)
    times: dict[str, list[float]] = {"without": [], "with all": []}

    def called(*arguments):
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.training.precision == "bf16"):
            return model(*arguments)

    for step in range(steps):
        for name, generator in (("without", adm), ("with all", topocellgen)):
            loss = batch_loss(recipe, generator.SYSTEM, data, torch.device("cpu"))

            def one(loss=loss, step=step) -> None:
                loss(called, torch.Generator().manual_seed(step), step)["loss"].backward()

            times[name].append(milliseconds(one) / recipe.training.batch)
    for name, values in times.items():
        print(f"{'training step':34} {name:8} {statistics.median(values):6.2f} ms a sample")
    return statistics.median(times["with all"]) / statistics.median(times["without"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="32 samples once instead of 48 three times")
    parser.add_argument("--cells", type=Path, help="cells.h5 of a data set, for its training crops")
    parser.add_argument("--model", type=Path, help="weights of a trained TopoCellGen: compares steps of its training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cells = read_layouts(options.cells).where(split="train") if options.cells else None
    n, rounds = (32, 1) if options.quick else (48, 3)
    clean, compact = crops(cells, Grid(256, 1, 3), n), crops(cells, Grid(256, 4, 1), n)
    both = measure("256 px, marker 3", clean, 3, 0.0, ["alpha", "cubical", "recipe"], rounds)
    measure("256 px, marker 3, noise 0.25", clean, 3, 0.25, ["alpha", "cubical"], rounds)
    measure("64 px, marker 1", compact, 1, 0.0, ["alpha", "cubical", "recipe"], rounds)
    for noise in (0.25, 1.0):
        measure(f"64 px, marker 1, noise {noise}", compact, 1, noise, ["alpha", "cubical"], rounds)
    for name, maps, marker in (("256 px", clean, 3), ("64 px", compact, 1)):
        for side, settings in SETTINGS.items():
            ahead = milliseconds(targets, maps, replace(settings, marker=marker)) / n
            print(f"{name + ', clean layouts ahead':34} {side:7} {ahead:7.2f} ms a sample")
    if find_spec("FastGeodis"):
        mask = clean[0].amax(dim=0).numpy() > 0.5
        chamfer = [milliseconds(distance_map, mask, "fastgeodis") for _ in range(5)][1:]
        print(f"FastGeodis instead of scipy: {statistics.median(chamfer):.1f} ms a map")
    ratio = both["recipe"] / both["alpha"]
    slow = 0
    if options.model and cells is not None:
        costs = training_steps(cells, options.model, 6 if options.quick else 20)
        what, without = "TopoCellGen's training step with its losses", "without them"
        slow = report("training_step", what, without, costs, STEP, at_most=True)
    note = f"{both['alpha']:.2f} ms a sample"
    fast = both["alpha"] <= LIMIT
    loss = report("topology_loss", "topology losses", "the plain recipe", ratio, GOAL, also=fast, note=note)
    return max(slow, loss)


if __name__ == "__main__":
    sys.exit(main())
