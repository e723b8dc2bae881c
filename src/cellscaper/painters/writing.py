"""The images of a request in a file, painted part by part, so that a killed job goes on and memory stays small."""

from pathlib import Path

from cellscaper.disk.hdf5 import Provenance
from cellscaper.disk.storage import ImageSet, write_images
from cellscaper.painters.protocol import Painter, Request
from cellscaper.run.parts import BATCHES, KeptParts
from cellscaper.run.progress import Progress, log


def write_painted(path: Path, painter: Painter, request: Request, provenance: Provenance, what: str) -> None:
    """Write the images in order; ``what`` names the work in progress lines.

    A painter whose settings have a ``batch`` is asked for BATCHES batches at a time. Finished parts are kept in
    ``state/`` beside the file until it is complete.
    """
    total = len(request.layouts)
    size = max(total, 1) if request.batch is None else BATCHES * request.batch
    bound = [*(provenance[key] for key in ("config", "inputs", "seed", "code")), list(request.seeds[:1]), total]
    kept = KeptParts(path, "cellscaper/images", bound)
    done = min(kept.finished() * size, total)
    if done:
        log(f"{what}: going on after {done} of {total}")
    with Progress(total, what, start=done) as progress:
        for start in range(done, max(total, 1), size):
            with write_images(kept.file(start // size), kept.provenance) as painted:
                for image in painter.paint(request.part(start, start + size)):
                    painted.append(image)
                    progress.update()
    with write_images(path, provenance) as painted:
        for number in range(max(-(-total // size), 1)):
            with ImageSet(kept.file(number)) as images:
                for image in images:
                    painted.append(image)
    kept.clear()
