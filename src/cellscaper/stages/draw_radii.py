"""draw_radii: F1 of a detection table's rows against the distance within which a detection counts.

``--rows`` (as count files name what a detector was trained with) and ``--labels`` are lists of equal length.
"""

from cellscaper.disk.count_file import read_counts
from cellscaper.report.figures.radius_curves import radius_curves
from cellscaper.report.figures.sheet import write_picture
from cellscaper.run import stage


def main() -> None:
    args = stage.arguments(__doc__, inputs=["counts+"], outputs=["picture"], options=["rows+", "labels+", "detectors+"])
    rows = stage.matched(args, "labels", "rows")
    write_picture(radius_curves(rows, args.detectors, read_counts(args.counts)), args.picture)


if __name__ == "__main__":
    stage.run(main)
