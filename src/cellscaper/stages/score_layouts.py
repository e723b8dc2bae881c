"""score_layouts: the metrics of one experiment's layouts, one row a metric and class, as CSV.

The scores of each metric are kept in ``kept/`` beside the file: another metric does not compute them again.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from cellscaper.disk.score_file import write_scores
from cellscaper.disk.storage import read_layouts
from cellscaper.errors import CellscaperError
from cellscaper.metrics.protocol import Comparison, Metric, Reading, Scores, all_scores
from cellscaper.run import stage
from cellscaper.run.kept_scores import kept_scores, metric_key
from cellscaper.run.methods import chosen
from cellscaper.run.settings import read


def comparison(args: stage.Arguments) -> Comparison:
    """What the metrics look at; CellscaperError where layouts and windows have other classes."""
    made, windows = read_layouts(args.layouts, args.decoder), read_layouts(args.windows)
    if windows.classes != made.classes:
        raise CellscaperError(f"{args.layouts} has classes {made.classes}, {args.windows} has {windows.classes}")
    reading = read(Reading, args.config["reading"], "score_layouts reading")
    real, train = windows[made.columns["target"]], read_layouts(args.cells).where(split="train")
    return Comparison(real, made, windows, train, args.decoder, reading.grid, reading.threshold, threads=args.threads)


def scored(section: Any, compared: Comparison) -> Scores:
    """The scores of one metric."""
    metric: Metric
    metric, settings = chosen("metrics", section)
    return all_scores(section["method"], metric, compared, settings)


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["cells", "windows", "layouts", "features*"],
        outputs=["scores"],
        options=["networks*", "dataset", "experiment", "decoder"],
    )
    compared = comparison(args)
    found: Scores = {}
    networks = dict(stage.matched(args, "networks", "features"))
    files = {"cells": args.cells, "windows": args.windows, "layouts": args.layouts}
    for section in args.config["metrics"]:
        network = section.get("network")
        inputs = files | ({"network": networks[network]} if network else {})
        key = metric_key("score_layouts", section, args.config["reading"], inputs)
        name = f"{section['method']}-{network}" if network else section["method"]
        compute = partial(scored, section, replace(compared, network=networks.get(network)))
        found |= kept_scores(args.scores.parent / "kept", key, name, compute)
    about = {"dataset": args.dataset, "experiment": args.experiment, "decoder": args.decoder, "seed": args.seed}
    write_scores(args.scores, about, found, len(compared.made))


if __name__ == "__main__":
    stage.run(main)
