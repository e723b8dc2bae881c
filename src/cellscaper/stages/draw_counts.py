"""draw_counts: how many cells training crops, test windows and generated layouts have.

``--layouts``, ``--decoders`` and ``--labels`` are lists of equal length: what is drawn beside the real layouts.
``--region`` is the side of the training crops in px.
"""

import torch

from cellscaper.disk.storage import read_layouts
from cellscaper.errors import CellscaperError
from cellscaper.report.figures.count_curves import Counts, count_curves
from cellscaper.report.figures.sheet import write_picture
from cellscaper.run import stage
from cellscaper.views.crops import CropSampler, to_layouts

CROPS = 5000


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["cells", "windows", "layouts*"],
        outputs=["picture"],
        options=["decoders*", "labels*", "region"],
    )
    if not args.region.isdecimal():
        raise CellscaperError(f"--region {args.region!r}: expected the side of the training crops in px, e.g. 256")
    train, windows = read_layouts(args.cells).where(split="train"), read_layouts(args.windows)
    batch = CropSampler(train, int(args.region), small="skip").sample(CROPS, torch.Generator().manual_seed(args.seed))
    real = [
        Counts("training crops", to_layouts(batch, train).counts()),
        Counts("test windows", windows.counts()),
    ]
    generated = []
    for label, file, decoder in stage.matched(args, "labels", "layouts", "decoders"):
        layouts = read_layouts(file, decoder)
        generated.append(Counts(label, layouts.counts(), layouts.columns.get("requested")))
    write_picture(count_curves(real, generated, windows.classes), args.picture)


if __name__ == "__main__":
    stage.run(main)
