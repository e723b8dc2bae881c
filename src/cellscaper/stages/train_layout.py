"""train_layout: train the layout model of one experiment."""

from pathlib import Path

import torch

from cellscaper.density.maps import normalise
from cellscaper.disk.storage import DensitySet, read_layouts
from cellscaper.errors import CellscaperError
from cellscaper.generators.protocol import Generator, grid_of, read_recipe
from cellscaper.layouts import LayoutSet
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.run.methods import method
from cellscaper.training.fit import fit


def density_maps(path: Path, cells: LayoutSet, stride: int) -> list[torch.Tensor]:
    """Normalised maps (C, h, w) in -1…1 of the training images; CellscaperError if they are another split's."""
    with DensitySet(path) as maps:
        if len(maps) != len(cells) or maps.stride != stride:
            raise CellscaperError(
                f"{path} holds maps of {len(maps)} images at stride {maps.stride}, "
                f"expected {len(cells)} training images at stride {stride}; fit them again"
            )
        return [torch.from_numpy(normalise(one, maps.scale)) for one in maps]


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells", "density?"], outputs=["model", "losses"], gpus="several")
    recipe, cells = read_recipe(args.config), read_layouts(args.cells).where(split="train")
    where = device(args.gpus)
    density = density_maps(args.density, cells, grid_of(recipe).stride) if args.density else None
    torch.manual_seed(args.seed)
    generator: Generator = method("generators", recipe.method)
    prepared = generator.prepare(recipe, cells, density, where)
    fit(
        "train_layout",
        args,
        prepared.model,
        prepared.loss,
        training=prepared.recipe.training,
        section=prepared.recipe.model_dump(mode="json"),
        methods=[f"generators.{recipe.method}"],
        classes=list(cells.classes),
        mpp=cells.mpp,
        **prepared.facts,
    )


if __name__ == "__main__":
    stage.run(main)
