"""score_layouts: count errors and TopoFD of one experiment's layouts, one row a metric and class, as CSV."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cellscaper import stage
from cellscaper.decoding import components, released_counts
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.counts import count_errors
from cellscaper.metrics.score_file import write_scores
from cellscaper.metrics.topofd import topofd
from cellscaper.rasters import Grid, rasterise, to_unit
from cellscaper.storage import read_layouts


def reference_counts(real: LayoutSet, decoder: str, config: dict[str, Any]) -> NDArray[np.int64]:
    """(L, C) cells of the real layouts, counted as the decoder's protocol counts them.

    paper and released: connected components of the raster on both sides (papers.md section 6), so touching
    cells merge; ours and placed points: the dots themselves.
    """
    if decoder in ("requested", "points"):
        return real.counts()
    grid, counts = Grid(**config["grid"]), np.zeros((len(real), real.n_classes), np.int64)
    for i, layout in enumerate(real):
        points, labels = torch.from_numpy(layout.points), torch.from_numpy(layout.labels).long()
        maps = rasterise(points, labels, torch.zeros(len(layout), dtype=torch.long), 1, real.n_classes, grid)
        _, found = components(to_unit(maps[0], grid).numpy(), grid, config["decoding"]["threshold"])
        counts[i] = np.bincount(found, minlength=real.n_classes)
    return counts


def generated_counts(made: LayoutSet, decoder: str) -> NDArray[np.int64]:
    """(L, C) cells of generated layouts; the released code counts the background as a cell of every class."""
    if decoder != "released":
        return made.counts()
    return np.stack([released_counts(layout.labels, made.n_classes) for layout in made])


def main() -> None:
    args = stage.arguments(
        __doc__, inputs=["patches", "layouts"], outputs=["scores"], options=["dataset", "experiment", "decoder"]
    )
    made = read_layouts(args.layouts, args.decoder)
    real = read_layouts(args.patches)
    if real.classes != made.classes:
        raise CellscaperError(f"{args.layouts} has classes {made.classes}, {args.patches} has {real.classes}")
    real = real[made.columns["target"]]
    counts = reference_counts(real, args.decoder, args.config), generated_counts(made, args.decoder)
    found = {**count_errors(*counts, real.classes), **topofd(real, made, args.config["samples"], args.config["limit"])}
    about = {"dataset": args.dataset, "experiment": args.experiment, "decoder": args.decoder, "seed": args.seed}
    write_scores(args.scores, about, found, len(made))


if __name__ == "__main__":
    stage.run(main)
