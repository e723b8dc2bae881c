"""select_pairs: the generated pairs in whose images a detector of real images alone finds the cells of the layout.

The kept layouts have a column ``recall``: the share of their cells that the detector finds, of any class.
"""

import numpy as np

from cellscaper.detectors.judge import read_judge
from cellscaper.disk.storage import ImageSet, read_layouts, write_images, write_layouts
from cellscaper.errors import CellscaperError
from cellscaper.metrics.dot_recall import recall_by_image
from cellscaper.metrics.image_quality import unet_reader
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.run.progress import log

TILE = 16  # px: `unet_reader` also gives features of tiles, which are not used here


def main() -> None:
    args = stage.arguments(
        __doc__, inputs=["layouts", "painted", "model"], outputs=["kept", "images"], options=["decoder"], gpus="one"
    )
    least = args.config["least_recall"]
    layouts = read_layouts(args.layouts, args.decoder)
    where = device(args.gpus)
    model, settings = read_judge(args.model, layouts.classes, where)
    _, find = unet_reader(model, settings, TILE, where)
    with ImageSet(args.painted) as painted:
        recall = recall_by_image(layouts, painted, find, args.config["radius"])
        rows = np.flatnonzero(~(recall < least))  # a layout without cells has no recall and stays
        known = recall[~np.isnan(recall)]
        median = f"; median of all: {np.median(known):.3f}" if len(known) else ""
        log(f"{len(rows)} of {len(layouts)} pairs kept, of recall {least:g} or more{median}")
        if not len(rows):
            raise CellscaperError(
                f"{args.painted}: the detector finds less than {least:g} of the cells in each of {len(layouts)} images "
                f"(at best {known.max():.2f}); lower painters.*.least_recall or train the detector longer"
            )
        provenance = record("select_pairs", args.config, None, args.inputs)
        with write_images(args.images, provenance) as images:
            for row in rows.tolist():
                images.append(painted[row])
    kept = layouts[rows].with_columns(recall=recall[rows].astype(np.float32))
    write_layouts(args.kept, {args.decoder: kept}, provenance)


if __name__ == "__main__":
    stage.run(main)
