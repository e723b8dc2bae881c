"""The training of a layout model, whole or only its beginning, as the stages run it."""

from pathlib import Path

import torch

from cellscaper.density.maps import normalise
from cellscaper.disk.hdf5 import Provenance
from cellscaper.disk.storage import DensitySet, read_layouts
from cellscaper.errors import CellscaperError
from cellscaper.generators.initial import check_planned, start_training
from cellscaper.generators.protocol import Generator, Recipe, grid_of
from cellscaper.layouts import LayoutSet
from cellscaper.run.devices import device
from cellscaper.run.stage import Arguments
from cellscaper.training.beginning import Origin, load_beginning, write_beginning
from cellscaper.training.fit import fit
from cellscaper.training.state import Run


def train_generator(
    stage: str, args: Arguments, generator: Generator, recipe: Recipe, until: int | None = None
) -> None:
    """Train ``generator`` on the training images of ``args.cells``; see :func:`cellscaper.training.fit.fit`.

    With ``until`` only these first steps are made, and ``args.model`` is a beginning. Without it a training may go on
    from the beginning ``args.beginning``. The new network, and so its average, has the weights of ``args.init``.
    """
    check_planned(args.init, recipe.init)
    cells = read_layouts(args.cells).where(split="train")
    density = density_maps(args.density, cells, grid_of(recipe).stride) if args.density else None
    torch.manual_seed(args.seed)
    prepared = generator.prepare(recipe, cells, density, device(args.gpus))
    what = str(Path(args.model).parent)
    if args.init:
        start_training(prepared.model, generator, prepared.recipe, cells.classes, cells.mpp, args.init, what)
    section, begins = prepared.recipe.model_dump(mode="json"), getattr(generator, "BEGINS", None)
    facts = {"classes": list(cells.classes), "mpp": cells.mpp, **prepared.facts}

    def start(run: Run, *, provenance: Provenance) -> None:
        load_beginning(args.beginning, run, Origin.of(section, begins, provenance), what)

    def end(run: Run, *, provenance: Provenance) -> None:
        origin = Origin.of(section, begins, provenance)
        write_beginning(args.model, args.losses, run, origin, provenance, section=section, **facts)

    fit(
        stage,
        args,
        prepared.model,
        prepared.loss,
        training=prepared.recipe.training,
        section=section,
        methods=[f"generators.{recipe.method}"],
        start=start if "beginning" in args.inputs else None,
        until=until,
        on_end=None if until is None else end,
        **facts,
    )


def density_maps(path: Path, cells: LayoutSet, stride: int) -> list[torch.Tensor]:
    """Normalised maps (C, h, w) in -1…1 of the training images; CellscaperError if they are another split's."""
    with DensitySet(path) as maps:
        if len(maps) != len(cells) or maps.stride != stride:
            raise CellscaperError(
                f"{path} holds maps of {len(maps)} images at stride {maps.stride}, "
                f"expected {len(cells)} training images at stride {stride}; fit them again"
            )
        return [torch.from_numpy(normalise(one, maps.scale)) for one in maps]
