"""train_image: train the model that paints H&E images for layouts."""

import torch

from cellscaper.disk.storage import read_split
from cellscaper.painters.diffusion import Painter, batch_loss
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.training.fit import fit
from cellscaper.views.crops import CropSampler


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells", "images"], outputs=["model", "losses"], gpus=True)
    section = args.config
    cells, pixels = read_split(args.cells, args.images, "train")
    images = [torch.from_numpy(one).permute(2, 0, 1) for one in pixels]
    crops = CropSampler(cells, section["grid"]["region"], small=section["small"])
    torch.manual_seed(args.seed)
    fit(
        "train_image",
        args,
        Painter(section, cells.n_classes),
        batch_loss(section, crops, images, cells.n_classes, device()),
        section,
        classes=list(cells.classes),
        mpp=cells.mpp,
    )


if __name__ == "__main__":
    stage.run(main)
