"""score_layouts: all metrics of one experiment's layouts, one row a metric and class, as CSV."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cellscaper.disk.score_file import write_scores
from cellscaper.disk.storage import read_layouts
from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.features.extraction import features, trained
from cellscaper.layouts import LayoutSet, evenly_spaced
from cellscaper.metrics.copies import copies
from cellscaper.metrics.counts import count_errors
from cellscaper.metrics.cross_class import cross_class
from cellscaper.metrics.mmd import mmd
from cellscaper.metrics.spatial_fid import metric_name, spatial_fid
from cellscaper.metrics.topofd import topofd
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.views.decoding import components, released_counts
from cellscaper.views.rasters import Grid, rasterise, to_unit

Scores = dict[str, dict[str, float]]


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


def feature_distances(networks: list[Path], real: LayoutSet, made: LayoutSet, config: dict[str, Any]) -> Scores:
    """Spatial-FID by each feature network, under a metric name of its own."""
    found: Scores = {}
    for path in networks:
        weights, facts = read_weights(path)
        section, network = facts["section"], trained(weights, facts, real)
        one, two = (features(network, section, side, config["batch"], device()) for side in (real, made))
        name = metric_name(section["method"], config["shrinkage"])
        found[name] = {"total": spatial_fid(one, two, config["shrinkage"])}
    return found


def copied(patches: LayoutSet, made: LayoutSet, train: LayoutSet, layouts: int) -> Scores:
    """How near so many layouts, evenly spaced, come to the training crops, and so many test patches; {} for 0."""
    if not layouts:
        return {}
    one, two = (side[evenly_spaced(len(side), layouts)] for side in (patches, made))
    return copies(one, two, train)


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["cells", "patches", "layouts"],
        outputs=["scores"],
        options=["features", "dataset", "experiment", "decoder"],
    )
    config = args.config
    made = read_layouts(args.layouts, args.decoder)
    patches = read_layouts(args.patches)
    if patches.classes != made.classes:
        raise CellscaperError(f"{args.layouts} has classes {made.classes}, {args.patches} has {patches.classes}")
    real = patches[made.columns["target"]]
    counts = reference_counts(real, args.decoder, config), generated_counts(made, args.decoder)
    found = {
        **count_errors(*counts, real.classes),
        **feature_distances([Path(path) for path in args.features.split()], real, made, config["spatial_fid"]),
        **topofd(real, made, **config["topofd"], threads=args.threads),
        **mmd(real, made, **config["mmd"], threads=args.threads),
        **cross_class(real, made),
        **copied(patches, made, read_layouts(args.cells).where(split="train"), **config["copies"]),
    }
    about = {"dataset": args.dataset, "experiment": args.experiment, "decoder": args.decoder, "seed": args.seed}
    write_scores(args.scores, about, found, len(made))


if __name__ == "__main__":
    stage.run(main)
