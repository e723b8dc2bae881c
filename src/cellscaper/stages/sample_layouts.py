"""sample_layouts: layouts with the counts of test patches or of random training crops.

A diffusion's maps are read by all three decoders, one LayoutSet each; systems that place points write one, ``points``.
Columns: ``target`` is the number of the test patch a layout was matched to, ``requested`` (C) its counts.
"""

from typing import Any

import numpy as np
import torch

from cellscaper import stage
from cellscaper.crops import CropSampler, to_layouts
from cellscaper.decoding import DECODERS, decode
from cellscaper.devices import device
from cellscaper.errors import CellscaperError
from cellscaper.generators.layout_diffusion import denoiser, layout_maps, sample_maps
from cellscaper.generators.registry import point_generator
from cellscaper.generators.seeds import sample_seeds
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.progress import Progress
from cellscaper.provenance import record
from cellscaper.rasters import Grid
from cellscaper.storage import read_layouts, write_layouts
from cellscaper.weights import read_weights


def choose_targets(cells: LayoutSet, patches: LayoutSet, targets: str, config: dict[str, Any], seed: int) -> LayoutSet:
    """The layouts whose counts are asked for, numbered in ``target``: test patches (evenly spaced) or train crops."""
    sampling = config["sampling"]
    if targets == "test":
        n = min(sampling["test_layouts"] or len(patches), len(patches))
        rows = np.linspace(0, len(patches) - 1, n).round().astype(int)
        return patches[rows].with_columns(target=rows)
    train = cells.where(split="train")
    crops = CropSampler(train, config["grid"]["region"], small=config["small"])
    batch = crops.sample(sampling["train_layouts"], torch.Generator().manual_seed(seed))
    return to_layouts(batch, train).with_columns(target=np.arange(sampling["train_layouts"]))


def diffuse(args: stage.Arguments, targets: LayoutSet, seeds: list[int]) -> dict[str, LayoutSet]:
    """Layouts for the targets by a trained model, one set for each decoder."""
    where, config = device(), args.config
    weights, facts = read_weights(args.model)
    section, classes = facts["section"], len(facts["classes"])
    if tuple(facts["classes"]) != targets.classes:
        raise CellscaperError(f"{args.model} was trained on {facts['classes']}, asked for {list(targets.classes)}")
    model = denoiser(section, facts["channels"], classes).to(where).eval()
    model.load_state_dict(weights)
    grid, counts = Grid(**section["grid"]), targets.counts()
    thresholds = {
        "components": {"threshold": config["decoding"]["threshold"]},
        "released": {"threshold": config["decoding"]["released_threshold"]},
        "requested": {},
    }
    found: dict[str, list[Layout]] = {name: [] for name in DECODERS}
    size, step = (grid.region, grid.region), config["sampling"]["batch"]
    with Progress(len(targets), f"{args.layouts.parent}: layouts") as progress:
        for start in range(0, len(targets), step):
            rows = slice(start, start + step)
            asked = torch.from_numpy(counts[rows]).float()
            maps = sample_maps(section, model, facts["channels"], asked, seeds[rows], config["sampling"], where)
            unit = layout_maps(section, maps, classes)
            for name in DECODERS:
                cells = decode(unit, grid, name, counts[rows], thresholds[name])
                found[name] += [Layout(points, labels, size) for points, labels in cells]
            progress.update(len(asked))
    columns = {"target": targets.columns["target"], "requested": counts}
    return {name: LayoutSet.build(items, targets.classes, targets.mpp, columns) for name, items in found.items()}


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells", "patches", "model?"], outputs=["layouts"], options=["targets"])
    cells, patches = read_layouts(args.cells), read_layouts(args.patches)
    targets = choose_targets(cells, patches, args.targets, args.config, args.seed)
    seeds = sample_seeds(args.seed, len(targets), use=1 if args.targets == "test" else 2)
    if args.model:
        made = diffuse(args, targets, seeds)
    else:
        placed = point_generator(args.config["generator"]).place(targets, args.config, seeds)
        rows = placed.columns["target"]
        columns = {"target": targets.columns["target"][rows], "requested": targets.counts()[rows]}
        made = {"points": placed.with_columns(**columns)}
    methods = [f"generators.{args.config['generator']}"]
    write_layouts(args.layouts, made, record("sample_layouts", args.config, args.seed, args.inputs, methods))


if __name__ == "__main__":
    stage.run(main)
