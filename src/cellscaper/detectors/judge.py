"""The detector that judges painted images (docs/methods.md, section 8): a U-Net, whose features FID compares, too."""

from pathlib import Path

import torch

from cellscaper.detectors import unet
from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import read


def read_judge(file: Path, classes: tuple[str, ...], device: torch.device) -> tuple[unet.UNet, unet.Settings]:
    """The network of a weights file and its settings; CellscaperError if it is no U-Net of these classes."""
    weights, facts = read_weights(file)
    section, own = facts["section"], ", ".join(facts["classes"])
    if section["method"] != "unet" or tuple(facts["classes"]) != classes:
        scorer = f"images of this dataset are scored by a unet of {', '.join(classes)}; train that detector"
        raise CellscaperError(f"{file} is a {section['method']} of {own}; {scorer}")
    settings = read(unet.Settings, section["settings"], "detectors unet")
    model = unet.build(settings, len(classes)).to(device).eval()
    model.load_state_dict(weights)
    return model, settings
