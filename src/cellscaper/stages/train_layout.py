"""train_layout: train the layout model of one experiment."""

from pathlib import Path
from typing import Any

import torch

from cellscaper import stage
from cellscaper.crops import CropSampler
from cellscaper.density.maps import normalise
from cellscaper.devices import device
from cellscaper.diffusion.conditioning import count_edges
from cellscaper.errors import CellscaperError
from cellscaper.fitting import fit
from cellscaper.generators.layout_diffusion import TrainingData, batch_loss, denoiser
from cellscaper.generators.registry import map_generator
from cellscaper.layouts import LayoutSet
from cellscaper.storage import DensitySet, read_layouts

EDGE_CROPS = 20_000  # training crops whose quantiles are the edges of the count categories


def density_maps(path: Path, cells: LayoutSet, stride: int) -> list[torch.Tensor]:
    """Normalised maps (C, h, w) in -1…1 of the training images; CellscaperError if they are another split's."""
    with DensitySet(path) as maps:
        if len(maps) != len(cells) or maps.stride != stride:
            raise CellscaperError(
                f"{path} holds maps of {len(maps)} images at stride {maps.stride}, "
                f"expected {len(cells)} training images at stride {stride}; fit them again"
            )
        return [torch.from_numpy(normalise(one, maps.scale)).to(device()) for one in maps]


def with_edges(condition: dict[str, Any], crops: CropSampler, classes: int) -> dict[str, Any]:
    """The condition with ``edges: quantiles`` replaced by the quantiles of the totals of random training crops."""
    if condition["kind"] != "count_category" or condition["edges"] != "quantiles":
        return condition
    counts = crops.sample(EDGE_CROPS, torch.Generator().manual_seed(0)).counts(classes)
    return {**condition, "edges": count_edges(counts.sum(dim=1).cpu().numpy(), condition["categories"])}


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells", "density?"], outputs=["model", "losses"], gpus=True)
    cells = read_layouts(args.cells).where(split="train")
    grid, classes = args.config["grid"], cells.n_classes
    crops = CropSampler(cells, grid["region"], device(), align=grid["stride"], small=args.config["small"])
    section = {**args.config, "condition": with_edges(args.config["condition"], crops, classes)}
    density = density_maps(args.density, cells, grid["stride"]) if args.density else None
    generator = map_generator(section["generator"])
    channels = generator.channels(section, classes)
    torch.manual_seed(args.seed)
    fit(
        "train_layout",
        args,
        denoiser(section, channels, classes),
        batch_loss(section, generator, TrainingData(crops, classes, density), device()),
        section,
        [f"generators.{section['generator']}"],
        classes=list(cells.classes),
        mpp=cells.mpp,
        channels=channels,
    )


if __name__ == "__main__":
    stage.run(main)
