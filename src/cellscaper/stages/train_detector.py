"""train_detector: train a detector on real images and, if given, generated pairs of layouts and images.

The weights carry ``val_f1``, their mean F1 on the real validation images, by which a mixing ratio is chosen.
"""

import torch

from cellscaper.detectors.data import TrainingData
from cellscaper.detectors.protocol import Detector
from cellscaper.detectors.training import Validation
from cellscaper.disk.storage import ImageSet, read_layouts, read_split
from cellscaper.errors import CellscaperError
from cellscaper.run import stage
from cellscaper.run.methods import chosen
from cellscaper.training.fit import fit


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["cells", "images", "layouts?", "painted?"],
        outputs=["model", "losses"],
        options=["decoder"],
        gpus="several",
    )
    method: Detector
    method, settings = chosen("detectors", args.config)
    (cells, images), (val_cells, val_images) = (read_split(args.cells, args.images, s) for s in ("train", "val"))
    synthetic = None
    if args.layouts:
        layouts = read_layouts(args.layouts, args.decoder)
        if layouts.classes != cells.classes:
            own, real = ", ".join(layouts.classes), ", ".join(cells.classes)
            raise CellscaperError(
                f"{args.layouts} has the classes {own}, {args.cells} has {real}; take layouts of the same dataset"
            )
        with ImageSet(args.painted) as painted:
            synthetic = list(painted), layouts
    torch.manual_seed(args.seed)
    model = method.build(settings, cells.n_classes)
    fraction = args.config["synthetic_fraction"]
    data = TrainingData((images, cells), synthetic, settings.crop, settings.dot_radius, fraction)
    training = method.training(model, settings, data, Validation(val_images, val_cells))
    fit(
        "train_detector",
        args,
        training.module,
        training.loss,
        settings.training,
        args.config,
        [f"detectors.{args.config['method']}"],
        on_step=training.on_step,
        finish=training.finish,
        classes=list(cells.classes),
        mpp=cells.mpp,
    )


if __name__ == "__main__":
    stage.run(main)
