"""The layouts of a request in a file, made part by part, so that a killed job goes on and memory stays small."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cellscaper.disk.files import checksum
from cellscaper.disk.hdf5 import Provenance
from cellscaper.disk.layout_writer import join_layouts
from cellscaper.disk.shipped import at_scale_of
from cellscaper.disk.storage import write_layouts
from cellscaper.disk.weights import read_weights_for
from cellscaper.errors import CellscaperError
from cellscaper.generators.protocol import Generator, Request, SamplingSection
from cellscaper.generators.targets import with_targets
from cellscaper.layouts import LayoutSet
from cellscaper.run.devices import device
from cellscaper.run.parts import BATCHES, KeptParts
from cellscaper.run.settings import read
from cellscaper.run.stage import Arguments


def stage_request(
    args: Arguments,
    generator: Generator,
    section: SamplingSection,
    train: LayoutSet,
    targets: LayoutSet,
    seeds: Sequence[int],
    first: int = 0,
) -> Request:
    """The request of a stage: with the weights of ``args.model`` and ``Sampling``, or with ``Settings`` alone.

    CellscaperError if the weights are of other classes than the targets, or given ones of another scale or another
    content than planned.
    """
    if section.weights is not None and (args.model is None or checksum(args.model) != section.weights):
        raise CellscaperError(
            f"--model {args.model} has not the planned SHA-256 {section.weights}; start the workflow again"
        )
    weights, facts = read_weights_for(args.model, targets.classes, args.targets or args.cells)
    if section.weights is not None and not at_scale_of(facts, targets.mpp):
        raise CellscaperError(
            f"{args.model} was trained at {facts['mpp']:g} µm a pixel, the targets have {targets.mpp:g}; set weights: "
            "null to train the system on these cells"
        )
    kind = "Sampling" if args.model else "Settings"
    return Request(
        targets=targets,
        seeds=seeds,
        settings=read(getattr(generator, kind), section.settings, f"generators {section.method}"),
        train=train,
        region=section.region,
        small=section.small,
        weights=weights,
        facts=facts,
        decoding=section.decoding,
        device=device(args.gpus),
        first=first,
    )


def write_generated(path: Path, generator: Generator, request: Request, provenance: Provenance, what: str) -> None:
    """Write one set for each decoder, with the columns ``target`` and ``requested``; ``what`` names the work in lines.

    A generator whose settings have a ``batch`` is asked for BATCHES batches at a time. Finished parts are kept in
    ``state/`` beside the file until it is complete. Its batches are those of a single request, and so are its layouts.
    """
    if request.batch is None:
        _write_part(path, generator, request, provenance)
        return
    kept = KeptParts.of(path, "cellscaper/layouts", provenance, request.seeds)

    def part(file: Path, rows: range, advance: Callable[[int], None]) -> None:
        some = replace(request.part(rows.start, rows.stop), advance=advance)
        _write_part(file, generator, some, kept.provenance)

    join_layouts(path, kept.make(len(request.targets), BATCHES * request.batch, what, part), provenance)
    kept.clear()


def _write_part(path: Path, generator: Generator, request: Request, provenance: Provenance) -> None:
    made = generator.generate(request)
    sets = {name: with_targets(one, request.targets) for name, one in made.sets.items()}
    write_layouts(path, sets, provenance, made.arrays)
