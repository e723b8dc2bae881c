"""draw_persistence: the holes of a test patch and of the layouts generated for it, with their diagrams.

``--columns`` is a JSON list of [label, layouts file, decoder], as of draw_table.
"""

import json
from pathlib import Path

from cellscaper.disk.storage import read_layouts
from cellscaper.report.figures.matched import common_targets, matched_to
from cellscaper.report.figures.persistence import persistence_gallery
from cellscaper.report.figures.sheet import write_picture
from cellscaper.run import stage


def main() -> None:
    args = stage.arguments(__doc__, inputs=["patches"], outputs=["picture"], options=["columns"])
    patches = read_layouts(args.patches)
    columns = [(label, read_layouts(Path(file), decoder)) for label, file, decoder in json.loads(args.columns)]
    common = common_targets(columns, patches)
    rarest = patches.counts()[common].min(axis=1)  # the patch that shows holes of every class
    chosen = common[rarest.argmax()]
    write_picture(persistence_gallery(matched_to(columns, patches, chosen[None])), args.picture)


if __name__ == "__main__":
    stage.run(main)
