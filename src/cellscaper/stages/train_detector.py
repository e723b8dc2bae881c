"""train_detector: train a detector on real images and, if given, generated pairs of layouts and images."""

import torch
from torch import Tensor, nn

from cellscaper import stage
from cellscaper.detectors.registry import detector
from cellscaper.detectors.training import make_batch_loss
from cellscaper.errors import CellscaperError
from cellscaper.fitting import fit
from cellscaper.storage import ImageSet, read_layouts, read_split


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["cells", "images", "layouts?", "painted?"],
        outputs=["model", "losses"],
        options=["decoder"],
        gpus=True,
    )
    settings = args.config
    cells, images = read_split(args.cells, args.images, "train")
    synthetic = None
    if args.layouts:
        layouts = read_layouts(args.layouts, args.decoder)
        if layouts.classes != cells.classes:
            raise CellscaperError(f"{args.layouts} has classes {layouts.classes}, {args.cells} has {cells.classes}")
        with ImageSet(args.painted) as painted:
            synthetic = list(painted), layouts
    pairs_loss = make_batch_loss((images, cells), synthetic, settings)

    def loss(model: nn.Module, random: torch.Generator, step: int) -> dict[str, Tensor]:
        return pairs_loss(model, random, settings["training"]["batch"])

    torch.manual_seed(args.seed)
    model = detector(settings["method"]).build(settings, cells.n_classes)
    methods = [f"detectors.{settings['method']}"]
    fit("train_detector", args, model, loss, settings, methods, classes=list(cells.classes), mpp=cells.mpp)


if __name__ == "__main__":
    stage.run(main)
