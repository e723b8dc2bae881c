"""train_features: train the network whose features spatial-FID compares."""

import torch

from cellscaper import stage
from cellscaper.devices import device
from cellscaper.features.registry import feature_method
from cellscaper.features.training import batch_loss
from cellscaper.fitting import fit
from cellscaper.storage import read_layouts


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
