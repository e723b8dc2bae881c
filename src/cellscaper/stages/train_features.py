"""train_features: train the network whose features spatial-FID compares."""

import torch

from cellscaper.disk.storage import read_layouts
from cellscaper.features.registry import feature_method
from cellscaper.features.training import batch_loss
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.training.fit import fit


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells"], outputs=["model", "losses"], gpus=True)
    section = args.config
    cells = read_layouts(args.cells).where(split="train")
    torch.manual_seed(args.seed)
    fit(
        "train_features",
        args,
        feature_method(section["method"]).build(section, cells.n_classes),
        batch_loss(section, cells, device()),
        section,
        [f"features.{section['method']}"],
        classes=list(cells.classes),
        mpp=cells.mpp,
    )


if __name__ == "__main__":
    stage.run(main)
