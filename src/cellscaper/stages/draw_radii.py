"""draw_radii: F1 of a detection table's rows against the distance within which a detection counts."""

import json
from pathlib import Path

from cellscaper import stage
from cellscaper.metrics.count_file import read_counts
from cellscaper.report.radius_curves import radius_curves
from cellscaper.report.sheet import write_picture


def main() -> None:
    args = stage.arguments(__doc__, inputs=[], outputs=["picture"], options=["counts", "rows", "detectors"])
    counts = read_counts([Path(file) for file in args.counts.split()])
    rows = [(label, name) for label, name in json.loads(args.rows)]
    write_picture(radius_curves(rows, args.detectors.split(), counts), args.picture)


if __name__ == "__main__":
    stage.run(main)
