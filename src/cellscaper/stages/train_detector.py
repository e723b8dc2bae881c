"""train_detector: train a detector on real images and, if given, generated pairs of layouts and images.

The weights carry ``val_f1``, their mean F1 on the real validation images, by which a mixing ratio is chosen.
"""

import torch

from cellscaper.detectors.data import TrainingData
from cellscaper.detectors.registry import detector
from cellscaper.detectors.training import Validation
from cellscaper.disk.storage import ImageSet, read_layouts, read_split
from cellscaper.errors import CellscaperError
from cellscaper.run import stage
from cellscaper.training.fit import fit


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
    val_cells, val_images = read_split(args.cells, args.images, "val")
    synthetic = None
    if args.layouts:
        layouts = read_layouts(args.layouts, args.decoder)
        if layouts.classes != cells.classes:
            raise CellscaperError(f"{args.layouts} has classes {layouts.classes}, {args.cells} has {cells.classes}")
        with ImageSet(args.painted) as painted:
            synthetic = list(painted), layouts
    method = detector(settings["method"])
    torch.manual_seed(args.seed)
    model = method.build(settings, cells.n_classes)
    data = TrainingData((images, cells), synthetic, settings)
    training = method.training(model, settings, data, Validation(val_images, val_cells))
    fit(
        "train_detector",
        args,
        training.module,
        training.loss,
        settings,
        [f"detectors.{settings['method']}"],
        on_step=training.on_step,
        finish=training.finish,
        classes=list(cells.classes),
        mpp=cells.mpp,
    )


if __name__ == "__main__":
    stage.run(main)
