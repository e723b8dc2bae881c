"""train_image: train a painter, the model that makes H&E images for layouts."""

import torch

from cellscaper.disk.storage import read_split
from cellscaper.painters.protocol import Painter
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.run.methods import chosen
from cellscaper.training.fit import fit


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells", "images"], outputs=["model", "losses"], gpus=True)
    painter: Painter
    painter, settings = chosen("painters", args.config)
    cells, images = read_split(args.cells, args.images, "train")
    torch.manual_seed(args.seed)
    model, loss = painter.prepare(settings, cells, images, device())
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


if __name__ == "__main__":
    stage.run(main)
