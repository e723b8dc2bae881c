"""sample_layouts: layouts with the counts of test patches or of random training crops.

A diffusion's maps are read by all three decoders, one LayoutSet each; systems that draw points write one, ``points``.
Columns: ``target`` is the number of the test patch a layout was matched to, ``requested`` (C) its counts.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cellscaper.disk.storage import read_layouts, write_layouts
from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.generators.registry import point_generator, trained_system
from cellscaper.layouts import LayoutSet, evenly_spaced
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.run.seeds import sample_seeds
from cellscaper.views.crops import CropSampler, to_layouts


def choose_targets(cells: LayoutSet, patches: LayoutSet, targets: str, config: dict[str, Any], seed: int) -> LayoutSet:
    """The layouts whose counts are asked for, numbered in ``target``: test patches (evenly spaced) or train crops."""
    sampling = config["sampling"]
    if targets == "test":
        rows = evenly_spaced(len(patches), sampling["test_layouts"] or len(patches))
        return patches[rows].with_columns(target=rows)
    train = cells.where(split="train")
    crops = CropSampler(train, config["grid"]["region"], small=config["small"])
    batch = crops.sample(sampling["train_layouts"], torch.Generator().manual_seed(seed))
    return to_layouts(batch, train).with_columns(target=np.arange(sampling["train_layouts"]))


def diffuse(
    args: stage.Arguments, targets: LayoutSet, seeds: list[int]
) -> tuple[dict[str, LayoutSet], dict[str, NDArray]]:
    """Layouts for the targets by a trained model, one set for each way to read them, and arrays beside them."""
    weights, facts = read_weights(args.model)
    if tuple(facts["classes"]) != targets.classes:
        raise CellscaperError(f"{args.model} was trained on {facts['classes']}, asked for {list(targets.classes)}")
    system = trained_system(args.config["generator"])
    made, arrays = system.draw(weights, facts, targets, seeds, args.config, device(), f"{args.layouts.parent}: layouts")
    columns = {"target": targets.columns["target"], "requested": targets.counts()}
    return {name: one.with_columns(**columns) for name, one in made.items()}, arrays


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells", "patches", "model?"], outputs=["layouts"], options=["targets"])
    cells, patches = read_layouts(args.cells), read_layouts(args.patches)
    targets = choose_targets(cells, patches, args.targets, args.config, args.seed)
    seeds = sample_seeds(args.seed, len(targets), use=1 if args.targets == "test" else 2)
    arrays: dict[str, NDArray] = {}
    if args.model:
        made, arrays = diffuse(args, targets, seeds)
    else:
        train = cells.where(split="train")
        placed = point_generator(args.config["generator"]).place(targets, args.config, seeds, train)
        rows = placed.columns["target"]
        columns = {"target": targets.columns["target"][rows], "requested": targets.counts()[rows]}
        made = {"points": placed.with_columns(**columns)}
    methods = [f"generators.{args.config['generator']}"]
    write_layouts(args.layouts, made, record("sample_layouts", args.config, args.seed, args.inputs, methods), arrays)


if __name__ == "__main__":
    stage.run(main)
