"""draw_counts: how many cells training crops, test patches and generated layouts have.

``--columns`` is a JSON list of [label, layouts file, decoder]; ``--region`` the side of the training crops in px.
"""

import json
from pathlib import Path

import torch

from cellscaper.disk.storage import read_layouts
from cellscaper.errors import CellscaperError
from cellscaper.report.figures.count_curves import Counts, count_curves
from cellscaper.report.figures.sheet import write_picture
from cellscaper.run import stage
from cellscaper.views.crops import CropSampler, to_layouts

CROPS = 5000


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells", "patches"], outputs=["picture"], options=["columns", "region"])
    if not args.region.isdecimal():
        raise CellscaperError(f"--region {args.region!r}: expected the side of the training crops in px, e.g. 256")
    train, patches = read_layouts(args.cells).where(split="train"), read_layouts(args.patches)
    batch = CropSampler(train, int(args.region), small="skip").sample(CROPS, torch.Generator().manual_seed(args.seed))
    real = [
        Counts("training crops", to_layouts(batch, train).counts()),
        Counts("test patches", patches.counts()),
    ]
    generated = []
    for label, file, decoder in json.loads(args.columns):
        layouts = read_layouts(Path(file), decoder)
        generated.append(Counts(label, layouts.counts(), layouts.columns.get("requested")))
    write_picture(count_curves(real, generated, patches.classes), args.picture)


if __name__ == "__main__":
    stage.run(main)
