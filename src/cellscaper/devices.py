"""Which device a stage computes on."""

import os

import torch

from cellscaper.errors import CellscaperError


def device() -> torch.device:
    """The GPU where torch sees one, else the CPU; the environment variable CELLSCAPER_DEVICE overrides it."""
    name = os.environ.get("CELLSCAPER_DEVICE", "cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise CellscaperError(f"CELLSCAPER_DEVICE={name}, but torch sees no GPU; unset it or install a CUDA build")
    return torch.device(name)
