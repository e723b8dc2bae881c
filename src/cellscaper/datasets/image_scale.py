"""µm a pixel of images without annotations: what their headers, names and folders say of a microscope."""

from collections.abc import Sequence
from pathlib import Path

from cellscaper.datasets import scale
from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.datasets.pictures import Picture
from cellscaper.datasets.scale_by_image import of_names
from cellscaper.errors import CellscaperError


def image_scale(path: Path, header: Picture, beside: Sequence[Path]) -> scale.Scale:
    """The scale of one image. ``beside``: all images of its folder that are read; a name counts if most say the same.

    CellscaperError if nothing tells the scale, or if the header and the names disagree.
    """
    names = FolderFiles.of_names([])
    names.root = path.resolve().parent
    evidence = scale.of_headers([header.mpp]) + of_names([one.name for one in beside]) + scale.of_texts(names, ())
    if not evidence:
        raise CellscaperError(f"nothing tells how large a pixel of {path} is; give --mpp (0.5 at 20×, 0.25 at 40×)")
    found = scale.decide(evidence)
    if not found.certain:
        raise CellscaperError(f"{path}: {found.words}; they disagree, so give --mpp (0.5 at 20×, 0.25 at 40×)")
    return found
