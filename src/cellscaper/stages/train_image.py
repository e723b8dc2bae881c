"""train_image: train a painter, the model that makes H&E images for layouts."""

from pathlib import Path

import torch

from cellscaper.disk.files import checksum
from cellscaper.disk.storage import read_split
from cellscaper.errors import CellscaperError
from cellscaper.painters.protocol import Painter
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.run.methods import chosen
from cellscaper.training.fit import fit


def main() -> None:
    args = stage.arguments(
        __doc__, inputs=["cells", "images"], outputs=["model", "losses"], options=["init?"], gpus="several"
    )
    painter: Painter
    painter, settings = chosen("painters", args.config)
    init = initial_weights(args.init, args.config["settings"].get("init"))
    cells, images = read_split(args.cells, args.images, "train")
    torch.manual_seed(args.seed)
    model, loss = painter.prepare(settings, cells, images, device(args.gpus), init)
    fit(
        "train_image",
        args,
        model,
        loss,
        training=settings.training,
        section=args.config,
        methods=[f"painters.{args.config['method']}"],
        classes=list(cells.classes),
        mpp=cells.mpp,
    )


def initial_weights(file: str | None, planned: str | None) -> Path | None:
    """The file of ``--init``; CellscaperError unless its SHA-256 is the one in the stage's section."""
    found = None if file is None else checksum(Path(file))
    if found != planned:
        raise CellscaperError(
            f"--init {file} has the SHA-256 {found}, but {planned} was planned; start the workflow again"
        )
    return None if file is None else Path(file)


if __name__ == "__main__":
    stage.run(main)
