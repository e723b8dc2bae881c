"""read_cells: a dataset's images and dots in one LayoutSet and one ImageSet, one entry for each image."""

import json
from pathlib import Path

import numpy as np

from cellscaper.datasets.protocol import Reader
from cellscaper.disk.storage import write_images, write_layouts
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.plan.blocks import as_section
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.methods import chosen
from cellscaper.run.progress import log

MPP_20X = (0.4, 0.6)  # µm a pixel: all lengths of the package are px at 20×


def dataset_folder(manifest: Path) -> Path:
    """The folder that a dataset's list of files names; CellscaperError where it is no such list."""
    try:
        return Path(json.loads(manifest.read_text(encoding="utf-8"))["root"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise CellscaperError(f"{manifest} is no list of a dataset's files; delete it and run fetch_dataset") from error


def main() -> None:
    args = stage.arguments(__doc__, inputs=["manifest"], outputs=["cells", "images"])
    section = as_section(args.config)
    reader: Reader
    reader, settings = chosen("datasets", section)
    root = dataset_folder(args.manifest)
    scale = reader.mpp(settings)
    if not MPP_20X[0] <= scale <= MPP_20X[1]:
        raise CellscaperError(
            f"dataset of {scale} µm a pixel: expected 20×, {MPP_20X[0]} to {MPP_20X[1]}; "
            "resize images and dots to 0.5 µm a pixel"
        )
    provenance = record("read_cells", section, None, args.inputs, [f"datasets.{section['method']}"])
    layouts, splits = [], []
    with write_images(args.images, provenance) as images:
        for one in reader.read(settings, root):
            images.append(one.image)
            height, width = one.image.shape[:2]
            layouts.append(Layout(one.points, one.labels, (height, width), one.image_id))
            splits.append(one.split)
        if not layouts:
            raise CellscaperError(f"{root} holds no images with dots; check datasets.*.path and its split files")
    cells = LayoutSet.build(layouts, reader.classes(settings), scale, {"split": np.array(splits)})
    write_layouts(args.cells, cells, provenance)
    for split in np.unique(cells.columns["split"]):
        part = cells.where(split=split)
        counts = ", ".join(f"{n} {name}" for name, n in zip(cells.classes, part.counts().sum(axis=0), strict=True))
        log(f"{split}: {len(part)} images, {counts}")


if __name__ == "__main__":
    stage.run(main)
