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
    """What the metrics look at; CellscaperError for layouts of other classes and for a reference of one layout."""
    made, targets = read_layouts(args.layouts, args.decoder), read_layouts(args.targets)
    windows = targets if args.windows == args.targets else read_layouts(args.windows)
    if targets.classes != made.classes:
        raise CellscaperError(f"{args.layouts} has classes {made.classes}, {args.targets} has {targets.classes}")
    reading = read(Reading, args.config["reading"], "score_layouts reading")
    real, train = targets[made.columns["target"]], read_layouts(args.cells).where(split="train")
    reference = read_layouts(args.reference) if args.reference else real
    if len(reference) < 2:
        raise CellscaperError(
            f"{args.reference or args.targets}: {len(reference)} real layouts to compare with, expected at least 2; "
            "give more images, or a smaller stride of the field's windows"
        )
    tests = None if windows is targets else windows
    return Comparison(
        real,
        made,
        windows,
        train,
        args.decoder,
        reading.grid,
        reading.threshold,
        threads=args.threads,
        reference=reference,
        tests=tests,
    )


def scored(section: Any, compared: Comparison) -> Scores:
    """The scores of one metric."""
    metric: Metric
    metric, settings = chosen("metrics", section)
    return all_scores(section["method"], metric, compared, settings)


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["cells", "windows", "targets", "reference?", "layouts", "features*"],
        outputs=["scores"],
        options=["networks*", "dataset", "experiment", "decoder"],
    )
    compared = comparison(args)
    found: Scores = {}
    networks = dict(stage.matched(args, "networks", "features"))
    kinds = ("cells", "windows", "targets", "reference", "layouts")
    files = {kind: getattr(args, kind) for kind in kinds if getattr(args, kind)}
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
