"""draw_training: the losses of all trainings of one kind over their steps."""

import json
from pathlib import Path

from cellscaper import stage
from cellscaper.report.figures import training_curves


def main() -> None:
    args = stage.arguments(__doc__, inputs=[], outputs=["picture"], options=["logs"])
    training_curves([(label, Path(file)) for label, file in json.loads(args.logs)], args.picture)


if __name__ == "__main__":
    stage.run(main)
