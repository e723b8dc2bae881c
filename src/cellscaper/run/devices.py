"""The device on which a stage computes."""

import os

import torch

from cellscaper.errors import CellscaperError
from cellscaper.run import launch


def device() -> torch.device:
    """The GPU if torch sees one, else the CPU; the environment variable CELLSCAPER_DEVICE overrides this.

    Each process of torchrun has its own GPU; CellscaperError if there are too few.
    """
    name = os.environ.get("CELLSCAPER_DEVICE", "cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise CellscaperError(f"CELLSCAPER_DEVICE={name}, but torch sees no GPU; unset it or install a CUDA build")
    if name == "cuda" and launch.count() > 1:
        if torch.cuda.device_count() < launch.count():
            raise CellscaperError(
                f"{launch.count()} GPUs are asked for and torch sees {torch.cuda.device_count()}; lower gpu in "
                "config `resources`, or run where there are more"
            )
        return torch.device("cuda", launch.rank())
    return torch.device(name)
