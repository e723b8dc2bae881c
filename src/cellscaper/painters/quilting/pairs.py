"""Pairs of images and cells as files, one after the other; a killed command goes on after the last whole pair."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo

from cellscaper.disk import export
from cellscaper.disk.files import atomic, write_text
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.painters.quilt import Settings, paint_one
from cellscaper.painters.quilting.library import Library
from cellscaper.plan.provenance import canonical, record
from cellscaper.run.progress import Progress, log
from cellscaper.run.seeds import sample_seeds

RECORD = "paint.json"


def write_pairs(
    folder: Path,
    layouts: LayoutSet,
    seed: int,
    sources: Library,
    settings: Settings,
    endings: Sequence[str],
    note: str,
) -> None:
    """Write ``image<number>.png`` and the files of its cells (``endings``) for each layout.

    ``paint.json`` says what the folder holds. CellscaperError, before anything is written, for a folder with images of
    another request.
    """
    about = {
        **record("paint", settings.model_dump(mode="json"), seed, {}, ["painters.quilt"], package="commands"),
        "note": note,
        "layouts": _digest(layouts),
        "sources": _digest(sources.cells),
        "number": len(layouts),
        "formats": list(endings),
    }
    bound = {key: about[key] for key in ("code", "config", "seed", "layouts", "sources", "number", "formats")}
    said = _read(folder / RECORD)
    if said is not None and {key: said.get(key) for key in bound} != bound:
        raise CellscaperError(f"{folder} holds images of other layouts, sources or settings; name another folder")
    if said is None and folder.is_dir() and any(folder.glob("image*.png")):
        raise CellscaperError(f"{folder} holds other images; name another folder")
    folder.mkdir(exist_ok=True)
    write_text(folder / RECORD, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    digits = max(4, len(str(len(layouts) - 1)))
    missing = [i for i in range(len(layouts)) if not (folder / f"image{i:0{digits}}.png").is_file()]
    if len(missing) < len(layouts):
        log(f"{folder}: going on after {len(layouts) - len(missing)} of {len(layouts)}")
    with Progress(len(layouts), "images", start=len(layouts) - len(missing)) as progress:
        for i in missing:
            own = sample_seeds(seed, 1, 3, i)[0]
            pixels = paint_one(settings, sources, layouts.layout(i), own)
            name = folder / f"image{i:0{digits}}"
            one = layouts[i : i + 1]
            for ending in endings:  # the image comes last: where it is, the pair is whole
                export.write(name.with_suffix(ending), one, about)
            text = PngInfo()
            text.add_text("Comment", note)
            with atomic(name.with_suffix(".png")) as partial:
                Picture.fromarray(pixels).save(partial, format="png", pnginfo=text)
            progress.update()


def _digest(layouts: LayoutSet) -> str:
    """A checksum of the cells, sizes, classes and names of a set."""
    digest = hashlib.sha256(canonical([list(layouts.classes), layouts.mpp, layouts.source.tolist()]).encode())
    for array in (layouts.points, layouts.labels, layouts.offsets, layouts.size):
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]


def _read(path: Path) -> dict[str, object] | None:
    """The record of a folder; None where there is none. CellscaperError for another file of this name."""
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    except ValueError:
        pass
    raise CellscaperError(f"{path} is no record of `cellscaper paint`; name another folder")
