"""The images of a request in a file, painted part by part, so that a killed job goes on and memory stays small."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cellscaper.disk.hdf5 import Provenance
from cellscaper.disk.storage import ImageSet, write_images
from cellscaper.disk.weights import read_weights_for
from cellscaper.layouts import LayoutSet
from cellscaper.painters.protocol import Painter, Request
from cellscaper.run.devices import device
from cellscaper.run.parts import BATCHES, KeptParts
from cellscaper.run.settings import read
from cellscaper.run.stage import Arguments


def stage_request(args: Arguments, painter: Painter, section: Any, layouts: LayoutSet, seeds: Sequence[int]) -> Request:
    """The request of a stage: with the weights of ``args.model`` and ``Sampling``, or with ``Settings`` alone.

    ``section`` has the painter's name (``method``) and its ``settings``. CellscaperError if the weights are of other
    classes than the layouts.
    """
    weights, facts = read_weights_for(args.model, layouts.classes, args.layouts)
    kind = "Sampling" if args.model else "Settings"
    return Request(
        layouts=layouts,
        seeds=seeds,
        settings=read(getattr(painter, kind), section["settings"], f"painters {section['method']}"),
        weights=weights,
        facts=facts,
        cells=args.cells,
        images=args.images,
        device=device(args.gpus),
    )


def write_painted(path: Path, painter: Painter, request: Request, provenance: Provenance, what: str) -> None:
    """Write the images in order; ``what`` names the work in progress lines.

    A painter whose settings have a ``batch`` is asked for BATCHES batches at a time. Finished parts are kept in
    ``state/`` beside the file until it is complete.
    """
    total = len(request.layouts)
    size = max(total, 1) if request.batch is None else BATCHES * request.batch
    kept = KeptParts.of(path, "cellscaper/images", provenance, request.seeds)

    def part(file: Path, rows: range, advance: Callable[[int], None]) -> None:
        with write_images(file, kept.provenance) as painted:
            for image in painter.paint(request.part(rows.start, rows.stop)):
                painted.append(image)
                advance(1)

    files = kept.make(total, size, what, part)
    with write_images(path, provenance) as painted:
        for file in files:
            with ImageSet(file) as images:
                for image in images:
                    painted.append(image)
    kept.clear()
