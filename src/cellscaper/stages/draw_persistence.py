"""draw_persistence: the holes of a real layout and of the layouts generated for it, with their diagrams.

``--layouts``, ``--decoders`` and ``--labels`` are lists of equal length, a row of the picture each.
"""

from cellscaper.disk.storage import read_layouts
from cellscaper.report.figures.matched import common_targets, matched_to
from cellscaper.report.figures.persistence import persistence_gallery
from cellscaper.report.figures.sheet import write_picture
from cellscaper.run import stage


def main() -> None:
    args = stage.arguments(
        __doc__, inputs=["windows", "layouts*"], outputs=["picture"], options=["decoders*", "labels*"]
    )
    windows = read_layouts(args.windows)
    rows = [
        (label, read_layouts(file, decoder))
        for label, file, decoder in stage.matched(args, "labels", "layouts", "decoders")
    ]
    common = common_targets(rows, windows)
    rarest = windows.counts()[common].min(axis=1)  # of the chosen window, every class shows holes
    chosen = common[rarest.argmax()]
    write_picture(persistence_gallery(matched_to(rows, windows, chosen[None])), args.picture)


if __name__ == "__main__":
    stage.run(main)
