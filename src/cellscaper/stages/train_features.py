"""train_features: train the network whose features spatial-FID compares."""

import torch

from cellscaper.disk.storage import read_layouts
from cellscaper.features.protocol import FeatureMethod
from cellscaper.features.training import batch_loss
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.run.methods import chosen
from cellscaper.training.fit import fit


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells"], outputs=["model", "losses"], gpus="several")
    method: FeatureMethod
    method, settings = chosen("features", args.config)
    cells = read_layouts(args.cells).where(split="train")
    torch.manual_seed(args.seed)
    fit(
        "train_features",
        args,
        method.build(settings, cells.n_classes),
        batch_loss(settings, cells, device(args.gpus)),
        settings.training,
        args.config,
        [f"features.{args.config['method']}"],
        classes=list(cells.classes),
        mpp=cells.mpp,
    )


if __name__ == "__main__":
    stage.run(main)
