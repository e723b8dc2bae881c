"""draw_training: the losses of all trainings of one kind over their steps.

``--logs`` and ``--labels`` are lists of equal length.
"""

from pathlib import Path

import pandas as pd

from cellscaper.disk.checked_csv import without_checks
from cellscaper.errors import CellscaperError
from cellscaper.report.figures.sheet import write_picture
from cellscaper.report.figures.training_curves import training_curves
from cellscaper.run import stage


def read_log(path: Path) -> pd.DataFrame:
    """The log of a training: ``step`` and at least one number a step. CellscaperError for anything else."""
    try:
        log = without_checks(path, pd.read_csv(path, dtype=str, keep_default_na=False))
        log = log.replace("", "nan").astype(float)
    except (OSError, ValueError) as error:
        raise CellscaperError(f"{path} is not a training log ({str(error).splitlines()[0]}); train again") from error
    if "step" not in log.columns or len(log.columns) < 2:
        found = ", ".join(log.columns)
        raise CellscaperError(f"{path} has columns {found}; a training log has step and a loss; train again")
    return log


def main() -> None:
    args = stage.arguments(__doc__, inputs=["logs+"], outputs=["picture"], options=["labels+"])
    runs = [(label, read_log(file)) for label, file in stage.matched(args, "labels", "logs")]
    write_picture(training_curves(runs), args.picture)


if __name__ == "__main__":
    stage.run(main)
