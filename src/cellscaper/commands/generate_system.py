"""Layouts of `cellscaper generate` by systems other than point diffusion: whole regions of the trained size."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cellscaper.commands import options
from cellscaper.commands.chosen_model import Model, Work
from cellscaper.disk.formats.counted import counted
from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.request import class_counts
from cellscaper.generators.protocol import Generator, Request
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.devices import best_device
from cellscaper.run.methods import method
from cellscaper.run.settings import read

BATCH = 4  # layouts that are made together, always so many: sums are rounded by the size of the batch
BATCHES = 8  # batches of one request
EXACT = ("points", "requested")  # decoders whose layouts have exactly the requested counts
OF_POINTS = {"mask": "--mask", "around": "--around", "spread": "--spread", "min_distance": "--min-distance"}


def work(args: argparse.Namespace, paths: Mapping[str, Path], model: Model) -> Work:
    """How the layouts of a command line are made; CellscaperError for what this system cannot do."""
    generator: Any = method("generators", model.system)
    side = model.region, model.region
    for key, option in OF_POINTS.items():
        if getattr(args, key) is not None:
            raise CellscaperError(
                f"{option}: {model.system} makes whole regions of {side[0]} × {side[1]} px; leave it out, or take "
                "--system point_diffusion"
            )
    if args.size is not None and options.size(args.size) != side:
        raise CellscaperError(
            f"--size {args.size}: {model.system} makes regions of {side[0]},{side[1]} px, no others; leave it out, or "
            "take --system point_diffusion"
        )
    decoder, counts = _decoder(args.decoder, generator, model), _counts(args, model)
    if not counts.sum():
        raise CellscaperError("no cells are asked for; give at least one class a count above 0")
    settings = _sampling(args, generator, model)
    weights, facts = read_weights(model.file)
    where, made = best_device(), [0, 0, 0]  # layouts, cells, layouts with exactly the counts
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.uint8)
    target = Layout(np.zeros((len(labels), 2), np.float32), labels, side)

    def layouts(seeds: Sequence[int], advance: Callable[[int], None]) -> Iterator[Layout]:
        for first in range(0, len(seeds), BATCH * BATCHES):
            some = list(seeds[first : first + BATCH * BATCHES])
            filled = some + some[-1:] * (-len(some) % BATCH)
            targets, left = LayoutSet.build([target] * len(filled), model.classes, model.mpp), [len(some)]

            def counted(number: int, left: list[int] = left) -> None:
                advance(min(number, left[0]))
                left[0] -= min(number, left[0])

            request = Request(
                targets, filled, settings, targets[:0], model.region, weights=weights, facts=facts, device=where,
                advance=counted,
            )  # fmt: skip
            found = generator.generate(request).sets[decoder][: len(some)]
            made[0] += len(found)
            made[1] += len(found.points)
            made[2] += int((found.counts() == counts).all(axis=1).sum())
            yield from found

    def said() -> list[str]:
        if decoder in EXACT:
            return []
        return [
            f"{model.system}, decoder {decoder}: {counted(int(counts.sum()), 'cells')} asked for, "
            f"{made[1] / made[0]:.1f} a layout made; {made[2]} of {made[0]} layouts have exactly the counts "
            "(--decoder requested: all)"
        ]

    return Work(
        counts=counts.tolist(),
        pixels=model.region**2,
        config={
            "counts": dict(zip(model.classes, counts.tolist(), strict=True)),
            "size": list(side),
            "decoder": decoder,
            "sampling": settings.model_dump(exclude={"batch"}),
        },
        methods=["commands.generate_system", f"generators.{model.system}", "disk.export"],
        columns={"requested": counts},
        batch=BATCH,
        units=lambda n: n,
        verb="layouts",
        layouts=layouts,
        said=said,
        aligned=True,
    )


def _counts(args: argparse.Namespace, model: Model) -> np.ndarray:
    """(C,) cells of each class in the region."""
    if args.counts is not None:
        found = class_counts(options.amounts(args.counts, "--counts", whole=True), model.classes, "--counts")
    else:
        density = class_counts(options.amounts(args.density, "--density"), model.classes, "--density")
        found = (density * model.region**2 * model.mpp**2 / 1e6).round()
    return found.astype(np.int64)


def _decoder(asked: str | None, generator: Generator, model: Model) -> str:
    """The set of layouts that is written: the exact one if nothing is asked for."""
    there = generator.DECODERS
    decoder = asked or next(one for one in EXACT if one in there)
    if decoder not in there:
        raise CellscaperError(f"--decoder {decoder}: layouts of {model.system} are read by {' or '.join(there)}")
    return decoder


def _sampling(args: argparse.Namespace, generator: Any, model: Model) -> Any:
    """The settings of sampling in the weights, else the defaults; with those of the command line."""
    block = model.facts.get("package", {}).get("sampling", {})
    settings = read(generator.Sampling, block, f"{model.file}: sampling")
    known = type(settings).model_fields
    wanted: Any = {"batch": BATCH} | ({"keep_density": 0} if "keep_density" in known else {})
    if args.steps is not None:
        wanted["steps"] = int(args.steps)
    if args.guidance is not None:
        wanted["guidance"] = options.number(args.guidance, "--guidance")
        if wanted["guidance"] < 0:
            raise CellscaperError(f"--guidance {args.guidance!r}: expected a number of at least 0")
    for key in wanted:
        if key not in known:
            raise CellscaperError(f"--{key}: {model.system} makes a layout in one pass, without {key}; leave it out")
    return read(generator.Sampling, settings.model_dump() | wanted, "the command line")
