"""Layouts of `cellscaper generate` by point diffusion: any size, masks, given cells, a minimum distance."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from cellscaper.commands import options
from cellscaper.commands.chosen_model import Model, Work
from cellscaper.commands.pictures import picture
from cellscaper.disk import export
from cellscaper.disk.formats.agreement import SAME
from cellscaper.disk.formats.counted import counted
from cellscaper.disk.formats.facts import Given
from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.generate import BATCH, SAMPLING, calls, generate
from cellscaper.generators.pointsets.packaged import load
from cellscaper.generators.pointsets.request import Request, class_counts
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.devices import best_device

DISTANCE = "4"  # px between cells, if nothing else is asked for


def work(args: argparse.Namespace, paths: Mapping[str, Path], model: Model) -> Work:
    """How the layouts of a command line are made; CellscaperError for an impossible request."""
    for key in ("decoder", "guidance"):
        if getattr(args, key) is not None:
            raise CellscaperError(f"--{key}: point_diffusion places cells and makes no maps; leave it out")
    network, _ = load(model.file)
    request = _request(args, paths, model.classes, model.mpp)
    sampling = SAMPLING if args.steps is None else SAMPLING.model_copy(update={"steps": int(args.steps)})
    where = best_device()
    network.to(where)

    def layouts(seeds: Sequence[int], advance: Callable[[int], None]) -> Iterator[Layout]:
        return generate(network, request, seeds, sampling, where, advance)

    given = np.bincount(request.fixed_labels, minlength=len(model.classes))
    alone = request.mask is not None and not len(request.fixed)
    return Work(
        counts=(request.counts + given).tolist(),
        pixels=request.area.pixels if alone else request.size[0] * request.size[1],
        config={
            "counts": dict(zip(model.classes, request.counts.tolist(), strict=True)),
            "size": list(request.size),
            "min_distance": request.min_distance,
            "sampling": sampling.model_dump(exclude={"precision", "batch"}),
        },
        methods=["commands.generate_points", "generators.pointsets.generate", "disk.export"],
        columns={"requested": request.counts, "given": len(request.fixed), "min_distance": request.min_distance},
        batch=BATCH,
        units=lambda n: calls(n, sampling),
        verb="denoising steps of layouts",
        layouts=layouts,
    )


def _request(args: argparse.Namespace, paths: Mapping[str, Path], classes: Sequence[str], mpp: float) -> Request:
    size = options.size(args.size) if args.size else None
    mask = picture(paths["mask"], "--mask", 2) > 0 if "mask" in paths else None
    around = (
        _around(paths["around"], size or (None if mask is None else mask.shape), mpp) if "around" in paths else None
    )
    size = size or (mask.shape if mask is not None else around.common_size() if around is not None else (256, 256))
    fixed, labels = np.zeros((0, 2), np.float32), np.zeros(0, np.uint8)
    if around is not None and len(around.points):
        if around.common_size() != size:
            raise CellscaperError(f"--around has {around.common_size()} px (height, width), the region {size}")
        used = {around.classes[label] for label in np.unique(around.labels)}
        class_counts(dict.fromkeys(sorted(used), 1), classes, "--around")
        names = [around.classes[label] for label in around.labels]
        fixed, labels = around.points, np.array([classes.index(name) for name in names], np.uint8)
    if args.counts is not None:
        counts = class_counts(options.amounts(args.counts, "--counts", whole=True), classes, "--counts")
    else:
        pixels = int(mask.sum()) if mask is not None else size[0] * size[1]
        density = class_counts(options.amounts(args.density, "--density"), classes, "--density")
        counts = (density * pixels * mpp**2 / 1e6).round()
    spread = picture(paths["spread"], "--spread", 3) if "spread" in paths else None
    distance = options.number(DISTANCE if args.min_distance is None else args.min_distance, "--min-distance")
    return Request(counts.astype(np.int64), size, distance, mask, fixed, labels, spread)


def _around(path: Path, size: tuple[int, int] | None, mpp: float) -> LayoutSet:
    """The layout of a file with one layout."""
    layouts = export.read(path, Given(size=size, mpp=mpp, stands_in=True), say=options.told(path))
    if abs(layouts.mpp - mpp) > SAME * mpp:
        raise CellscaperError(f"--around {path} has {layouts.mpp:.9g} µm a pixel, the model {mpp:g}; rescale it")
    if len(layouts) != 1:
        raise CellscaperError(
            f"--around {path} holds {counted(len(layouts), 'layouts')}, expected one; take one out: "
            f"cellscaper convert {path} one.h5 --layout 0"
        )
    return layouts
