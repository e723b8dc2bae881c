"""Which data sets of a run are there to be read."""

from collections.abc import Callable
from pathlib import Path

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


def check_folders(config: Config, is_read: Callable[[str], bool]) -> None:
    """CellscaperError for a data set of the run, or of a generated set, whose `path` is not a folder.

    Those of which ``is_read`` says that their cells are there are not looked at: their folder may be gone.
    """
    for name in dict.fromkeys([*config["run"]["datasets"], *(one["dataset"] for one in config["sets"].values())]):
        block = config["datasets"][name]
        path = block.get("path")
        if path is None or Path(path).expanduser().is_dir() or is_read(name):
            continue
        raise CellscaperError(
            f"datasets.{name}.path = {path!r}: there is no such folder; "
            f"{facts()['datasets'][block['reader']]['by_hand'] or 'name the folder that holds the data set'}"
        )


def with_given_data(config: Config) -> tuple[Config, dict[str, str]]:
    """The configuration of a run of the data sets that are given, and those that are left out, with the reason.

    CellscaperError if none is given.
    """
    out = left_out(config)
    kept = [name for name in config["run"]["datasets"] if name not in out]
    if not kept:
        raise CellscaperError(f"run.datasets: no data set is given: {'; '.join(out.values())}")
    return {**config, "run": {**config["run"], "datasets": kept}}, out
