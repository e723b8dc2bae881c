"""draw_radii: F1 of a detection table's rows against the distance within which a detection counts."""

import json
from pathlib import Path

from cellscaper.disk.count_file import read_counts
from cellscaper.report.figures.radius_curves import radius_curves
from cellscaper.report.figures.sheet import write_picture
from cellscaper.run import stage


def main() -> None:
    args = stage.arguments(__doc__, inputs=[], outputs=["picture"], options=["counts", "rows", "detectors"])
    counts = read_counts([Path(file) for file in args.counts.split()])
    rows = [(label, name) for label, name in json.loads(args.rows)]
    write_picture(radius_curves(rows, args.detectors.split(), counts), args.picture)


if __name__ == "__main__":
    stage.run(main)
