"""Which data sets of a run are there to be read."""

from cellscaper.errors import CellscaperError
from cellscaper.plan.merging import Config
from cellscaper.plan.schema import facts


def left_out(config: Config) -> dict[str, str]:
    """{name: why} of the data sets of `run.datasets` of which nothing is given and nothing can be downloaded."""
    found = {}
    for name in config["run"]["datasets"]:
        block = config["datasets"][name]
        by_hand = facts()["datasets"][block["reader"]]["by_hand"]
        if by_hand and block["path"] is None:
            found[name] = f"datasets.{name}.path is not set; {by_hand}"
    return found


def with_given_data(config: Config) -> tuple[Config, dict[str, str]]:
    """The configuration of a run of the data sets that are given, and those that are left out, with the reason.

    CellscaperError if none is given.
    """
    out = left_out(config)
    kept = [name for name in config["run"]["datasets"] if name not in out]
    if not kept:
        raise CellscaperError(f"run.datasets: no data set is given: {'; '.join(out.values())}")
    return {**config, "run": {**config["run"], "datasets": kept}}, out
