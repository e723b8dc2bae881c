"""score_layouts: the metrics of one experiment's layouts, one row a metric and class, as CSV.

The scores of each metric are kept in ``kept/`` beside the file: another metric does not compute them again.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from cellscaper.disk.score_file import write_scores
from cellscaper.metrics.comparison import read_comparison
from cellscaper.metrics.protocol import Comparison, Metric, Reading, Scores, all_scores
from cellscaper.run import stage
from cellscaper.run.kept_scores import kept_scores, metric_key
from cellscaper.run.methods import chosen
from cellscaper.run.settings import read


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
        gpus="one",
    )
    files = {kind: getattr(args, kind) for kind in ("layouts", "targets", "reference", "windows", "cells")}
    reading = read(Reading, args.config["reading"], "score_layouts reading")
    compared = read_comparison(**files, decoder=args.decoder, reading=reading, threads=args.threads, gpus=args.gpus)
    found: Scores = {}
    networks = dict(stage.matched(args, "networks", "features"))
    for section in args.config["metrics"]:
        network = section.get("network")
        inputs = {name: file for name, file in {**files, "network": networks.get(network)}.items() if file}
        key = metric_key("score_layouts", section, args.config["reading"], inputs)
        name = f"{section['method']}-{network}" if network else section["method"]
        compute = partial(scored, section, replace(compared, network=networks.get(network)))
        found |= kept_scores(args.scores.parent / "kept", key, name, compute)
    about = {"dataset": args.dataset, "experiment": args.experiment, "decoder": args.decoder, "seed": args.seed}
    write_scores(args.scores, about, found, len(compared.made))


if __name__ == "__main__":
    stage.run(main)
