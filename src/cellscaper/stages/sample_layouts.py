"""sample_layouts: layouts with the counts of test patches or of random training crops.

A diffusion's maps are read by all three decoders, one LayoutSet each; systems that place points write one, ``points``.
Columns: ``target`` is the number of the test patch a layout was matched to, ``requested`` (C) its counts.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cellscaper import stage
from cellscaper.crops import CropSampler, to_layouts
from cellscaper.decoding import DECODERS, decode
from cellscaper.devices import device
from cellscaper.errors import CellscaperError
from cellscaper.generators.layout_diffusion import denoiser, density_maps, layout_maps, sample_maps
from cellscaper.generators.registry import point_generator
from cellscaper.generators.seeds import sample_seeds
from cellscaper.layouts import Layout, LayoutSet, evenly_spaced
from cellscaper.progress import Progress
from cellscaper.provenance import record
from cellscaper.rasters import Grid
from cellscaper.storage import read_layouts, write_layouts
from cellscaper.weights import read_weights


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
    """Layouts for the targets by a trained model, one set for each decoder.

    Beside them, where the model makes density maps, ``density`` (n, C, inner, inner) in 0…1 of the first
    ``sampling.keep_density`` layouts: as fractions of the value that normalised the training maps.
    """
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
    kept: list[NDArray] = []
    size, step = (grid.region, grid.region), config["sampling"]["batch"]
    with Progress(len(targets), f"{args.layouts.parent}: layouts") as progress:
        for start in range(0, len(targets), step):
            rows = slice(start, start + step)
            asked = torch.from_numpy(counts[rows]).float()
            maps = sample_maps(section, model, facts["channels"], asked, seeds[rows], config["sampling"], where)
            unit = layout_maps(section, maps, classes)
            if facts["channels"] > classes and start < config["sampling"]["keep_density"]:
                kept.append(density_maps(section, maps, classes).cpu().numpy())
            for name in DECODERS:
                cells = decode(unit, grid, name, counts[rows], thresholds[name])
                found[name] += [Layout(points, labels, size) for points, labels in cells]
            progress.update(len(asked))
    columns = {"target": targets.columns["target"], "requested": counts}
    made = {name: LayoutSet.build(items, targets.classes, targets.mpp, columns) for name, items in found.items()}
    return made, {"density": np.concatenate(kept)[: config["sampling"]["keep_density"]]} if kept else {}


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
