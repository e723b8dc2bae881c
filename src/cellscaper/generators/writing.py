"""The layouts of a request in a file, made part by part, so that a killed job goes on and memory stays small."""

from dataclasses import replace
from pathlib import Path

from cellscaper.disk.hdf5 import Provenance
from cellscaper.disk.layout_writer import join_layouts
from cellscaper.disk.storage import write_layouts
from cellscaper.generators.protocol import Generator, Request
from cellscaper.generators.targets import with_targets
from cellscaper.run.parts import BATCHES, KeptParts
from cellscaper.run.progress import Progress, log


def write_generated(path: Path, generator: Generator, request: Request, provenance: Provenance, what: str) -> None:
    """Write one set for each decoder, with the columns ``target`` and ``requested``; ``what`` names the work in lines.

    A generator whose settings have a ``batch`` is asked for BATCHES batches at a time. Finished parts are kept in
    ``state/`` beside the file until it is complete. Its batches are those of a single request, and so are its layouts.
    """
    if request.batch is None:
        _write_part(path, generator, request, provenance)
        return
    size, total = BATCHES * request.batch, len(request.targets)
    bound = [*(provenance[key] for key in ("config", "inputs", "seed", "code")), list(request.seeds[:1]), total]
    kept = KeptParts(path, "cellscaper/layouts", bound)
    done = min(kept.finished() * size, total)
    if done:
        log(f"{what}: going on after {done} of {total}")
    with Progress(total, what, start=done) as progress:
        for start in range(done, max(total, 1), size):
            part = replace(request.part(start, start + size), advance=progress.update)
            _write_part(kept.file(start // size), generator, part, kept.provenance)
    join_layouts(path, [kept.file(number) for number in range(max(-(-total // size), 1))], provenance)
    kept.clear()


def _write_part(path: Path, generator: Generator, request: Request, provenance: Provenance) -> None:
    made = generator.generate(request)
    sets = {name: with_targets(one, request.targets) for name, one in made.sets.items()}
    write_layouts(path, sets, provenance, made.arrays)
